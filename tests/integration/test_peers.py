# SPDX-License-Identifier: Apache-2.0
"""Peers in Python keep every rule towards the real programs: relays both ways, lanes, checkpoints,
cosignatures and recovery ([F4] to [F9], [N1] to [N3], [L5] to [L8]).  What they do on purpose
otherwise is test_hostile_gateway.py's and test_hostile_node.py's."""

import pytest

from reference.counterfoil_ref import leaf
from support import net, paths
from support.export import check_all
from support.network import Network
from support.peer import Identity
from support.peer_gateway import Gateway
from support.peer_lane import Book
from support.peer_supplier import Supplier
from support.process import Process, wait_for

RELAYS = 40


@pytest.fixture(scope="module", name="world")
def fixture_world(folder):
    """A real gateway and a real node; beside them a supplier and a gateway in Python."""
    port = net.free_port()
    backend = Process("backend", [paths.FAULTNODE, port], folder).start()
    supplier, me = Supplier(b"honest supplier".ljust(32)), Identity(b"honest gateway".ljust(32))
    # One session for all of it: a call, an export and a call may take a slow machine a minute.
    network = Network(folder / "network", [f"http://127.0.0.1:{port}"], stakes=(1,), block_ms=100,
                      session_blocks=6000, guests=[(supplier.me.hex, supplier.port, 1)],
                      gateways=[me.hex])
    network.start_keeper()
    book = Book(network)
    supplier.start(book)
    network.start()
    yield network, book, supplier, me
    supplier.stop()
    network.end()
    backend.end()


def calls(network, count):
    """Who answered each of so many calls; all of them are right."""
    one, who = net.Http(network.url), []
    for _ in range(count):
        answer, headers = one.call("eth_chainId")
        assert answer["result"] == "0x1"
        who.append(headers["counterfoil-supplier"])
    one.close()
    return who


def test_a_supplier_in_python_serves_a_real_gateway(world):
    """[F7] [L1]: its leaves are receipts like all others, and all are cosigned."""
    network, _, supplier, _ = world
    both = {supplier.me.hex, network.node_keys[0]}
    wait_for("both suppliers", lambda: set(calls(network, RELAYS)) == both)
    lane = max(supplier.lanes.values(), key=lambda lane: len(lane.leaves))
    wait_for("a cosignature of the last head", lambda: len(lane.leaves) in lane.cosigned)
    assert supplier.broken == [] and supplier.strange == []


def test_a_gateway_in_python_is_served_by_a_real_node(world):
    """[F5] [F6] [F8]: answers, an RPC error, a refusal, and the cosignature that pays."""
    network, book, _, me = world
    application = network.applications[0]
    link = Gateway.connect(network.node_ports[0], me, book)
    handle = link.open(book.session(application, book.start()))
    answers = [link.call(handle) for _ in range(5)]
    assert all(a.body == b'{"jsonrpc":"2.0","id":1,"result":"0x1"}' for a in answers)
    assert [a.leaf.kind for a in answers] == [leaf.ANSWER] * 5
    refused = link.call(handle, b'{"jsonrpc":"2.0","id":1,"method":"eth_accounts","params":[]}')
    assert refused.refusal == "method" and refused.body == b"method"
    (lane,) = link.lanes.values()
    link.cosign(lane)
    link.ping()
    assert wait_for("the node has it", lambda: network.export(network.nodes[0]).lanes[
        lane.id.hex()].final_size() == 6)
    link.call(handle)
    link.close()
    test = lane

    # The link is gone, a leaf is not cosigned: recovery settles it on the next one.
    link = wait_for("the lane left behind", lambda: relist(network, book, me, test))
    assert link.listing[test.id.hex()]["size"] == 7
    assert link.listing[test.id.hex()]["cosigned_size"] == 6
    link.cosign(test)
    link.until(lambda: test.id.hex() in link.closed)
    assert link.closed[test.id.hex()]["size"] == 7
    link.close()


def relist(network, book, me, lane):
    """A new link, if the node lists the lane on it."""
    link = Gateway.connect(network.node_ports[0], me, book, [lane])
    if lane.id.hex() in link.listing:
        return link
    link.close()
    return None


def test_a_cut_link_of_a_supplier_in_python_recovers(world):
    """[L7] [L8]: the gateway cosigns what it has of the lane that was left behind."""
    network, _, supplier, _ = world
    wait_for("its relay", lambda: supplier.me.hex in calls(network, 4))
    supplier.cut()
    wait_for("the lanes to be settled", lambda: supplier.ends and supplier.links_up > 1 and not supplier.left)
    for lane in supplier.lanes.values():
        assert not lane.leaves or len(lane.leaves) in lane.cosigned or lane in supplier.live()
    assert supplier.broken == []


def test_both_ledgers_agree_about_all_of_it(world):
    """[L10]"""
    network, _, supplier, _ = world
    wait_for("the real lanes to be cosigned", lambda: network.all_cosigned())
    gateway, nodes = network.exports()
    check_all(gateway, nodes)
    for key, lane in supplier.lanes.items():
        assert key not in gateway.lanes or gateway.lanes[key].leaves == lane.leaves[:len(
            gateway.lanes[key].leaves)]
