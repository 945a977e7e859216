# SPDX-License-Identifier: Apache-2.0
"""A ledger at its limit refuses by name, loses nothing, and goes on when there is room."""

import json

import pytest

from support import net
from support.load import Load
from support.process import wait_for

LIMIT = 16 << 20


@pytest.fixture(scope="module")
def network(network_factory, anvil):
    """Gateway and node 0 with a limit of 16 MiB."""
    made = network_factory(upstreams=[anvil.url])
    for process in (made.gateway, made.nodes[0]):
        assert process.stop() == 0
        text = process.config.read_text()
        text = text.replace("ledger:\n", "ledger:\n  max_bytes: 16 MiB\n")
        process.config.write_text(text + "evidence:\n  max_bytes: 4 MiB\n")
        process.start()
    made.wait_ready(60)
    return made


def ballast_of(process):
    """A file that counts as the ledger's."""
    return process.folder / f"{process.name}.ledger" / "ballast"


def call(network):
    """(HTTP status, reply) of one call."""
    client = net.Http(network.url, 20)
    status, _, data = client.post(json.dumps({"jsonrpc": "2.0", "id": 7, "method": "eth_chainId",
                                              "params": []}))
    return status, json.loads(data)


def ready(process):
    """(HTTP status, text) of its /readyz."""
    status, _, data = net.get(process.admin + "/readyz")
    return status, data.decode()


def test_a_full_gateway_refuses_by_name_and_goes_on(network):
    """ledger.max_bytes, before the disk is full."""
    ballast = ballast_of(network.gateway)
    ballast.write_bytes(bytes(LIMIT))
    try:
        status, reply = wait_for("refusal", lambda: (lambda r: r if "error" in r[1] else None)(
            call(network)), interval=0.2)
        assert reply["id"] == 7 and reply["error"]["code"] == -32603
        assert "ledger" in reply["error"]["message"], reply
        assert status == 200
        status, text = ready(network.gateway)
        assert status == 503 and "ledger" in text
        assert "ledger.full" in network.gateway.log()
    finally:
        ballast.unlink()
    wait_for("an answer", lambda: call(network)[1].get("result") == "0x7a69", interval=0.2)
    wait_for("ready", lambda: ready(network.gateway)[0] == 200, interval=0.2)
    assert "ledger.room" in network.gateway.log()
    assert "ledger.lane_dead" not in network.gateway.log()


def test_a_full_node_costs_the_client_nothing(network):
    """Another node is asked."""
    ballast = ballast_of(network.nodes[0])
    ballast.write_bytes(bytes(LIMIT))
    try:
        wait_for("full", lambda: ready(network.nodes[0])[0] == 503, interval=0.2)
        with Load(network.url, clients=4) as load:
            wait_for("calls", lambda: network.metric(network.nodes[1], "counterfoil_ledger_leaves_total")
                     > 100, interval=0.1)
        assert load.answers and load.failed() == []
    finally:
        ballast.unlink()
    wait_for("ready", lambda: ready(network.nodes[0])[0] == 200, interval=0.2)
