# SPDX-License-Identifier: Apache-2.0
"""What is served and not paid for stays within its bound, whatever a gateway does and however often it
comes back; nothing is served that could not be claimed; a gateway does not ask for what must be refused.

Debtors are gateways in Python (support/peer_gateway.py).  The sums are worked out from exported
ledgers and the registry by tests/reference, not by the programs.
"""

import hashlib
import random
import time

import pytest

from support import money, net
from support.backend import Backend
from support.counts import count
from support.load import Load
from support.network import SERVICE, Network, run
from support.peer import Closed, Identity
from support.peer_gateway import Gateway, Refused
from support.peer_lane import Book
from support.process import wait_for

pytestmark = pytest.mark.timeout(300 + 20 * count("unpaid_sessions"))
SUPPLIERS, APPLICATIONS = 4, 2
MAX_UNPAID = 8000
DEAREST = 500  # debug_traceBlockByNumber
COSIGNATURES = 4
DENIED_PER_PAID = 16  # so much is to be paid before as much less is owed of what was denied
CALLS = [b'{"jsonrpc":"2.0","id":1,"method":"%s","params":[]}' % name for name in
         (b"debug_traceBlockByNumber", b"eth_chainId", b"eth_getBalance", b"eth_getLogs")]

WEIGHTS = [6, 1, 2, 1]
PRICE = 3


class Debtor:
    """A gateway that cosigns so often, and then what its dice say, and may deny what it got."""

    def __init__(self, name, cosigns=0, pays=0.0, denies=False):
        self.me = Identity(hashlib.sha256(name.encode()).digest())
        self.cosigns, self.pays, self.denies = cosigns, pays, denies
        self.cosigned = {}  # node port: how often

    def bound(self, paid):
        """[P5], after so much was paid."""
        n = min(self.cosigns, COSIGNATURES)
        whole = max(DEAREST, MAX_UNPAID >> (COSIGNATURES - n)) if n < COSIGNATURES else MAX_UNPAID
        return whole + (paid // DENIED_PER_PAID if self.denies else 0)

    def spree(self, port, book, application, dice):
        """One link: takes what it gets, and is gone."""
        link = Gateway.connect(port, self.me, book)
        try:
            if self.denies and link.listing:
                link.send("lanes", flags=3, lanes=[self._nothing(lane) for lane in link.listing])
            handle = self._begin(port, link, book, application)
            numbers = [link.relay(handle, dice.choices(CALLS, WEIGHTS)[0])
                       for _ in range(dice.randint(1, 12))]
            if dice.random() < 0.7:  # else it hangs up with the answers on their way
                lanes = {link.answer(number).lane.id: link.answer(number).lane for number in numbers}
                if dice.random() < self.pays:
                    for lane in lanes.values():
                        self._pay(link, lane)
        except (Refused, Closed, OSError):
            pass  # refused by name, or the node has had enough of it
        finally:
            link.close()

    def exhaust(self, port, book, application):
        """True once a node has refused a call, or the link, for what is owed, in whichever session."""
        try:
            link = Gateway.connect(port, self.me, book)
        except Closed as closed:
            return closed.error == "unpaid"
        try:
            handle = self._begin(port, link, book, application)
            while True:
                refusal = link.call(handle, CALLS[0]).refusal
                if refusal:
                    return refusal == "unpaid"
        except (Refused, Closed):
            return False
        finally:
            link.close()

    def _begin(self, port, link, book, application):
        """The handle of the session of now, on a link on which all that this one ever pays is paid."""
        handle = link.open(book.session(application, book.start()))
        while self.cosigned.get(port, 0) < self.cosigns:
            self._pay(link, link.call(handle, CALLS[1]).lane)
            self.cosigned[port] = self.cosigned.get(port, 0) + 1
        return handle

    @staticmethod
    def _pay(link, lane):
        link.cosign(lane)
        link.ping()

    @staticmethod
    def _nothing(lane):
        """Says that it never had anything of a lane [L7]."""
        zeros = {"size": 0, "root": "00" * 32, "signature": "00" * 64, "cosigned_size": 0,
                 "cosigned_root": "00" * 32, "cosigned_time": 0, "cosignature": "00" * 64}
        return {"lane": lane, "state": 1, **zeros}


DEBTORS = [Debtor("never pays"), Debtor("stops to pay", cosigns=COSIGNATURES),
           Debtor("denies", cosigns=COSIGNATURES, denies=True),
           Debtor("pays a third and denies", cosigns=COSIGNATURES, pays=0.33, denies=True)]


class World:
    """A network after all debtors have been at it, and what its nodes hold."""

    def __init__(self, network):
        self.network, self.book = network, Book(network)
        self.links = 0

    def run(self):
        """Sessions, links and restarts."""
        dice = random.Random(f"{count('seed')} money")
        sessions = count("unpaid_sessions")
        restarts = {sessions * n // 4 for n in (1, 2, 3)}
        for number in range(sessions):
            self.book.at(self.book.start() + self.book.blocks + 1)
            if number in restarts:
                self._restart(by_kill=dice.random() < 0.7)
            for port in self.network.node_ports:
                for debtor in DEBTORS:
                    for application in self.network.applications:
                        self._spree(debtor, port, application, dice)
        for debtor in DEBTORS[:2]:  # however few of its calls a session had room for
            wait_for("the whole bound to be used", lambda d=debtor: d.exhaust(
                self.network.node_ports[0], self.book, self.network.applications[0]))
        self.nodes = [self.network.export(node) for node in self.network.nodes]
        self.known = money.whole_registry(self.network)
        return self

    def _spree(self, debtor, port, application, dice):
        try:
            debtor.spree(port, self.book, application, dice)
        except (Closed, Refused, OSError):
            pass  # no link any more for who never pays
        self.links += 1

    def _restart(self, by_kill):
        for node in self.network.nodes:
            if by_kill:
                node.kill()
            else:
                assert node.stop() == 0
        for node in self.network.nodes:
            node.start()
        for node in self.network.nodes:
            node.ready(lambda n=node: net.answers(n.admin + "/healthz"))


@pytest.fixture(scope="module", name="world")
def fixture_world(folder):
    backend = Backend(folder, "backend").start()
    network = Network(folder / "money", [backend.url], stakes=(1,) * SUPPLIERS, prices=(PRICE,) * SUPPLIERS, block_ms=100,
                      session_blocks=10, applications=APPLICATIONS, by_url=True,
                      gateways=[d.me.hex for d in DEBTORS], node={"max_unpaid_cu": MAX_UNPAID})
    try:
        yield World(network.start()).run()
    finally:
        network.end()
        backend.end()


def test_no_gateway_leaves_more_unpaid_than_its_bound(world):
    """[P5], over all links, sessions and starts of each supplier's node."""
    assert world.links >= count("unpaid_sessions") * SUPPLIERS * len(DEBTORS)
    for node in world.nodes:
        owed, paid = money.unpaid(node), money.paid(node)
        for debtor in DEBTORS:
            for application in world.network.applications:
                who = application, debtor.me.hex
                assert owed[who] <= debtor.bound(paid[who]), (debtor.me.hex, owed[who], paid[who])


def test_the_whole_bound_can_be_used(world):
    """A bound that is kept by refusing too early would be no bound to trust."""
    owed = [money.unpaid(node) for node in world.nodes]
    for debtor in DEBTORS[:2]:
        most = max(o[application, debtor.me.hex] for o in owed
                   for application in world.network.applications)
        assert most > debtor.bound(0) - DEAREST


def test_nothing_is_served_that_could_not_be_claimed(world):
    for node in world.nodes:
        assert money.not_claimable(node, world.known) == []


def test_a_gateway_asks_for_no_more_than_the_allowance(folder):
    """[P4]: both sides count to the same number, so that no node has to refuse."""
    backend = Backend(folder, "backend-2", {"default": {"result": "0x0"}}).start()
    network = Network(folder / "allowance", [backend.url], stakes=(1, 1), prices=(PRICE, PRICE), block_ms=100,
                      session_blocks=20, by_url=True, gateway={"workers": 2, "head_interval": "0 s"})
    budget = 2 * 15 * 20 * PRICE + 7  # two suppliers, fifteen calls of 20 CU each, and a bit
    run("grant", "--registry", network.registry, "--key", network.folder / "app0.key",
        network.gateway_key, SERVICE, budget)
    try:
        network.start()
        book = Book(network)
        first = book.start() + 2 * book.blocks  # the smaller budget counts by then
        book.at(first)
        with Load(network.url, clients=4) as load:
            time.sleep(count("allowance_sessions") * 2.0)
            wait_for("it to be used up", lambda: load.bad > 0)
        assert any('"error":"allowance"' in why for why in load.failed())
        assert all('"error":"allowance"' in why for why in load.failed()), load.failed()[:3]
        wait_for("all cosigned", network.all_cosigned, interval=0.5)
        known = money.whole_registry(network)
        for node in network.nodes:
            text = net.get(node.admin + "/metrics")[2].decode()
            assert [line for line in text.splitlines() if "node_refusals_total" in line
                    and "allowance" in line and not line.endswith(" 0")] == []
            assert money.not_claimable(network.export(node), known) == []
    finally:
        network.end()
        backend.end()
