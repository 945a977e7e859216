# SPDX-License-Identifier: Apache-2.0
"""A gateway that breaks the rules in turn in front of a real node (tests/hostile.toml): it is
refused by name, a real gateway beside it is served, and no receipt is lost."""

import hashlib
import json
import time

import pytest

from support import net, paths
from support.attacks_on_node import ATTACKS, OVER
from support.export import audit, check_all, missing
from support.hostile import cases
from support.load import Load
from support.network import TOKEN, Network
from support.peer import Closed, Identity
from support.peer_gateway import Gateway, Refused
from support.peer_lane import Book
from support.process import PATIENCE_S, Process, wait_for

CASES = cases("node")
APPLICATIONS = 6
PRICE = 10
LIMITS = {"link.handshake_timeout": "2 s", "link.ping_interval": "1 s", "link.idle_timeout": "4 s",
          "link.frame_max": "1 MiB"}


def named(text):
    """A key that every run has."""
    return Identity(hashlib.sha256(text.encode()).digest())


class World:
    """A real network of two nodes and a gateway, node 0 being the one that is attacked."""

    def __init__(self, folder):
        port = net.free_port()
        self.backend = Process("backend", [paths.FAULTNODE, port], folder).start()
        self.supplier = named("a supplier whose node is not there")
        self.usual, self.greedy, self.owing, self.flooder, self.denying = (
            named(name) for name in ("usual", "greedy", "owing", "flooder", "denying"))
        self.network = Network(
            folder / "network", [f"http://127.0.0.1:{port}"], stakes=(4, 4), prices=(PRICE, 1), block_ms=200,
            session_blocks=15, session_suppliers=2, applications=APPLICATIONS,
            params={"seed_lag": 3, "grace_blocks": 2},
            guests=[(self.supplier.hex, net.free_port(), 2)], gateways=[self.usual.hex],
            entries=self._entries(),
            node={"max_unpaid_cu": 16000, "sessions_max": 3, "in_flight_max": 64, **LIMITS})
        self.foreign, self.poor = Network.make(*(
            "key application " + self.network.key_file(name) for name in ("foreign", "poor")))
        self.node = self.network.nodes[0]
        wait_for("the backend", lambda: net.answers(f"http://127.0.0.1:{port}/stats"))
        client = net.Http(f"http://127.0.0.1:{port}")
        client.request("PUT", "/script", json.dumps({
            "default": {"result": "0x0"},
            "methods": {"eth_syncing": {"result": False, "delay_ms": 400}}}).encode())
        client.close()
        self.network.start()
        self.book = Book(self.network)
        self.links = []  # all honest ends of links: what came on them is looked for in the ledger
        self.played = set()  # cases

    def _entries(self):
        """Small grants for some, an application of others, and one without escrow."""
        for app in range(APPLICATIONS):
            for who, budget in ((self.flooder, TOKEN), (self.greedy, 2000), (self.owing, TOKEN),
                                (self.denying, 2000)):
                if app < 2 or who is self.flooder:
                    yield f"grant {{folder}}/app{app}.key {who.hex} {budget}"
        yield f"application {{folder}}/foreign.key {10**6 * TOKEN}"
        yield f"grant {{folder}}/foreign.key {{folder}}/gateway.key {TOKEN}"
        yield "application {folder}/poor.key 5"
        yield f"grant {{folder}}/poor.key {self.usual.hex} {TOKEN}"

    def find_foreign_lane(self):
        """Exported once, while nobody waits on a link for us."""
        network = self.network
        self.foreign_lane = wait_for("a lane of the real gateway", lambda: next(
            (key for key, lane in network.export(network.nodes[0]).lanes.items()
             if lane.gateway == network.gateway_key and lane.leaves), None))

    def closed(self, reason):
        """How many links the node has closed for a reason."""
        text = net.get(self.node.admin + "/metrics")[2].decode()
        name = f'counterfoil_link_closed_total{{reason="{reason}"}}'
        return sum(float(line.rpartition(" ")[2]) for line in text.splitlines()
                   if line.startswith(name))

    def end(self):
        """Stops all."""
        self.network.end()
        self.backend.end()


class Attack:
    """One case on its way; see attacks_on_node.py."""

    def __init__(self, world):
        self.world, self.book, self.port = world, world.book, world.network.node_ports[0]
        self.node_key = world.network.node_keys[0]
        for name in ("usual", "greedy", "owing", "flooder", "denying", "supplier", "links"):
            setattr(self, name, getattr(world, name))
        self.foreign_application, self.poor_application = world.foreign, world.poor
        self.me = world.usual
        self._link = self._handle = None
        self.ends = []  # heights at which the sessions that were looked for end

    # -- the link

    @property
    def link(self):
        """A link that is up."""
        if self._link is None:
            self._link = Gateway.connect(self.port, self.me, self.book)
            self.keep(self._link)
        return self._link

    @link.setter
    def link(self, link):
        self._link = link
        self.keep(link)

    @property
    def has_link(self):
        """True once there is one."""
        return self._link is not None

    def renew(self):
        """Another honest link."""
        if self._link:
            self._link.close()
        self._link = self._handle = None
        return self.link

    def keep(self, link):
        """What comes on it must be in the node's ledger."""
        if link not in self.links:
            self.links.append(link)

    # -- sessions

    def applications(self):
        """Those that granted whom we play."""
        return self.world.network.applications[:2 if self.me in (
            self.greedy, self.owing, self.denying) else None]

    def session(self, start=None, application=None, member=True):
        """A session in which the node is a member, or not, and that will last a while; waits for one
        if need be."""
        key = bytes.fromhex(self.node_key)
        while True:
            if start is None and self.book.height() % self.book.blocks >= self.book.blocks - 3:
                self.book.at(self.book.start() + self.book.blocks)
            known = self.book.read()
            at = self.book.start() if start is None else start
            for app in [application] if application else self.applications():
                session = self.book.session(app, at, known)
                if session and (key in session.members) == member:
                    self.ends.append(session.start + self.book.blocks)
                    return session
            if start is not None and self.book.height() >= start:
                start += self.book.blocks
            time.sleep(0.05)

    def is_over(self):
        """True once one of its sessions has ended, which may be why the case did not come out."""
        return self.book.height() >= min(self.ends, default=2**64)

    def every_session(self):
        """Of now, with the node as a member."""
        key, known = bytes.fromhex(self.node_key), self.book.read()
        found = [self.book.session(app, self.book.start(), known) for app in self.applications()]
        return [s for s in found if s and key in s.members]

    @property
    def handle(self):
        """A session that is open on the link."""
        if self._handle is None:
            session = self.session()  # first: a link that waits for one would be idle
            self._handle = self.link.handle_of(session)
        return self._handle

    @handle.setter
    def handle(self, handle):
        self._handle = handle

    def open(self, named, **changes):
        """Names a session that the node should refuse."""
        self.link.open(named, **changes)

    def answered(self, count=1):
        """The lane of the link, with some leaves that are not cosigned."""
        numbers = [self.link.relay(self.handle) for _ in range(count)]
        for number in numbers:
            self.link.answer(number)
        (lane,) = self.link.lanes.values()
        return lane

    def foreign_lane(self):
        """A lane of the real gateway."""
        return self.world.foreign_lane


@pytest.fixture(scope="module", name="world")
def fixture_world(folder):
    """The network, and a real gateway's steady load beside all that happens."""
    world = World(folder)
    world.notebook = folder / "notebook"
    world.load = Load(world.network.url, clients=2, pause=0.02, notebook=world.notebook)
    with world.load:
        world.find_foreign_lane()
        yield world
    world.end()


def outcome(x, then):
    """Runs the case; what came of it, in the words of `then`."""
    try:
        answer = ATTACKS[x.name](x)
        if then[0] == "close":
            return ["close", x.link.end()]
        if then[0] == "refuse":
            return ["refuse", answer.refusal]
        x.link.ping()
        return ["ignored"]
    except Refused as refused:
        return ["error", refused.name]
    except Closed as closed:
        return ["close", closed.error]


def played(world, name, want):
    """The Attack after a case that came out as it should, however often its session was over before that."""
    came = None
    world.played.add(name)

    def came_out():
        nonlocal came
        x = Attack(world)
        x.name = name
        try:
            came = outcome(x, want)
        except AssertionError as error:
            came = error
        if came == want:
            return x
        assert x.is_over(), came
        if x.has_link:
            x.link.close()
        return None

    try:
        return wait_for("a session that lasts", came_out)
    except AssertionError as error:
        raise AssertionError(f"{error}: {came}") from None


def served(x):
    """True once an honest relay is answered on the link, in another session if this one is over."""
    why, end = None, time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        try:
            why = x.link.call(x.handle if why is None else x.link.handle_of(x.session())).refusal
            if why is None:
                return True
        except Refused as refused:
            why = refused.name
        assert why in OVER, why
    return False


@pytest.mark.parametrize("name", CASES)
def test_a_gateway_that_breaks_a_rule(world, name):
    """What `then` says; after anything but a close the same link is served."""
    then = CASES[name]["then"].split()
    if then[0] == "close":
        reason, error = then[1], then[2] if len(then) > 2 else then[1]
        before = world.closed(reason)
        played(world, name, ["close", None if error == "-" else error])
        assert wait_for("its reason in the metric", lambda: world.closed(reason) > before)
    else:
        x = played(world, name, then)
        if x.me in (world.usual, world.flooder):
            assert served(x)
            for lane in x.link.lanes.values():
                x.link.cosign(lane)
            x.link.ping()
        x.link.close()
    assert world.node.running(), world.node.log()[-3000:]


def test_every_case_is_played():
    """The table and the attacks name the same."""
    assert set(CASES) == set(ATTACKS)


def test_the_others_were_served_and_nobody_lost_a_receipt(world):
    """[L10] [P4]: all that the node delivered is in its ledger, and all of it could be claimed."""
    network = world.network
    wait_for("enough calls", lambda: world.load.good > 100)
    world.load.stop()
    assert world.load.failed() == []
    wait_for("the real gateway's cosignatures", lambda: all(
        lane.final_size() == len(lane.leaves) for node in network.nodes
        for lane in network.export(node).lanes.values() if lane.gateway == network.gateway_key))
    gateway, nodes = network.exports()
    status, said = audit("verify", nodes[0].folder)
    assert status == 0, said
    status, said = audit("session", nodes[0].folder)
    assert status == 0, said
    check_all(gateway, nodes[1:])
    status, said = audit("reconcile", gateway.folder, nodes[0].folder)
    assert status == 0, said
    receipts = [line.split(" ")[0] for line in world.notebook.read_text().split("\n")[:-1]]
    assert missing(receipts, [gateway]) == [] and missing(receipts, nodes) == []
    delivered = 0
    for link in world.links:
        for key, lane in link.lanes.items():
            kept = nodes[0].lanes[key].leaves
            assert kept[:len(lane.leaves)] == lane.leaves
            delivered += len(lane.leaves)
    assert delivered > 400 or world.played != set(CASES)


def test_the_node_names_in_its_log_what_it_closed_for(world):
    """Each reason of the table at least once."""
    log = world.node.log()
    for reason in {CASES[name]["then"].split()[1] for name in world.played
                   if CASES[name]["then"].startswith("close")}:
        assert f"reason={reason} " in log, reason
