# SPDX-License-Identifier: Apache-2.0
"""What stands behind the nodes: backends that fail, lie, answer much, or speak TLS."""

import http.server
import json
import shutil
import ssl
import subprocess
import threading
import time
from concurrent import futures

import pytest

from support import net, paths
from support.backend import NEVER_RESTS, Backend
from support.network import Network
from support.process import wait_for


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


# Each fault, and the name of the error that the dApp gets when there is nobody else to ask.
FAULTS = {
    "cut before": ({"cut": "before"}, "upstream"),
    "shorter than its length": ({"cut": "half"}, "upstream"),
    "reset": ({"cut": "reset"}, "upstream"),
    "half a chunk": ({"chunked": True, "cut": "half"}, "upstream"),
    "not HTTP": ({"raw": "not HTTP\r\n\r\n", "cut": "after"}, "upstream"),
    "500": ({"status": 500, "body": "<html>oops</html>", "type": "text/html"}, "upstream"),
    "503": ({"status": 503, "body": "busy"}, "upstream"),
    "404": ({"status": 404, "body": "<html>no</html>", "type": "text/html"}, "upstream"),
    "429": ({"status": 429, "body": '{"message": "slow down"}'}, "upstream"),
    "redirect": ({"status": 302, "headers": {"Location": "http://127.0.0.1:1/"}}, "upstream"),
    "HTML with 200": ({"body": "<html>welcome</html>", "type": "text/html"}, "upstream"),
    "invalid JSON": ({"body": '{"jsonrpc":"2.0","id":1,"result":"0x1"'}, "upstream"),
    "empty": ({"body": ""}, "upstream"),
    "wrong id": ({"id": 7}, "upstream"),
    "null id": ({"id": None}, "upstream"),
    "a batch": ({"body": '[{"jsonrpc":"2.0","id":1,"result":"0x1"}]'}, "upstream"),
    "black hole": ({"hang": True}, "deadline"),
    "slow drip": ({"drip_ms": 200, "drip_bytes": 4}, "deadline"),
}
# A read on a kept connection that ends like this is sent once more, on a fresh one (decisions/0006).
AS_IF_STALE = ("cut before", "reset")
NAMES = pytest.mark.parametrize("fault", FAULTS)
METHOD = "eth_getBalance"


def behind(folder, name, count, **arguments):
    """A network of one node in front of so many scripted backends; it prefers the first."""
    backends = [Backend(folder, f"{name}{n}").start() for n in range(count)]
    for backend in backends:
        backend.ready(lambda b=backend: net.answers(b.url + "/stats"))
    network = Network(folder / name, [b.url for b in backends], stakes=(1,), **arguments)
    return network, backends


def ended(network, backends):
    """The end of all."""
    network.end()
    for backend in backends:
        backend.end()


@pytest.fixture(scope="module", name="single")
def fixture_single(folder):
    """One backend behind one node."""
    network, backends = behind(folder, "single", 1, gateway={"deadline": "3 s", "attempts": 1},
                               upstream=NEVER_RESTS)
    network.start()
    yield network, *backends
    ended(network, backends)


@pytest.fixture(scope="module", name="pair")
def fixture_pair(folder):
    """Two backends behind one node."""
    network, backends = behind(folder, "pair", 2, gateway={"deadline": "3 s", "attempts": 1},
                               upstream=NEVER_RESTS)
    network.start()
    yield network, *backends
    ended(network, backends)


@pytest.fixture(scope="module", name="long")
def fixture_long(folder):
    """The same with time for long answers."""
    network, backends = behind(folder, "long", 2, node={"response_max": "16 MiB"}, upstream=NEVER_RESTS)
    network.start()
    yield network, *backends
    ended(network, backends)


def call(network, method=METHOD, params=()):
    """The answer to one call, as JSON."""
    client = net.Http(network.url)
    body = {"jsonrpc": "2.0", "id": "x", "method": method, "params": list(params)}
    try:
        _, headers, answer = client.post(json.dumps(body).encode())
    finally:
        client.close()
    return json.loads(answer), headers


def texts():
    """The message of each error, as docs/errors.md has it."""
    rows = (line.split("|") for line in (paths.ROOT / "docs/errors.md").read_text().splitlines())
    return {row[1].strip(" `"): (int(row[3]), row[6].strip()) for row in rows
            if len(row) == 8 and row[1].startswith(" `")}


def assert_error(answer, name):
    """Code and message are docs/errors.md's; nothing of the backend's own words is left."""
    code, message = texts()[name]
    assert answer == {"jsonrpc": "2.0", "id": "x", "error":
                      {"code": code, "message": message, "data": {"error": name}}}


def asked(backend, method=METHOD):
    """How often a backend was asked."""
    return backend.asked(method)


def seen(network, name, **labels):
    """One metric of the node, with these labels."""
    words = [f'{label}="{value}"' for label, value in labels.items()]
    text = net.get(network.nodes[0].admin + "/metrics")[2].decode()
    return sum(float(line.rpartition(" ")[2]) for line in text.splitlines()
               if line.startswith(name + "{") and all(word in line for word in words))


def place(backend):
    """As a backend is called in metrics."""
    return backend.url.rstrip("/")


@NAMES
def test_a_fault_of_the_only_backend_is_an_error_by_name(single, fault):
    network, only = single
    action, name = FAULTS[fault]
    only.script(methods={METHOD: action})
    before = asked(only)
    answer, _ = call(network)
    assert_error(answer, name)
    assert asked(only) - before in ((1, 2) if fault in AS_IF_STALE else (1,))
    only.script()
    assert call(network)[0]["result"] == "0x1"


@NAMES
def test_the_second_backend_answers_when_the_first_is_at_fault(pair, fault):
    network, first, second = pair
    first.script(methods={METHOD: FAULTS[fault][0]})
    second.script(default={"result": "0x2"})
    before = asked(first), asked(second)
    answer, headers = call(network)
    assert answer == {"jsonrpc": "2.0", "id": "x", "result": "0x2"}
    assert "counterfoil-receipt" in headers
    assert asked(first) - before[0] in ((1, 2) if fault in AS_IF_STALE else (1,))
    assert asked(second) == before[1] + 1
    first.script()


@NAMES
def test_a_write_reaches_one_backend_once_whatever_becomes_of_it(pair, fault):
    network, first, second = pair
    write = "eth_sendRawTransaction"
    first.script(methods={write: FAULTS[fault][0]})
    second.script()
    before = asked(first, write) + asked(second, write)
    answer, _ = call(network, write, ["0x00"])
    assert asked(first, write) + asked(second, write) == before + 1
    assert_error(answer, FAULTS[fault][1])
    first.script()


def test_an_error_of_the_call_passes_whatever_its_status(pair):
    """JSON-RPC's error object with HTTP 400 or 500, as some backends have it: docs/decisions/0013."""
    network, first, second = pair
    error = {"code": 3, "message": "execution reverted", "data": "0x"}
    for backend in (first, second):
        backend.script(default={"error": error, "status": 500})
    assert call(network)[0] == {"jsonrpc": "2.0", "id": "x", "error": error}
    second.script(default={"result": "0x2"})
    assert call(network)[0]["result"] == "0x2"  # a backend that is well knows better
    second.script(default={"cut": "before"})
    assert call(network)[0]["error"] == error
    first.script(default={"error": error, "status": 400})
    before = asked(second)
    assert call(network)[0]["error"] == error
    assert asked(second) == before  # 400 is the call's own fault
    first.script()


@pytest.mark.parametrize("size", [1000, 65536, 70000, 1000000, 10000000])
def test_an_answer_of_any_size_comes_whole_and_receipted(long, size):
    network, first, second = long
    for backend in (first, second):
        backend.script(default={"size": size})
    answer, headers = call(network)
    assert answer["result"] == "x" * size
    assert "counterfoil-receipt" in headers
    first.script()


def test_an_answer_over_the_limit_is_an_error_by_name(long):
    network, first, second = long
    for backend in (first, second):
        backend.script(default={"size": 20 << 20})
    answer, _ = call(network)
    assert answer["error"]["code"] == -32002
    for backend in (first, second):
        backend.script()
    assert call(network)[0]["result"] == "0x1"


# --- the breaker, its requests counted at the backends ---


def test_a_backend_that_fails_is_left_alone_then_tried_then_used_again(folder):
    network, backends = behind(folder, "breaker", 2, upstream={
        "failures_max": 4, "open_min": "200 ms", "open_max": "400 ms", "probe_interval": "1 min", "trials": 2})
    first, second = backends
    try:
        network.start()
        bad = {METHOD: {"status": 500, "body": "no"}}
        away = bad | {"eth_chainId": {"cut": "before"}}  # it rests until a probe is answered
        first.script(methods=away)
        for _ in range(20):
            assert call(network)[0]["result"] == "0x1"
        assert asked(first) == 4
        assert seen(network, "counterfoil_upstream_breaker", backend=place(first), state="open") == 1
        assert seen(network, "counterfoil_upstream_up", backend=place(first)) == 0
        assert seen(network, "counterfoil_upstream_faults_total", backend=place(first), fault="status") == 4

        def state(word):
            return seen(network, "counterfoil_upstream_breaker", backend=place(first), state=word) == 1

        first.script(methods=bad)
        wait_for("a probe has been answered", lambda: state("half_open"))
        assert asked(first) == 4  # the probe needed no call of a dApp's
        first.script(methods=away)
        for _ in range(5):
            assert call(network)[0]["result"] == "0x1"
        assert asked(first) == 5  # one trial
        first.script()
        wait_for("the next trial", lambda: state("half_open"))
        assert asked(second) == 20 + 5
        for _ in range(5):
            assert call(network)[0]["result"] == "0x1"
        assert asked(first) == 10 and state("closed")
        assert asked(second) == 25
        log = network.nodes[0].log()
        assert [word for word in ("upstream.down", "upstream.trial", "upstream.up") if word not in log] == []
    finally:
        ended(network, backends)


def test_a_dead_backend_costs_no_call_more_than_an_attempt_and_most_none(folder):
    network, backends = behind(folder, "dead", 2)
    first, second = backends
    try:
        network.start()
        before = seen(network, "counterfoil_upstream_requests_total", backend=place(first))
        first.kill()
        for _ in range(30):
            assert call(network)[0]["result"] == "0x1"
        assert asked(second) == 30
        tried = seen(network, "counterfoil_upstream_requests_total", backend=place(first)) - before
        assert tried <= 5  # upstream.failures_max
        second.kill()
        assert_error(call(network, "eth_sendRawTransaction", ["0x00"])[0], "no_backend")
        wait_for("not ready", lambda: b"no_backend: service eth" in net.get(network.nodes[0].admin + "/readyz")[2])
        for backend in backends:
            backend.start()
        wait_for("a first answer", lambda: "result" in call(network)[0])
        wait_for("ready", lambda: net.answers(network.nodes[0].admin + "/readyz"))
    finally:
        ended(network, backends)


def test_a_write_goes_to_another_node_when_one_has_no_backend(folder):
    backends = [Backend(folder, f"alone{n}").start() for n in range(2)]
    network = Network(folder / "alone", [b.url for b in backends], stakes=(1, 1))
    write = "eth_sendRawTransaction"
    try:
        for n, node in enumerate(network.nodes):  # each has one of its own
            text = node.config.read_text()
            node.config.write_text(text.replace(f", {backends[1 - n].url}", ""))
        network.start()
        serving = set()
        wait_for("both nodes serve", lambda: serving.add(
            call(network, "web3_clientVersion", [])[1]["counterfoil-supplier"]) or len(serving) == 2)
        backends[0].kill()
        for _ in range(10):
            told = call(network, write, ["0x00"])[0]
            assert told.get("result") == "0x1", told
        assert asked(backends[1], write) == 10
    finally:
        ended(network, backends)


@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_is_honoured_and_the_limit_to_it(folder, status):
    network, backends = behind(folder, f"later{status}", 1, upstream={"retry_after_max": "4 s"})
    only = backends[0]
    busy = {"status": status, "body": "later", "headers": {"Retry-After": "3600"}}
    try:
        network.start()
        only.script(methods={METHOD: busy})
        begun = time.monotonic()
        assert "error" in call(network)[0]
        before = asked(only)
        only.script()
        assert_error(call(network)[0], "no_backend")
        assert asked(only) == before
        wait_for("its return", lambda: "result" in call(network)[0])
        assert time.monotonic() - begun > 3.5
    finally:
        ended(network, backends)


# --- room ---


def test_no_backend_gets_more_requests_at_a_time_than_it_may(folder):
    network, backends = behind(folder, "room", 2, upstream={"requests_max": 3, "queue_max": 20},
                               gateway={"deadline": "2 min", "attempts": 1, "head_interval": "0 s"})
    try:
        network.start()
        for backend in backends:
            backend.script(default={"hold": True})
        with futures.ThreadPoolExecutor(40) as pool:
            calls = [pool.submit(call, network) for _ in range(40)]
            try:
                wait_for("no room for more", lambda: sum(one.done() for one in calls) == 40 - 6 - 20)
            finally:
                for backend in backends:
                    backend.script()
            answers = [one.result()[0] for one in calls]
        good = sum(answer.get("result") == "0x1" for answer in answers)
        for answer in answers:
            if "error" in answer:
                assert_error(answer, "overload")
        assert good == 6 + 20
        assert [backend.stats()["most"] for backend in backends] == [3, 3]
        assert seen(network, "counterfoil_upstream_in_flight", backend=place(backends[0])) == 0
    finally:
        ended(network, backends)


# --- another chain ---


def test_a_node_does_not_start_with_backends_of_two_chains_and_doctor_says_which(folder):
    network, backends = behind(folder, "chains", 2)
    node = network.nodes[0]
    try:
        backends[1].script(methods={"eth_chainId": {"result": "0x539"}})
        why = f"{backends[1].url} is of chain 1337, its siblings are of 1"
        node.start()
        assert node.child.wait(60) == 1
        assert why in node.log()
        told = subprocess.run([paths.COUNTERFOIL, "doctor", node.config], capture_output=True,
                              text=True, check=False)
        assert told.returncode == 1
        assert f"fix   backend eth {backends[1].url}: it is of chain 1337" in told.stdout
        assert f"pass  backend eth {backends[0].url}: chain 1" in told.stdout
    finally:
        ended(network, backends)


def test_a_backend_that_comes_back_as_another_chain_serves_nothing(folder):
    network, backends = behind(folder, "turncoat", 2, upstream={"probe_interval": "200 ms"})
    first, second = backends
    try:
        network.start()
        first.script(methods={"eth_chainId": {"result": "0x539"}}, default={"result": "0xbad"})
        wait_for("it is barred", lambda: seen(network, "counterfoil_upstream_breaker",
                                              backend=place(first), state="barred") == 1)
        before = asked(first)
        for _ in range(10):
            assert call(network)[0]["result"] == "0x1"
        assert asked(first) == before
        assert "upstream.wrong_chain" in network.nodes[0].log()
        second.kill()
        assert "error" in call(network)[0]
        assert asked(first) == before
        first.script()
        wait_for("it is of the right chain again", lambda: "result" in call(network)[0])
    finally:
        ended(network, backends)


@pytest.mark.skipif(not shutil.which("openssl"), reason="needs the openssl command")
def test_a_backend_behind_tls_is_asked_when_its_certificate_is_trusted(folder):
    backend = Tls(folder)
    network = Network(folder / "tls", [backend.url], stakes=(1,))
    node = network.nodes[0]
    text = node.config.read_text()
    node.config.write_text(text.replace("upstream:\n", f"upstream:\n  ca_file: {backend.cert}\n"))
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
