# SPDX-License-Identifier: Apache-2.0
"""Calls as text, so that each byte of them is known, and their answers as text."""

from support import net

# Ids as clients write them; each comes back byte for byte.
IDS = ["1", "0", "-7", "1.5e3", "12345678901234567890123456789", '"1"', '"a\\u00e9\\"b"', '""', "null",
       "9007199254740993"]


def call(method, params="[]", call_id="1"):
    """The text of a call, its id as written."""
    return f'{{"jsonrpc":"2.0","id":{call_id},"method":"{method}","params":{params}}}'


def ask(url, body, headers=None):
    """(status, headers, text) of one POST."""
    client = net.Http(url, timeout=60)
    try:
        status, got, data = client.post(body, headers)
        return status, got, data.decode()
    finally:
        client.close()


def own(chain, method, params):
    """What a chain itself says."""
    client = net.Http(chain.url)
    answer, _ = client.call(method, *params)
    client.close()
    return answer.get("result", "error")
