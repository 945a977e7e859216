# SPDX-License-Identifier: Apache-2.0
"""Many kinds of calls from many clients, by a seed; each answer is looked at.

The backends answer READ and WRITE with the call's own parameters, and LARGE with LARGE_BYTES of x
(`script`), so that an answer that belongs to another call is seen.
"""

import http.client
import json
import random
import socket
import threading
import time
import urllib.parse

from support import net

READ, LARGE, WRITE = "eth_getBalance", "debug_traceTransaction", "eth_sendRawTransaction"
LARGE_BYTES = 400_000
SCRIPT = {"default": {"echo": True},
          "methods": {LARGE: {"size": LARGE_BYTES}, "eth_chainId": {"result": "0x1"}}}
# What a call may end with when something behind the gateway is at fault (docs/errors.md).
FAULT_CODES = {-32001, -32002, -32005, -32603}
PAUSE_S = 0.24  # at most, between two calls of a client
TIMEOUT_S = 60

# How often each kind is chosen.
KINDS = {"read": 40, "same": 10, "batch": 12, "large": 5, "write": 10, "bad": 12, "leave": 7, "slow": 4}

# (path, body, HTTP statuses, JSON-RPC code) of what is refused before anybody is asked.
BAD = [
    ("/", b"{", {200}, -32700), ("/", b"", {200, 400, 411}, -32700), ("/", b"[]", {200}, -32600),
    ("/", b'{"jsonrpc":"2.0","id":1}', {200}, -32600), ("/", b"\xff", {200}, -32700),
    ("/", b'[1,{"jsonrpc":"2.0","id":2}]', {200}, -32600),
    ("/", b"[" * 200 + b"]" * 200, {200}, -32700),
    ("/nothing-here", b'{"jsonrpc":"2.0","id":1,"method":"eth_chainId"}', {404}, -32601),
    ("/", b'{"jsonrpc":"2.0","id":1,"method":"admin_peers"}', {200}, -32601),
]


class Outcome:
    """One call: when, of what kind, how it ended: ok, error (of FAULT_CODES), cut, or wrong."""

    __slots__ = ("at", "end", "kind", "word", "why")

    def __init__(self, at, kind, word, why=""):
        self.at, self.end, self.kind, self.word, self.why = at, time.monotonic(), kind, word, why

    def __str__(self):
        return f"{self.kind} at {self.at:.1f}: {self.word} {self.why}"


class Client(threading.Thread):
    """One client.  Its receipts are those of answers that it has read whole."""

    def __init__(self, url, number, seed, stopping):
        super().__init__(daemon=True)
        self.url, self.number, self.stopping = url, number, stopping
        self.dice = random.Random(f"{seed} client {number}")
        self.asked = self.writes = 0
        self.outcomes, self.receipts = [], []
        self.http = None

    def run(self):
        kinds, weights = list(KINDS), list(KINDS.values())
        while not self.stopping.is_set():
            kind, at = self.dice.choices(kinds, weights)[0], time.monotonic()
            try:
                word, why = getattr(self, "_" + kind)()
            except (OSError, http.client.HTTPException) as error:
                word, why, self.http = "cut", f"{type(error).__name__}: {error}", None
                time.sleep(0.05)
            self.outcomes.append(Outcome(at, kind, word, why))
            time.sleep(self.dice.uniform(0, PAUSE_S))

    # -- calls

    def _params(self):
        self.asked += 1
        return [f"0x{self.number:08x}{self.asked:032x}", "latest"]

    def _post(self, body, path=None):
        if self.http is None:
            self.http = net.Http(self.url, TIMEOUT_S)
        return self.http.request("POST", path, body)

    def _one(self, method, params, expected):
        """One call whose result must be `expected`."""
        status, headers, data = self._post(json.dumps(
            {"jsonrpc": "2.0", "id": self.asked, "method": method, "params": params}))
        reply = json.loads(data)
        if status != 200 or reply.get("id") != self.asked:
            return "wrong", f"{status} {data[:200]!r}"
        if "error" in reply:
            return self._error(reply["error"])
        if reply["result"] != expected:
            return "wrong", f"result {str(reply['result'])[:100]} instead of {str(expected)[:100]}"
        if "counterfoil-cache" not in headers:  # else it is another call's
            self.receipts.append(headers["counterfoil-receipt"])
        return "ok", ""

    @staticmethod
    def _error(error):
        return "error" if error["code"] in FAULT_CODES else "wrong", f"{error}"

    def _read(self):
        params = self._params()
        return self._one(READ, params, params)

    def _same(self):
        """What others ask, too: its answer is kept, or shared."""
        self.asked += 1
        if self.dice.random() < 0.5:
            return self._one("eth_chainId", [], "0x1")
        params = [f"0x{self.dice.randrange(3):040x}", "0x1"]
        return self._one(READ, params, params)

    def _write(self):
        params = self._params()
        self.writes += 1
        return self._one(WRITE, params, params)

    def _large(self):
        return self._one(LARGE, self._params(), "x" * LARGE_BYTES)

    def _batch(self):
        calls = [{"jsonrpc": "2.0", "id": f"b{n}", "method": READ, "params": self._params()}
                 for n in range(self.dice.randint(2, 20))]
        status, headers, data = self._post(json.dumps(calls))
        replies = json.loads(data)
        if status != 200 or not isinstance(replies, list) or \
                [r.get("id") for r in replies] != [c["id"] for c in calls]:
            return "wrong", f"{status} {data[:200]!r}"
        words = set()
        receipts = headers.get("counterfoil-receipt", ", ".join("-" * len(calls))).split(", ")
        for call, reply, receipt in zip(calls, replies, receipts, strict=True):
            if "error" in reply:
                words.add(self._error(reply["error"]))
            elif reply["result"] != call["params"]:
                return "wrong", f"{call} got {reply}"
            else:
                self.receipts.append(receipt)
        return min(words, key=lambda w: w[0] != "wrong", default=("ok", ""))

    def _bad(self):
        path, body, statuses, code = self.dice.choice(BAD)
        status, _, data = self._post(body, path)
        reply = json.loads(data) if data.startswith((b"{", b"[")) else {}
        reply = reply[0] if isinstance(reply, list) else reply
        got = reply.get("error", {}).get("code")
        if got in FAULT_CODES - {code}:
            return "error", f"{reply}"
        good = status in statuses and (got == code or status != 200)
        return ("ok", "") if good else ("wrong", f"{path} {body[:60]}: {status} {data[:200]!r}")

    # -- clients that do not behave

    def _raw(self, method):
        """A connection of its own on which one call has been sent."""
        parts = urllib.parse.urlsplit(self.url)
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method,
                           "params": self._params()}).encode()
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)
        sock.settimeout(TIMEOUT_S)
        sock.connect((parts.hostname, parts.port))
        sock.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                     b"Content-Length: %d\r\n\r\n" % len(body) + body)
        return sock

    def _leave(self):
        """Hangs up at once, or a little later, or with half of the answer read."""
        with self._raw(self.dice.choice([READ, LARGE])) as sock:
            if self.dice.random() < 0.5:
                time.sleep(self.dice.uniform(0, 0.05))
            elif self.dice.random() < 0.5:
                sock.recv(4096)
        return "ok", ""

    def _slow(self):
        """Reads a large answer over a second or so."""
        got = b""
        with self._raw(LARGE) as sock:
            while not self._is_whole(got):
                data = sock.recv(16384)
                if not data:
                    return "cut", f"after {len(got)} bytes"
                got += data
                time.sleep(self.dice.uniform(0.02, 0.06))
        if b'"error"' in got:
            return "error", f"{got[-200:]!r}"
        return ("ok", "") if got.count(b"x") >= LARGE_BYTES else ("wrong", f"{got[:300]!r}")

    @staticmethod
    def _is_whole(got):
        head, end, body = got.partition(b"\r\n\r\n")
        if not end:
            return False
        if b"chunked" in head.lower():
            return body.endswith(b"0\r\n\r\n")
        length = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
        return len(body) >= int(length[0].split(b":")[1])


class MixedLoad:
    """So many clients until stop()."""

    def __init__(self, url, clients, seed):
        self.stopping = threading.Event()
        self.clients = [Client(url, n, seed, self.stopping) for n in range(clients)]

    def start(self):
        """Begins."""
        for client in self.clients:
            client.start()
        return self

    def stop(self):
        """Lets the calls in flight end."""
        self.stopping.set()
        for client in self.clients:
            client.join(TIMEOUT_S + 5)
            assert not client.is_alive(), f"client {client.number} never ended"

    def outcomes(self):
        """All calls, in the order in which they began."""
        return sorted((o for c in self.clients for o in c.outcomes), key=lambda o: o.at)

    def receipts(self):
        """Every receipt that a client holds."""
        return [r for c in self.clients for r in c.receipts]

    def writes(self):
        """Transactions that were given to the gateway."""
        return sum(c.writes for c in self.clients)
