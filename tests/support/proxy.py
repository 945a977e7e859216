# SPDX-License-Identifier: Apache-2.0
"""A backend that passes calls on to another, byte for byte, and may say something else."""

import re
import socket
import socketserver
import threading
import urllib.parse

METHOD = re.compile(rb'"method"\s*:\s*"(\w+)"')


def _read_message(lines):
    """The body of one HTTP message with a length; None: the connection has ended."""
    line, length = lines.readline(), 0
    while line not in (b"\r\n", b""):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
        line = lines.readline()
    return lines.read(length) if line else None


def _message(first, body):
    return b"%s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (first, len(body), body)


class _Behind:
    """One kept connection to the one behind."""

    def __init__(self):
        self.url = self.socket = self.lines = None

    def ask(self, url, body):
        """Its answer.  A kept connection that it has closed is opened anew."""
        for _ in range(2):
            if self.url != url:
                self.close()
                parts = urllib.parse.urlsplit(url)
                self.socket = socket.create_connection((parts.hostname, parts.port), timeout=60)
                self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self.lines, self.url = self.socket.makefile("rb"), url
            try:
                self.socket.sendall(_message(b"POST / HTTP/1.1\r\nHost: x", body))
                answer = _read_message(self.lines)
                if answer is not None:
                    return answer
            except OSError:
                pass
            self.url = None
        raise ConnectionError(url)

    def close(self):
        """No-op when there is none."""
        if self.socket:
            self.lines.close()
            self.socket.close()
            self.socket = None


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = allow_reuse_address = True
    request_queue_size = 128


class Proxy:
    """url; behind: the URL of the one behind, which may be changed at any time."""

    def __init__(self, behind):
        self.behind = behind
        self.lock = threading.Lock()
        proxy = self

        class Handler(socketserver.StreamRequestHandler):
            """One connection, with one behind it."""

            disable_nagle_algorithm = True

            def handle(self):
                """Call after call."""
                behind = _Behind()
                try:
                    while (body := _read_message(self.rfile)) is not None:
                        said = proxy.answer(body, lambda text: behind.ask(proxy.behind, text))
                        self.wfile.write(_message(b"HTTP/1.1 200 OK", said))
                except OSError:
                    pass  # either side has gone
                finally:
                    behind.close()

        self.server = _Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @staticmethod
    def method_of(body):
        """The name of the method that is called."""
        return METHOD.search(body).group(1).decode()

    def answer(self, body, ask):
        """What is said to these bytes; ask(body) is what the one behind says."""
        return ask(body)

    def end(self):
        """Listens no more."""
        self.server.shutdown()
        self.server.server_close()
