# SPDX-License-Identifier: Apache-2.0
"""A backend that passes everything to a real one, but for what it lies about, or does not tell: the
head."""

import http.server
import json
import threading

from support import net


class HeightLiar:
    """In front of a chain; lie(height) gives the height and the block that it tells instead.  While it
    is mute it knows nothing of blocks."""

    def __init__(self, behind):
        self.behind = behind
        self.lie = lambda height: height
        self.mute = False
        liar = self

        class Handler(http.server.BaseHTTPRequestHandler):
            """One request."""

            protocol_version = "HTTP/1.1"

            def do_POST(self):  # pylint: disable=invalid-name
                """Passes the call on, and the answer back."""
                body = self.rfile.read(int(self.headers["content-length"]))
                answer = liar.answer(body)
                self.send_response(200)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_):  # pylint: disable=arguments-differ
                """Not to the terminal."""

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", net.free_port()), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def answer(self, body):
        """The answer to one call, perhaps with another height in it."""
        client = net.Http(self.behind)
        _, _, data = client.request("POST", None, body, {"content-type": "application/json"})
        client.close()
        call, answer = json.loads(body), json.loads(data)
        if self.mute and call["method"] == "eth_getBlockByNumber":
            error = {"code": -32601, "message": "the method eth_getBlockByNumber does not exist/is not available"}
            return json.dumps({"jsonrpc": "2.0", "id": call["id"], "error": error}).encode()
        if call["method"] == "eth_blockNumber":
            answer["result"] = hex(self.lie(int(answer["result"], 16)))
        elif call["method"] == "eth_getBlockByNumber" and call["params"][0] in ("latest", "safe", "finalized"):
            height = int(answer["result"]["number"], 16)
            if self.lie(height) != height:
                answer["result"] |= {"number": hex(self.lie(height)), "hash": "0x" + "66" * 32}
        else:
            return data
        return json.dumps(answer).encode()

    def end(self):
        """Stops listening."""
        self.server.shutdown()
        self.server.server_close()
