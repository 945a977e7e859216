# SPDX-License-Identifier: Apache-2.0
"""Bad input, sent by curl: the stated error each [G4], and the next call works."""

import json
import re
import socket
import subprocess
import urllib.parse

import pytest

from support import paths
from support.counts import count

GOOD = b'{"jsonrpc":"2.0","id":1,"method":"eth_chainId","params":[]}'
BATCH_MAX = 100  # gateway.batch_max, its default


def nested(depth):
    """A call with a parameter that is nested so deep."""
    return (b'{"jsonrpc":"2.0","id":1,"method":"eth_call","params":'
            + b"[" * depth + b"]" * depth + b"}")


# what is sent: name in err.def
CASES = {
    "garbage": (b"\x00\x01 nothing like JSON }{", "PARSE"),
    "half a call": (GOOD[:-10], "PARSE"),
    "an empty body": (b"", "PARSE"),
    "bad UTF-8": (GOOD.replace(b"eth_chainId", b"eth_\xff\xfe"), "PARSE"),
    "an overlong encoding": (GOOD.replace(b"eth_chainId", b"eth_\xc0\xaf"), "PARSE"),
    "deep nesting": (nested(count("curl_nesting")), "TOO_DEEP"),
    "10 MB": (b'{"jsonrpc":"2.0","id":1,"method":"eth_call","params":["' + b"0" * 10_000_000 + b'"]}',
              "BODY_TOO_LARGE"),
    "a duplicate key": (GOOD.replace(b'"params":[]', b'"method":"eth_blockNumber"'), "REQUEST"),
    "a duplicate id": (GOOD.replace(b'"params":[]', b'"id":2'), "REQUEST"),
    "an escaped duplicate key": (GOOD.replace(b'"params":[]', rb'"\u006dethod":"eth_call"'), "REQUEST"),
    "an empty batch": (b"[]", "REQUEST"),
    "a batch over the limit": (b"[" + b",".join([GOOD] * (BATCH_MAX + 1)) + b"]", "BATCH_TOO_LARGE"),
    "a number": (b"7", "REQUEST"),
    "an id that is a list": (GOOD.replace(b'"id":1', b'"id":[1]'), "REQUEST"),
    "no method": (b'{"jsonrpc":"2.0","id":1}', "REQUEST"),
    "version 1": (GOOD.replace(b"2.0", b"1.0"), "REQUEST"),
}


def errors():
    """{name: (HTTP status, JSON-RPC code)} of err.def."""
    text = (paths.ROOT / "relay/base/err.def").read_text()
    return {name: (int(status), int(code)) for name, status, code in
            re.findall(r"^E\((\w+),\s*\d+,\s*(\d+),\s*(-\d+)", text, re.MULTILINE)}


def curl(url, body, folder, *more):
    """(status, body) as curl saw them."""
    sent = folder / "body"
    sent.write_bytes(body)
    done = subprocess.run(["curl", "-sS", "--max-time", "60", "-H", "Content-Type: application/json",
                           "--data-binary", f"@{sent}", "-w", "\n%{http_code}", *more, url],
                          stdin=subprocess.DEVNULL, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    answer, _, status = done.stdout.rpartition(b"\n")
    return int(status), answer


def works(url, folder):
    """The next good call is answered."""
    status, answer = curl(url, GOOD, folder)
    assert status == 200 and json.loads(answer)["result"] == "0x7a69"


@pytest.fixture(scope="module")
def network(network_factory, anvil):
    """One network in front of one chain."""
    return network_factory(upstreams=[anvil.url])


@pytest.mark.parametrize("case", CASES)
def test_bad_input_gets_the_stated_error_and_the_next_call_works(case, network, tmp_path):
    body, name = CASES[case]
    status, code = errors()[name]
    seen, answer = curl(network.url, body, tmp_path)
    assert seen == status, answer[:500]
    if status == 200:
        parsed = json.loads(answer)
        assert parsed["jsonrpc"] == "2.0" and parsed["error"]["code"] == code, parsed
        assert parsed["error"]["message"] and "result" not in parsed
    works(network.url, tmp_path)
    assert f"gateway.body_refused reason={name.lower()} " in network.gateway.log()


def test_a_batch_answers_its_good_calls_beside_a_bad_one(network, tmp_path):
    body = b"[" + GOOD + b',7,{"jsonrpc":"2.0","id":"x","method":"eth_blockNumber"}]'
    status, answer = curl(network.url, body, tmp_path)
    assert status == 200
    one, two, three = json.loads(answer)
    assert one["result"] == "0x7a69" and one["id"] == 1
    assert two["error"]["code"] == -32600 and two["id"] is None
    assert three["id"] == "x" and "result" in three


def test_ids_of_any_type_come_back_byte_for_byte(network, tmp_path):
    for token in (b"123456789012345678901234567890", b'"a\\u0062c"', b"null", b"-0", b"1e3", b'""'):
        status, answer = curl(network.url, GOOD.replace(b'"id":1', b'"id":' + token), tmp_path)
        assert status == 200 and b'"id":' + token in answer.replace(b" ", b""), (token, answer)


def test_a_notification_is_answered_204_without_a_body(network, tmp_path):
    note = GOOD.replace(b'"id":1,', b"")
    assert curl(network.url, note, tmp_path) == (204, b"")
    assert curl(network.url, b"[" + note + b"," + note + b"]", tmp_path) == (204, b"")
    works(network.url, tmp_path)


def test_other_http_methods_and_paths_are_refused_by_name(network, tmp_path):
    assert curl(network.url, GOOD, tmp_path, "-X", "PUT")[0] == 405
    assert curl(network.url + "no-such-service", GOOD, tmp_path)[0] == 404
    assert curl(network.url + "eth/no-such-token", GOOD, tmp_path)[0] == 404
    assert curl(network.url + "eth", GOOD, tmp_path)[0] == 200
    works(network.url, tmp_path)


def exchange(url, sent):
    """What comes back for these bytes on one connection, until it is closed."""
    place = urllib.parse.urlsplit(url)
    with socket.create_connection((place.hostname, place.port), timeout=60) as connection:
        connection.sendall(sent)
        return b"".join(iter(lambda: connection.recv(65536), b""))


def head(method, *lines):
    return "\r\n".join([f"{method} / HTTP/1.1", "Host: x", *lines, "", ""]).encode()


def test_the_answer_to_head_has_no_body_that_the_next_answer_would_stand_behind(network):
    last = head("POST", f"Content-Length: {len(GOOD)}", "Connection: close") + GOOD
    first, second = exchange(network.url, head("HEAD") + last).split(b"\r\n\r\n", 1)
    assert first.startswith(b"HTTP/1.1 405 ") and second.startswith(b"HTTP/1.1 200 "), second


def test_two_lengths_of_one_body_are_refused_and_the_connection_ends(network, tmp_path):
    for lines in (("Content-Length: 1", f"Content-Length: {len(GOOD)}"),
                  (f"Content-Length: {len(GOOD)}", "Content-Length: 1")):
        said = exchange(network.url, head("POST", *lines) + GOOD)
        assert said.startswith(b"HTTP/1.1 400 ") and b"\r\nConnection: close\r\n" in said, said
        assert said.count(b"HTTP/1.1 ") == 1
    works(network.url, tmp_path)


def test_methods_that_need_one_nodes_memory_are_refused_by_name(network, tmp_path):
    status, answer = curl(network.url, GOOD.replace(b"eth_chainId", b"eth_newPendingTransactionFilter"), tmp_path)
    assert status == 200 and json.loads(answer)["error"]["code"] == errors()["METHOD"][1], answer
    assert "eth_newPendingTransactionFilter" in json.loads(answer)["error"]["message"]
