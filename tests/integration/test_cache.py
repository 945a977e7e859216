# SPDX-License-Identifier: Apache-2.0
"""Answers that are kept ([G6]): given again as long as they hold, and no longer.

Chains are reorganised by anvil under a gateway that is asked before and after; what it gives is
compared with what the chain itself says."""

import json

import pytest

from support import net
from support.backend import Backend
from support.process import wait_for

IDS = ["1", "0", "-7", "1.5e3", "12345678901234567890123456789", '"1"', '"a\\u00e9\\"b"', '""', "null",
       "9007199254740993"]


@pytest.fixture(scope="module", name="backend")
def fixture_backend(folder):
    """A scripted chain node, which counts what it is asked."""
    backend = Backend(folder, "backend").start()
    wait_for("the backend", lambda: net.answers(backend.url + "/stats"))
    yield backend
    backend.end()


@pytest.fixture(scope="module", name="scripted")
def fixture_scripted(network_factory, backend):
    """Two suppliers in front of the script, behind a gateway that keeps answers."""
    return network_factory(upstreams=[backend.url], stakes=(1, 1), gateway={"cache_bytes": "4 MiB"})


def ask(network, body, headers=None):
    """(status, headers, text) of one POST."""
    client = net.Http(network.url, timeout=60)
    try:
        status, got, data = client.post(body, headers)
        return status, got, data.decode()
    finally:
        client.close()


def call(method, params="[]", call_id="1"):
    """The text of a call, its id as written."""
    return f'{{"jsonrpc":"2.0","id":{call_id},"method":"{method}","params":{params}}}'


def is_hit(headers):
    """Whether the answer was kept."""
    return headers.get("counterfoil-cache") == "hit"


def until_hit(network, body):
    """(headers, text) of the first answer that was kept: both suppliers have said the same by then."""
    def hit():
        status, headers, text = ask(network, body)
        assert status == 200, text
        return (headers, text) if is_hit(headers) else None
    return wait_for("a kept answer", hit)


def test_what_holds_for_ever_is_given_with_each_id_and_without_a_relay(backend, scripted):
    """[G6]: the receipt is named, and opened by nobody; no node is asked, nothing is paid."""
    body = call("net_version")
    backend.script(methods={"net_version": {"result": "1"}})
    until_hit(scripted, body)
    asked, relayed = backend.asked("net_version"), scripted.relayed()
    for call_id in IDS:
        status, headers, text = ask(scripted, call("net_version", call_id=call_id))
        assert (status, text) == (200, f'{{"jsonrpc":"2.0","id":{call_id},"result":"1"}}')
        assert is_hit(headers) and headers["counterfoil-session"] == "-"
        assert headers["counterfoil-supplier"] in scripted.node_keys
        lane, seq = headers["counterfoil-receipt"].split("/")
        assert net.get(f"{scripted.url}.counterfoil/receipts/{lane}/{seq}")[0] == 404
    assert (backend.asked("net_version"), scripted.relayed()) == (asked, relayed)


def test_a_batch_has_both_kinds_and_a_client_may_insist_on_a_relay(backend, scripted):
    """[G6]: lists in the order of the calls; `Cache-Control: no-cache` gets a receipt with a salt."""
    backend.script(methods={"net_version": {"result": "1"}})
    until_hit(scripted, call("net_version"))
    batch = f'[{call("eth_sendRawTransaction", call_id="5")},{call("net_version", call_id="6")}]'
    _, headers, text = ask(scripted, batch)
    assert [answer["id"] for answer in json.loads(text)] == [5, 6]
    assert headers["counterfoil-cache"] == "-, hit"
    assert [r.count("/") for r in headers["counterfoil-receipt"].split(", ")] == [2, 1]
    asked = backend.asked("net_version")
    for wish in ("no-cache", "max-age=0, no-store"):
        _, headers, _ = ask(scripted, call("net_version"),
                            {"Content-Type": "application/json", "Cache-Control": wish})
        assert not is_hit(headers) and headers["counterfoil-receipt"].count("/") == 2
    assert backend.asked("net_version") == asked + 2


@pytest.mark.parametrize("action", [{"result": None}, {"error": {"code": -32000, "message": "try later"}}])
def test_errors_and_null_are_asked_for_each_time(backend, scripted, action):
    """Whatever they are an answer to."""
    for method, params in (("eth_chainId", "[]"), ("eth_getTransactionReceipt", f'["0x{"ab" * 32}"]'),
                           ("eth_getBlockByNumber", '["0x1",false]')):
        backend.script(methods={method: action})
        asked = backend.asked(method)
        for _ in range(5):
            _, headers, _ = ask(scripted, call(method, params))
            assert "counterfoil-cache" not in headers
        assert backend.asked(method) >= asked + 5


def test_two_suppliers_who_differ_make_nothing_that_holds(folder, network_factory):
    """A lie about what no block can prove is not made to last."""
    backends = [Backend(folder, f"liar{n}", {"methods": {"net_version": {"result": str(n)}}}).start()
                for n in range(2)]
    for backend in backends:
        wait_for("the backend", lambda b=backend: net.answers(b.url + "/stats"))
    network = network_factory(upstreams=[b.url for b in backends], stakes=(1, 1),
                              gateway={"cache_bytes": "1 MiB"})
    for _ in range(30):
        _, headers, _ = ask(network, call("net_version"))
        assert not is_hit(headers)
    for backend in backends:
        backend.end()
