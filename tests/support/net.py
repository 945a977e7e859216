# SPDX-License-Identifier: Apache-2.0
"""Free ports, and HTTP and JSON-RPC without a library in between."""

import http.client
import json
import os
import socket
import urllib.parse

# Below the range from which the system draws ports of outgoing connections.  Each of pytest-xdist's
# workers has its share: a port that one has given stays free until its program listens.
_FIRST, _COUNT = 10000, 20000
_WORKERS = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
_WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
_given = set()


def free_port():
    """A port of 127.0.0.1 that is free and was not given before."""
    while True:
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            port = s.getsockname()[1]
        port = _FIRST + port % (_COUNT // _WORKERS) * _WORKERS + _WORKER
        if port in _given:
            continue
        with socket.socket() as s:
            try:
                s.bind(("127.0.0.1", port))
            except OSError:
                continue
        _given.add(port)
        return port


class Http:
    """One keep-alive connection."""

    def __init__(self, url, timeout=60):
        parts = urllib.parse.urlsplit(url)
        self.path = parts.path or "/"
        self.connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=timeout)

    def request(self, method, path=None, body=None, headers=None):
        """(status, headers with lower-case names, body)."""
        if headers is None:
            headers = {"Content-Type": "application/json"} if body is not None else {}
        self.connection.request(method, path or self.path, body=body, headers=headers)
        answer = self.connection.getresponse()
        data = answer.read()
        return answer.status, {k.lower(): v for k, v in answer.getheaders()}, data

    def post(self, body, headers=None):
        """POST of bytes or text to the URL's own path."""
        return self.request("POST", None, body, headers)

    def call(self, method, *params, call_id=1):
        """(answer, headers) of one JSON-RPC call."""
        body = json.dumps({"jsonrpc": "2.0", "id": call_id, "method": method, "params": params})
        status, headers, data = self.post(body)
        assert status == 200, (status, data)
        return json.loads(data), headers

    def close(self):
        """Closes the connection."""
        self.connection.close()


def get(url, timeout=60):
    """(status, headers, body) of a GET on a connection of its own."""
    parts = urllib.parse.urlsplit(url)
    one = Http(url, timeout)
    try:
        return one.request("GET", parts.path + ("?" + parts.query if parts.query else ""))
    finally:
        one.close()


def answers(url):
    """True when something answers GET at the URL with 200."""
    try:
        return get(url, timeout=10)[0] == 200
    except (OSError, http.client.HTTPException):
        return False


def result(url, method, *params):
    """The result of one call; AssertionError with the error otherwise."""
    one = Http(url)
    try:
        answer, _ = one.call(method, *params)
    finally:
        one.close()
    assert "result" in answer, answer
    return answer["result"]
