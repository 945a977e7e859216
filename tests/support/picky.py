# SPDX-License-Identifier: Apache-2.0
"""A backend that answers as the one behind it, but takes only so much of eth_getLogs at a time."""

import http.client
import http.server
import json
import threading
import urllib.parse


class Picky:
    """url; methods: names asked for, in order; refused: how often it was too much.

    blocks, logs, addresses, topics: the most that it takes; what is more gets `error`.
    fails: calls of eth_getLogs for these blocks get an internal error."""

    def __init__(self, behind):
        self.behind = urllib.parse.urlsplit(behind)
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.reset()
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def reset(self):
        """Takes all, and has seen nothing."""
        self.blocks = self.logs = self.addresses = self.topics = 1 << 60
        self.error = {"code": -32005, "message": "query returned more than 10000 results"}
        self.fails = ()
        self.methods, self.spans, self.refused = [], [], 0

    def end(self):
        """Stops it."""
        self.server.shutdown()
        self.server.server_close()

    def _handler(self):
        picky = self

        class Handler(http.server.BaseHTTPRequestHandler):
            """One connection, with one behind it."""

            protocol_version = "HTTP/1.1"
            behind = None

            def do_POST(self):  # pylint: disable=invalid-name
                """One call."""
                body = self.rfile.read(int(self.headers["Content-Length"]))
                answer = picky.answer(json.loads(body)) or self.pass_on(body)
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def pass_on(self, body):
                """The answer of the one behind."""
                if not self.behind:
                    self.behind = http.client.HTTPConnection(picky.behind.hostname,
                                                             picky.behind.port)
                self.behind.request("POST", "/", body, {"Content-Type": "application/json"})
                answer = self.behind.getresponse().read()
                if len(json.loads(answer).get("result") or ()) > picky.logs and b"getLogs" in body:
                    return picky.too_much(1)
                return answer

            def log_message(self, *_args):  # pylint: disable=arguments-differ
                """Nothing."""

        return Handler

    def too_much(self, call_id):
        """The error in its words."""
        self.refused += 1
        return json.dumps({"jsonrpc": "2.0", "id": call_id, "error": self.error}).encode()

    def answer(self, call):
        """What it says itself; None: what the one behind says."""
        self.methods.append(call["method"])
        if call["method"] != "eth_getLogs":
            return None
        wanted = call["params"][0]
        ends = [str(wanted.get(end)) for end in ("fromBlock", "toBlock")]
        if "blockHash" in wanted or not all(end.startswith("0x") for end in ends):
            span = 1 if "blockHash" in wanted else 1 << 59
        else:
            span = int(wanted["toBlock"], 16) - int(wanted["fromBlock"], 16) + 1
            self.spans.append((int(wanted["fromBlock"], 16), int(wanted["toBlock"], 16)))
            if any(self.spans[-1][0] <= block <= self.spans[-1][1] for block in self.fails):
                return json.dumps({"jsonrpc": "2.0", "id": call["id"], "error": {
                    "code": -32602, "message": "invalid params: no such filter"}}).encode()
        address, topics = wanted.get("address"), wanted.get("topics") or [None]
        if (span > self.blocks or (isinstance(address, list) and len(address) > self.addresses)
                or (isinstance(topics[0], list) and len(topics[0]) > self.topics)):
            return self.too_much(call["id"])
        return None
