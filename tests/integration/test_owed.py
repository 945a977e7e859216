# SPDX-License-Identifier: Apache-2.0
"""A supplier that no session needs any more still gets its last receipts cosigned [L7] [L8]."""

import time

import pytest

from support import net, paths
from support.network import LAGS, Network, run
from support.process import Process, wait_for

RELAYS = 60
SESSION_BLOCKS = 10
BLOCK_MS = 100


@pytest.fixture(name="network")
def fixture_network(tmp_path):
    port = net.free_port()
    backend = Process("backend", [paths.FAULTNODE, port], tmp_path)
    network = Network(tmp_path / "network", [f"http://127.0.0.1:{port}"], stakes=(1, 1),
                      session_blocks=SESSION_BLOCKS, block_ms=BLOCK_MS,
                      gateway={"cosign_interval": "1 min", "link.grace": "1 s"})
    try:
        backend.start()
        yield network.start()
    finally:
        network.end()
        backend.end()


def suppliers_of(network, calls):
    """Who answered each of so many calls."""
    one = net.Http(network.url)
    try:
        return [one.call("eth_chainId")[1]["counterfoil-supplier"] for _ in range(calls)]
    finally:
        one.close()


def uncosigned(network, node):
    """Delivered leaves of a node under no cosigned head."""
    return sum(len(lane.leaves) - sum(to - start for start, to in lane.undelivered) - lane.final_size()
               for lane in network.export(node).lanes.values())


def test_a_supplier_that_left_is_owed_a_cosignature_and_gets_it(network):
    leaver, key = network.nodes[0], network.node_keys[0]
    assert key in suppliers_of(network, RELAYS)
    network.gateway.kill()  # it has not cosigned the last of them
    wait_for("the node's lane to be left behind", lambda: "link.closed" in leaver.log())
    assert uncosigned(network, leaver) > 0
    run("unstake", "--registry", network.registry, key)

    # A snapshot and two sessions later nobody draws it any more.
    time.sleep((LAGS["snapshot_lag"] + 2 * SESSION_BLOCKS + 5) * BLOCK_MS / 1000)
    network.gateway.start()
    network.gateway.ready(lambda: net.answers(network.gateway.admin + "/readyz"), 30)
    assert key not in suppliers_of(network, RELAYS)
    wait_for("all that it delivered cosigned", lambda: uncosigned(network, leaver) == 0, interval=0.5)


def move(network, node, key):
    """The node listens elsewhere from its next start on, and the registry knows."""
    before, after = network.node_ports[0], net.free_port()
    text = node.config.read_text()
    assert f":{before}" in text
    node.config.write_text(text.replace(f":{before}", f":{after}"))
    run("stake", "--registry", network.registry, "--endpoint", f"127.0.0.1:{after}", key, 0)


def test_a_lane_that_is_left_behind_later_is_cosigned_where_its_supplier_is_by_then(network):
    """The gateway runs all the time, and the sessions that it has stay the same."""
    leaver, key = network.nodes[0], network.node_keys[0]
    assert key in suppliers_of(network, RELAYS)
    run("unstake", "--registry", network.registry, key)
    wait_for("a session without it, and its grace", lambda: "link.closed" in leaver.log())
    leaver.stop()
    move(network, leaver, key)
    leaver.start()
    wait_for("all that it delivered cosigned", lambda: uncosigned(network, leaver) == 0, interval=0.5)
    assert "recovery.closed" in leaver.log()
