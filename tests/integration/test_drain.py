# SPDX-License-Identifier: Apache-2.0
"""SIGTERM under load: programs leave in order, and nobody's call fails because of it."""

import http.client
import json
import threading
import time

import pytest

from support import net
from support.backend import Backend
from support.counts import count
from support.export import check_all, missing
from support.load import Load
from support.process import PATIENCE_S, wait_for
from support.watch import nothing_left_behind, opened

FEW = 50  # relays before anything is stopped
DRAINS = {"drain": "2 min"}  # what is held is waited for
WAITS = {"deadline": "2 min", "attempts": 2}


def relayed_more(network, than):
    """True when the gateway has assigned MORE relays since."""
    return lambda: network.relayed() >= than + FEW


@pytest.mark.parametrize("workers", [1, 2])
def test_rolling_restarts_of_every_node_cost_no_call_and_no_receipt(network_factory, anvil, workers):
    """[F11]"""
    network = network_factory(upstreams=[anvil.url], stakes=(1, 1), gateway={"workers": workers},
                              node={"workers": workers, "drain": f"{PATIENCE_S:.0f} s"})
    with Load(network.url, clients=6) as load:
        wait_for("first relays", relayed_more(network, 0))
        wait_for("each client's connection", lambda: len(load.answered) == load.clients)
        wait_for("each node's link", lambda: all(
            network.metric(node, "counterfoil_node_relays_total") > 0 for node in network.nodes))
        sockets = opened(network.gateway.pid)["socket"]
        for _ in range(count("rolling_rounds")):
            for node in network.nodes:
                begun = time.monotonic()
                assert node.stop() == 0, node.log()[-2000:]
                assert time.monotonic() - begun < PATIENCE_S / 2, "well within node.drain"
                node.start()
                node.ready(lambda node=node: net.answers(node.admin + "/readyz"))
                wait_for("the node is asked again", lambda node=node: network.metric(
                    node, "counterfoil_node_relays_total") > FEW)
        nothing_left_behind(network.gateway, sockets, workers)
    assert load.failed() == []
    assert len(load.answers) > FEW
    network.stop()
    for node in network.nodes:
        assert f"workers={workers}" in node.log()
    gateway, nodes = network.exports()
    receipts = [a.receipt for a in load.answers]
    assert len(set(receipts)) == len(receipts)
    assert missing(receipts, [gateway]) == []
    assert missing(receipts, nodes) == []
    check_all(gateway, nodes)
    for lane in (lane for node in nodes for lane in node.lanes.values()):
        assert lane.final_size() == len(lane.leaves), "the last head of each lane is cosigned"


@pytest.fixture(name="slow")
def fixture_slow(folder):
    """A backend that answers eth_gasPrice when it is given its next script."""
    backend = Backend(folder, "slow")
    backend.start()
    backend.ready(lambda: net.answers(backend.url + "/stats"))
    backend.script(methods={"eth_gasPrice": {"hold": True}})
    yield backend
    backend.end()


class Asked(threading.Thread):
    """One call on a thread of its own: (status, headers, answer), or what went wrong."""

    def __init__(self, url, method):
        super().__init__(daemon=True)
        self.url, self.method, self.outcome = url, method, None
        self.start()

    def run(self):
        try:
            status, headers, data = net.Http(self.url).post(json.dumps(
                {"jsonrpc": "2.0", "id": 1, "method": self.method, "params": []}))
            self.outcome = status, headers, json.loads(data)
        except (OSError, http.client.HTTPException, ValueError) as error:
            self.outcome = error

    def answer(self):
        """Its result, once it is there."""
        self.join(PATIENCE_S)
        assert isinstance(self.outcome, tuple), self.outcome
        return self.outcome[2]["result"]


def in_flight(network, process, name):
    """Waits until a process has a call in flight; there are no others, of heads."""
    wait_for("a call in flight", lambda: network.metric(process, name) > 0)


def test_a_node_that_stops_ends_what_it_began_and_its_only_gateway_waits_for_it(network_factory,
                                                                               slow):
    """[F11]"""
    network = network_factory(upstreams=[slow.url], stakes=(1,),
                              gateway=WAITS | {"head_interval": "0 s"}, node=DRAINS)
    node = network.nodes[0]
    begun = Asked(network.url, "eth_gasPrice")
    in_flight(network, node, "counterfoil_node_in_flight")
    stopping = threading.Thread(target=node.stop)
    stopping.start()
    wait_for("the gateway knows", lambda: "gateway.node_leaves" in network.gateway.log())
    late = Asked(network.url, "eth_chainId")
    slow.script()
    stopping.join(PATIENCE_S)
    assert node.child.returncode == 0
    assert begun.answer()
    assert late.is_alive(), "there is nobody to ask"
    node.start()
    assert late.answer()
    network.stop()
    gateway, nodes = network.exports()
    check_all(gateway, nodes)


def test_a_gateway_that_stops_answers_what_comes_on_its_connections_and_ends_them(network_factory,
                                                                                 slow):
    network = network_factory(upstreams=[slow.url], stakes=(1,), node={"workers": 2},
                              gateway=WAITS | DRAINS | {"workers": 2, "head_interval": "0 s"})
    idle, silent = net.Http(network.url), net.Http(network.url)
    idle.call("eth_chainId")
    silent.call("eth_chainId")
    begun = Asked(network.url, "eth_gasPrice")
    in_flight(network, network.gateway, "counterfoil_gateway_in_flight")
    stopping = threading.Thread(target=network.gateway.stop)
    stopping.start()
    wait_for("the gateway says so", lambda: "gateway.stopping" in network.gateway.log())
    _, headers = idle.call("eth_chainId")
    assert headers["connection"] == "close"
    with pytest.raises(OSError):
        net.Http(network.url).call("eth_chainId")
    slow.script()
    assert begun.answer()
    assert begun.outcome[1]["connection"] == "close"
    stopping.join(PATIENCE_S)
    assert network.gateway.child.returncode == 0
    silent.connection.sock.settimeout(PATIENCE_S)
    assert silent.connection.sock.recv(1) == b"", "an idle connection ends with the program"
    network.stop()
    gateway, nodes = network.exports()
    receipts = [headers["counterfoil-receipt"], begun.outcome[1]["counterfoil-receipt"]]
    assert missing(receipts, [gateway]) == missing(receipts, nodes) == []
    check_all(gateway, nodes)
    for lane in nodes[0].lanes.values():
        assert lane.final_size() == len(lane.leaves), "cosigned before it left"
