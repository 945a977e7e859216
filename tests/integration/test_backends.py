# SPDX-License-Identifier: Apache-2.0
"""What stands behind the nodes: backends that fail, lie, answer much, or speak TLS."""

import http.server
import json
import shutil
import ssl
import subprocess
import threading

import pytest

from support import net
from support.faulty import Faulty
from support.network import Network, run


class Tls:
    """A backend behind HTTPS with a certificate of its own, on a thread of this process."""

    def __init__(self, folder):
        self.cert, key = folder / "backend.pem", folder / "backend-key.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
                        "-keyout", key, "-out", self.cert, "-subj", "/CN=backend", "-addext",
                        "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True)
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(self.cert, key)
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self.Handler)
        self.server.socket = tls.wrap_socket(self.server.socket, server_side=True)
        self.url = f"https://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    class Handler(http.server.BaseHTTPRequestHandler):
        """Answers every call with the name of its method."""

        protocol_version = "HTTP/1.1"

        def do_POST(self):  # pylint: disable=invalid-name
            """One call."""
            call = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            body = json.dumps({"jsonrpc": "2.0", "id": call["id"], "result": call["method"]})
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_args):  # pylint: disable=arguments-differ
            """Nothing."""


@pytest.fixture(scope="module", name="pair")
def fixture_pair(folder):
    """Two backends behind one node, which prefers the first."""
    backends = [Faulty(folder, f"backend{n}").start() for n in range(2)]
    network = Network(folder / "net", [b.url for b in backends], stakes=(1,))
    network.start()
    yield network, *backends
    network.end()
    for backend in backends:
        backend.end()


def call(network, method="eth_getBalance", params=()):
    """The answer to one call, as JSON."""
    client = net.Http(network.url)
    body = {"jsonrpc": "2.0", "id": "x", "method": method, "params": list(params)}
    try:
        _, headers, answer = client.post(json.dumps(body).encode())
    finally:
        client.close()
    return json.loads(answer), headers


@pytest.mark.parametrize("fault", [
    {"cut": "before"}, {"cut": "half"}, {"cut": "reset"}, {"status": 503, "body": "busy"},
    {"status": 429}, {"body": "<html>", "type": "text/html"}, {"id": 7}, {"body": ""},
    {"raw": "not HTTP\r\n\r\n", "cut": "after"}, {"chunked": True, "cut": "half"},
])
def test_the_second_backend_answers_when_the_first_is_at_fault(pair, fault):
    network, first, second = pair
    first.script(default=fault)
    second.script(default={"result": "0x2"})
    for _ in range(5):
        answer, headers = call(network)
        assert answer == {"jsonrpc": "2.0", "id": "x", "result": "0x2"}
        assert "counterfoil-receipt" in headers
    first.script()


def test_a_transaction_that_may_have_left_is_not_sent_twice(pair):
    network, first, second = pair
    first.script(default={"cut": "before"})
    second.script()
    before = second.stats()["methods"].get("eth_sendRawTransaction", 0)
    sent = first.stats()["methods"].get("eth_sendRawTransaction", 0)
    answer, _ = call(network, "eth_sendRawTransaction", ["0x00"])
    reached = (first.stats()["methods"].get("eth_sendRawTransaction", 0) - sent
               + second.stats()["methods"].get("eth_sendRawTransaction", 0) - before)
    assert reached == 1
    if "error" in answer:
        assert answer["error"]["code"] == -32002
    first.script()


@pytest.mark.parametrize("size", [1000, 65536, 70000, 1000000, 10000000])
def test_an_answer_of_any_size_comes_whole_and_receipted(pair, size):
    network, first, second = pair
    for backend in (first, second):
        backend.script(default={"size": size})
    answer, headers = call(network)
    assert answer["result"] == "x" * size
    assert "counterfoil-receipt" in headers
    first.script()


def test_an_answer_over_the_limit_is_an_error_by_name(pair):
    network, first, second = pair
    for backend in (first, second):
        backend.script(default={"size": 20 << 20})
    answer, _ = call(network)
    assert answer["error"]["code"] == -32002
    for backend in (first, second):
        backend.script()
    assert call(network)[0]["result"] == "0x1"


@pytest.mark.skipif(not shutil.which("openssl"), reason="needs the openssl command")
def test_a_backend_behind_tls_is_asked_when_its_certificate_is_trusted(folder):
    backend = Tls(folder)
    network = Network(folder / "tls", [backend.url], stakes=(1,))
    node = network.nodes[0]
    text = node.config.read_text()
    node.config.write_text(text + f"upstream:\n  ca_file: {backend.cert}\n")
    try:
        network.start()
        assert call(network, "eth_getBalance")[0]["result"] == "eth_getBalance"
        assert node.stop() == 0
        node.config.write_text(text)  # the system does not know that certificate
        node.start()
        node.ready(lambda: net.answers(node.admin + "/healthz"))
        assert "error" in call(network, "eth_getBalance")[0]
    finally:
        network.end()
        backend.server.shutdown()
