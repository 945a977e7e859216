# SPDX-License-Identifier: Apache-2.0
"""A backend that passes calls on to a real chain, and changes some answers."""

import http.client
import http.server
import json
import threading
import urllib.parse


class Liar:
    """`lie(method, result)` gives what is said in place of a result, or the same for the truth."""

    def __init__(self, url, lie):
        self.parts = urllib.parse.urlsplit(url)
        self.lie = lie
        self.lies = 0
        liar = self

        class Handler(http.server.BaseHTTPRequestHandler):
            """One connection."""

            protocol_version = "HTTP/1.1"

            def do_POST(self):  # pylint: disable=invalid-name
                """One call."""
                body = liar.answer(self.rfile.read(int(self.headers["Content-Length"])))
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_args):  # pylint: disable=arguments-differ
                """Nothing."""

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def answer(self, body):
        """What the chain says, or not."""
        connection = http.client.HTTPConnection(self.parts.hostname, self.parts.port, timeout=60)
        try:
            connection.request("POST", "/", body, {"Content-Type": "application/json"})
            told = connection.getresponse().read()
        finally:
            connection.close()
        answer = json.loads(told)
        if "result" not in answer:
            return told
        said = self.lie(json.loads(body)["method"], json.loads(json.dumps(answer["result"])))
        if said == answer["result"]:
            return told
        self.lies += 1
        return json.dumps(answer | {"result": said}).encode()

    def end(self):
        """Ends it."""
        self.server.shutdown()
        self.server.server_close()
