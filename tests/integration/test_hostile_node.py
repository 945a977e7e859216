# SPDX-License-Identifier: Apache-2.0
"""Suppliers that break the rules in turn beside honest nodes (tests/hostile.toml): the dApp gets the
right answer from another, the liar is dropped for the session, log and metrics name it, and what
its own signatures prove is kept."""

import hashlib
import json
import re
import time

import pytest

from support import net, paths
from support.attacks_on_gateway import ATTACKS
from support.hostile import cases
from support.load import Load
from support.network import Network
from support.peer_lane import Book
from support.peer_supplier import Supplier
from support.process import Process, wait_for

CASES = cases("gateway")
HONEST_STAKE = 15
RIGHT = "0x0"


class World:
    """Two honest nodes, and a supplier for each case."""

    def __init__(self, folder):
        port = net.free_port()
        self.backend = Process("backend", [paths.FAULTNODE, port], folder).start()
        self.suppliers = {name: Supplier(hashlib.sha256(name.encode()).digest(), net.free_port(),
                                         ATTACKS[name](), RIGHT) for name in ATTACKS}
        self.network = Network(
            folder / "network", [f"http://127.0.0.1:{port}"], stakes=(HONEST_STAKE, HONEST_STAKE),
            block_ms=200, session_blocks=30, session_suppliers=64,
            guests=[(s.me.hex, s.port, 1) for s in self.suppliers.values()],
            gateway={"attempts": 24})
        self.network.start_keeper()
        wait_for("the backend", lambda: net.answers(f"http://127.0.0.1:{port}/stats"))
        client = net.Http(f"http://127.0.0.1:{port}")
        client.request("PUT", "/script", json.dumps({"default": {"result": RIGHT}}).encode())
        client.close()
        self.book = Book(self.network)
        for supplier in self.suppliers.values():
            supplier.start(self.book)
        self.network.start()

    def play(self, timeout):
        """Calls until every supplier has had its chance and what followed."""
        def done():
            return all(s.behaviour.at and time.monotonic() > s.behaviour.at + 1.0
                       for s in self.suppliers.values())
        with Load(self.network.url, clients=6) as load:
            self.load = load
            wait_for("every case to be played: " + " ".join(
                n for n, s in self.suppliers.items() if not s.behaviour.at), done, timeout, 0.2)
            time.sleep(1.5)

    def end(self):
        """Stops all."""
        for supplier in self.suppliers.values():
            supplier.stopping = True
        self.network.end()
        for supplier in self.suppliers.values():
            supplier.stop()
        self.backend.end()

    def metric(self, name, label):
        """One value of a metric of the gateway."""
        text = net.get(self.network.gateway.admin + "/metrics")[2].decode()
        return sum(float(line.rpartition(" ")[2]) for line in text.splitlines()
                   if line.startswith(name + "{") and label in line)

    def lines(self, event, supplier):
        """What the gateway's log says of an event with a supplier."""
        return [line for line in self.network.gateway.log().splitlines()
                if f" {event} " in line and f"supplier={supplier.me.hex}" in line]


@pytest.fixture(scope="module", name="world")
def fixture_world(folder):
    """All cases at once, while a dApp calls."""
    world = World(folder)
    try:
        world.play(90)
        yield world
    finally:
        world.end()


def reasons(lines):
    """The reason=... of log lines."""
    return [re.search(r"reason=(\w+)", line).group(1) for line in lines]


@pytest.mark.parametrize("name", CASES)
def test_a_supplier_that_breaks_a_rule(world, name):
    """What `then` says, in log and metric."""
    supplier, then = world.suppliers[name], CASES[name]["then"].split()
    assert supplier.broken == []
    faults = world.lines("gateway.fault", supplier)
    if then[0] == "fault":
        assert len(faults) == 1 and f"kind={then[1]} " in faults[0], faults
        assert world.metric("counterfoil_gateway_faults_total", f'result="{then[2]}"') > 0
        assert dropped(supplier)
        return
    assert faults == []
    if then[0] == "close" and hasattr(supplier.behaviour, "changes"):
        assert supplier.ends[0][1] == then[1], supplier.ends[0]
        assert world.metric("counterfoil_link_closed_total", f'reason="{then[1]}"') > 0
    elif then[0] == "close":
        assert reasons(world.lines("gateway.link_down", supplier))[:1] == [then[1]]
        assert world.metric("counterfoil_link_closed_total", f'reason="{then[1]}"') > 0
    elif then[0] == "retry":
        assert world.metric("counterfoil_gateway_retries_total", f'result="{then[1]}"') > 0
        assert supplier.ends == []
    else:
        assert then == ["ignored"] and supplier.ends == [], supplier.ends


def dropped(supplier):
    """True when no relay of that session came after the link on which the lie was told."""
    lied = next(r for r in supplier.relays if r.at >= supplier.behaviour.at - 0.5)
    ended = next(end[0] for end in supplier.ends if end[0] >= supplier.behaviour.at)
    return [r for r in supplier.relays if r.session == lied.session and r.at > ended] == []


def test_every_case_is_played():
    """The table and the attacks name the same."""
    assert set(CASES) == set(ATTACKS)


def test_the_dapp_got_the_right_answer_every_time(world):
    """[E5]: never the liars' 0xbad, and no call failed."""
    assert world.load.failed() == [] and len(world.load.answers) > 500
