# SPDX-License-Identifier: Apache-2.0
"""Calls that are the same at the same moment ([G6]): one relay answers them, each in its own words,
and what befalls one of them befalls no other."""

import concurrent.futures
import json
import socket

import pytest

from support import net
from support.backend import Backend
from support.calls import IDS, ask, call
from support.process import wait_for

HELD = {"hold": True}
# What is held is answered when all have asked, and nobody asks elsewhere because that takes a while.
LONG = "5 min"


@pytest.fixture(scope="module", name="backend")
def fixture_backend(folder):
    """What all nodes ask."""
    backend = Backend(folder, "backend").start()
    wait_for("the backend", lambda: net.answers(backend.url + "/stats"))
    yield backend
    backend.end()


@pytest.fixture(scope="module", name="network")
def fixture_network(network_factory, backend):
    """Two nodes, two applications, and a gateway that shares calls, keeps no answers and sends each once."""
    return network_factory(upstreams=[backend.url], stakes=(1, 1), applications=2,
                           gateway={"share": True, "hedge_percent": 0, "copies": 1, "deadline": LONG,
                                    "attempts": 3},
                           node={"deadline_max": LONG}, upstream={"stall_timeout": LONG})


def gauge(network, name, count):
    """Waits until a gauge of the gateway has a value."""
    wait_for(f"{name} to be {count}", lambda: network.metric(
        network.gateway, f"counterfoil_gateway_{name}") == count)


def together(network, backend, count, work, calls=None, **then):
    """work(i) for each i, in threads; what the backend holds it answers when all calls (one of each, or so
    many) wait, and what comes then is answered by `then`.  Their results in order."""
    with concurrent.futures.ThreadPoolExecutor(count) as pool:
        results = [pool.submit(work, i) for i in range(count)]
        try:
            gauge(network, "in_flight", calls or count)
        finally:
            backend.script(**then)
        return [one.result() for one in results]


class Asked:
    """How often the backend was asked for a method since this was made."""

    def __init__(self, backend, method):
        self.backend, self.method = backend, method
        self.before = backend.asked(method)

    def __call__(self):
        return self.backend.asked(self.method) - self.before


def test_a_hundred_calls_at_once_are_one_relay(network, backend):
    """[G6]: each gets its own id back as it wrote it; one has the salt, the others the receipt's name."""
    backend.script(methods={"eth_gasPrice": {"result": "0x77", **HELD}})
    relayed, asked = network.relayed(), Asked(backend, "eth_gasPrice")
    got = together(network, backend, 100,
                   lambda i: ask(network.url, call("eth_gasPrice", call_id=IDS[i % len(IDS)])))
    for i, (status, _, text) in enumerate(got):
        assert status == 200
        assert text == f'{{"jsonrpc":"2.0","id":{IDS[i % len(IDS)]},"result":"0x77"}}'
    assert asked() == 1
    assert network.relayed() == relayed + 1
    receipts = [headers["counterfoil-receipt"] for _, headers, _ in got]
    own = [r for r in receipts if r.count("/") == 2]
    shared = [headers for _, headers, _ in got if headers.get("counterfoil-cache") == "shared"]
    assert len(own) == 1 and len(shared) == 99
    lane, seq, salt = own[0].split("/")
    assert {r for r in receipts if r.count("/") == 1} == {f"{lane}/{seq}"}
    assert {headers["counterfoil-session"] for headers in shared} == {"-"}
    assert net.get(f"{network.url}.counterfoil/receipts/{lane}/{seq}?salt={salt}")[0] == 200
    assert net.get(f"{network.url}.counterfoil/receipts/{lane}/{seq}")[0] == 404
    assert network.metric(network.gateway, "counterfoil_gateway_calls_shared_total") == 99


def test_what_is_not_the_same_is_asked_by_itself(network, backend):
    """White space means nothing; parameters, methods and a wish for an answer of one's own do."""
    backend.script(methods={name: {"echo": True, **HELD} for name in ("debug_traceCall", "debug_traceTransaction")})
    calls = [call("debug_traceCall", '["0xAA","0x1"]'), call("debug_traceCall", '[ "0xAA" ,\t"0x1" ]'),
             call("debug_traceCall", '["0xAB","0x1"]'), call("debug_traceCall", '["0xAA","0x2"]'),
             call("debug_traceTransaction", '["0xAA","0x1"]'), call("debug_traceCall", '["0xAA","0x1"]')]
    headers = [None] * 5 + [{"Content-Type": "application/json", "Cache-Control": "no-cache"}]
    got = together(network, backend, len(calls), lambda i: ask(network.url, calls[i], headers[i]))
    assert all(status == 200 for status, _, _ in got)
    assert json.loads(got[5][2])["result"] == ["0xAA", "0x1"]
    assert "counterfoil-cache" not in got[5][1] and got[5][1]["counterfoil-receipt"].count("/") == 2
    assert sorted(headers.get("counterfoil-cache", "own") for _, headers, _ in got[:2]) == ["own", "shared"]
    assert backend.asked("debug_traceCall") == 4 and backend.asked("debug_traceTransaction") == 1


def test_what_writes_or_is_not_known_is_never_shared(network, backend):
    """Sent as often as clients sent it; notifications, too."""
    for method in ("eth_sendRawTransaction", "vendor_thing"):
        backend.script(methods={method: HELD})
        asked = Asked(backend, method)
        together(network, backend, 4, lambda i, method=method: ask(network.url, call(method, '["0x00"]')))
        assert asked() == 4
    backend.script(methods={"eth_gasPrice": HELD})
    asked = Asked(backend, "eth_gasPrice")
    note = '{"jsonrpc":"2.0","method":"eth_gasPrice"}'
    assert [s for s, _, _ in together(network, backend, 3, lambda i: ask(network.url, note))] == [204] * 3
    assert asked() == 3


def test_applications_share_and_batches_do(network, backend):
    """One relay for calls of two applications and within one batch; the list says which is which."""
    backend.script(methods={"eth_gasPrice": HELD})
    asked = Asked(backend, "eth_gasPrice")
    tokens = [line.split()[0] for line in (network.folder / "tokens").read_text().splitlines()]
    urls = [f"{network.url}eth/{token}" for token in tokens[:2]]
    got = together(network, backend, 2, lambda i: ask(urls[i], call("eth_gasPrice")))
    assert [status for status, _, _ in got] == [200, 200]
    assert asked() == 1
    batch = f'[{call("eth_gasPrice", call_id="7")},{call("eth_gasPrice", call_id="8")}]'
    backend.script(methods={"eth_gasPrice": HELD})
    ((_, headers, text),) = together(network, backend, 1, lambda i: ask(network.url, batch), calls=2)
    assert [answer["id"] for answer in json.loads(text)] == [7, 8]
    assert headers["counterfoil-cache"] == "-, shared"
    first, second = headers["counterfoil-receipt"].split(", ")
    assert first.rpartition("/")[0] == second
    assert asked() == 2


def test_a_failure_is_shared_only_where_asking_again_would_not_help(network, backend):
    """A revert is everybody's answer; of an overload each call that waited makes one more try of its own."""
    revert = {"code": 3, "message": "execution reverted", "data": "0x08c379a0"}
    backend.script(methods={"eth_call": {"error": revert, **HELD}})
    asked = Asked(backend, "eth_call")
    got = together(network, backend, 10, lambda i: ask(network.url, call("eth_call", '[{"to":"0xAA"},"0x1"]')))
    assert {json.loads(text)["error"]["message"] for _, _, text in got} == {"execution reverted"}
    assert asked() == 1
    asked = Asked(backend, "eth_call")
    backend.script(methods={"eth_call": {"error": {"code": -32005, "message": "rate limit exceeded"}, **HELD}})
    got = together(network, backend, 10, lambda i: ask(network.url, call("eth_call", '[{"to":"0xAB"},"0x1"]')),
                   methods={"eth_call": {"result": "0x09"}})
    told = [json.loads(text) for _, _, text in got]
    assert sum("error" in answer for answer in told) <= 1
    assert {answer["result"] for answer in told if "result" in answer} == {"0x09"}
    assert asked() < 10  # those who try again at the same time share that too


def test_who_asked_first_may_leave_and_who_reads_slowly_holds_nobody(network, backend):
    """The others get their answer, after one relay."""
    backend.script(methods={"eth_gasPrice": HELD})
    asked = Asked(backend, "eth_gasPrice")
    first = socket.create_connection(("127.0.0.1", network.port))
    body = call("eth_gasPrice")
    first.sendall(f"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
    wait_for("the backend to be asked", lambda: asked() == 1)
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        others = [pool.submit(ask, network.url, body) for _ in range(3)]
        gauge(network, "in_flight", 4)
        first.close()
        gauge(network, "connections", 3)
        backend.script()
        assert [json.loads(other.result()[2])["result"] for other in others] == ["0x1"] * 3
    assert asked() == 1


def test_a_long_answer_goes_to_each_by_itself(network, backend):
    """Its parts belong to one client, unless they are kept back; the others ask when they see that it is long."""
    long = {"debug_traceBlockByNumber": {"size": 300000}}
    backend.script(methods={name: said | HELD for name, said in long.items()})
    body = call("debug_traceBlockByNumber", '["0x1"]')
    got = together(network, backend, 5, lambda i: ask(network.url, body), methods=long)
    assert {(status, len(json.loads(text)["result"])) for status, _, text in got} == {(200, 300000)}
    assert all(headers["counterfoil-receipt"].count("/") == 2 for _, headers, _ in got)
    assert backend.asked("debug_traceBlockByNumber") == 5
