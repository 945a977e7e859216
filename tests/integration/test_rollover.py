# SPDX-License-Identifier: Apache-2.0
"""Sessions of about a second under load: no call fails, no receipt is missing on either side."""

from support.counts import count
from support.export import check_all, missing
from support.load import Load
from support.process import wait_for


def test_rollover_costs_no_call_and_no_receipt(network_factory, anvil):
    sessions = count("rollover_sessions")
    network = network_factory(upstreams=[anvil.url], block_ms=100, session_blocks=10)
    with Load(network.url, clients=count("rollover_clients")) as load:
        wait_for("each of the sessions", lambda: len(load.sessions) > sessions)
    assert load.failed() == []
    network.stop()
    gateway, nodes = network.exports()
    receipts = [a.receipt for a in load.answers]
    assert len(set(receipts)) == len(receipts) > sessions * 10
    assert missing(receipts, [gateway]) == []
    assert missing(receipts, nodes) == []
    check_all(gateway, nodes)
