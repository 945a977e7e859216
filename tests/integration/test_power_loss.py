# SPDX-License-Identifier: Apache-2.0
"""A power loss, as a ledger sees it: the end of what it wrote is gone.  The peer gives it back.

The ledger is copied while its program is stopped, as the disk would have it at that moment; later
the program is killed and started on the copy.
"""

import time
from contextlib import ExitStack

import pytest

from support.disk import differing, disk_of, heads, ledger_of
from support.export import audit, missing
from support.load import Load
from support.process import wait_for

FIRST_RELAYS = 50


def lose_power(network_factory, anvil, folder, which):
    """(network, lines of the notebook, when the copy was taken, gateway's export, nodes')."""
    network = network_factory(upstreams=[anvil.url])
    victim = network.gateway if which == "gateway" else network.nodes[1]
    notebook = folder / f"notebook-{which}"
    with Load(network.url, clients=4, notebook=notebook) as load:
        wait_for("first relays", lambda: notebook.read_text().count("\n") > FIRST_RELAYS)
        with disk_of(victim) as restore:
            kept = notebook.read_text().count("\n")
            wait_for("what is to be lost", lambda: notebook.read_text().count("\n") > kept + 2 * FIRST_RELAYS)
            load.stop()
            wait_for("all of it cosigned", network.all_cosigned, interval=0.2)
            restore()
    victim.start()
    network.wait_ready(60)

    gateway, nodes = wait_for("recovery", network.settled, interval=1.0)
    lines = notebook.read_text().split("\n")[:-1]
    assert len(lines) > kept + FIRST_RELAYS, "nothing would have been lost"
    return network, lines, gateway, nodes


def adopted(export):
    """How many leaves of an export came from the peer."""
    return sum(to - start for lane in export.lanes.values() for start, to in lane.adopted)


@pytest.fixture(scope="module", params=["node", "gateway"])
def after(request, network_factory, anvil, folder):
    """What is there when recovery has ended."""
    return (request.param, *lose_power(network_factory, anvil, folder, request.param))


def test_the_peer_gives_the_lost_leaves_back(after):
    """[L6] [L7] [L8] [L9]: all was cosigned before the loss, so all of it comes back."""
    which, _, lines, gateway, nodes = after
    assert adopted(gateway if which == "gateway" else nodes[1]) > 0
    receipts = [line.split(" ")[0] for line in lines]
    assert missing(receipts, [gateway]) == []
    assert missing(receipts, nodes) == []


def test_both_ledgers_verify_and_every_difference_has_a_name(after):
    """[L10]"""
    _, _, _, gateway, nodes = after
    for one in (gateway, *nodes):
        status, said = audit("verify", one.folder)
        assert status == 0, said
    for node in nodes:
        status, said = audit("reconcile", gateway.folder, node.folder)
        assert status == 0, said


def test_relays_go_on_and_are_cosigned(after):
    """[T2]: new lanes; nothing of the old ones is used again."""
    _, network, _, gateway, nodes = after
    before = {name: len(lane.leaves) for node in nodes for name, lane in node.lanes.items()
              if lane.state == "closed"}
    with Load(network.url, clients=4) as load:
        time.sleep(1.0)
    assert load.answers and load.failed() == []
    wait_for("all cosigned", network.all_cosigned, interval=0.5)
    for node in network.nodes:
        for name, lane in network.export(node).lanes.items():
            assert before.get(name, len(lane.leaves)) == len(lane.leaves)


def test_when_all_lose_the_same_second_no_head_is_signed_twice(network_factory, anvil, folder):
    """[L4] [L8] [L10]: nobody has it any more, and nothing of it is used again."""
    network = network_factory(upstreams=[anvil.url])
    notebook = folder / "notebook-both"
    with Load(network.url, clients=4, notebook=notebook) as load:
        wait_for("first relays", lambda: notebook.read_text().count("\n") > FIRST_RELAYS)
        kept = notebook.read_text().split("\n")[:-1]
        time.sleep(1.5)  # over a cosign_interval: all that is kept is older than the copies
        with ExitStack() as stack:
            restores = [stack.enter_context(disk_of(p)) for p in network.processes()]
            time.sleep(1.0)
            load.stop()
            for process in network.processes():
                process.kill()
            before = [heads(ledger_of(p)) for p in network.processes()]
            for restore in restores:
                restore()
    for process in network.processes():
        process.start()
    network.wait_ready(60)
    with Load(network.url, clients=4) as again:
        time.sleep(1.0)
    assert again.answers and again.failed() == []
    gateway, nodes = wait_for("all settled", network.settled, interval=1.0)
    receipts = [line.split(" ")[0] for line in kept]
    assert missing(receipts, [gateway]) == [] and missing(receipts, nodes) == []
    for one in (gateway, *nodes):
        status, said = audit("verify", one.folder)
        assert status == 0, said
    for node in nodes:
        status, said = audit("reconcile", gateway.folder, node.folder)
        assert status == 0, said
    assert differing(*before, *(heads(ledger_of(p)) for p in network.processes())) == set()
