# SPDX-License-Identifier: Apache-2.0
"""Gateways that take answers of a real node and do not sign for them as they should.  Each of PAYERS is a
generator: it yields when what it took is left alone until the session is over."""

from types import SimpleNamespace

from reference.counterfoil_ref import leaf
from support import peer
from support.peer_gateway import Gateway, Refused

PAYERS = {}
NOTHING = {"state": 1, "size": 0, "root": "00" * 32, "signature": "00" * 64, "cosigned_size": 0,
           "cosigned_root": "00" * 32, "cosigned_time": 0, "cosignature": "00" * 64}


def payer(function):
    """One of them, by its name."""
    PAYERS[function.__name__] = function
    return function


class Payer:
    """One gateway's links to a node, and what it owes for."""

    def __init__(self, world, me):
        self.world, self.me = world, me
        self.node = SimpleNamespace(hex=world.network.node_keys[0], port=world.network.node_ports[0])
        self.links, self.last = [], 0

    @property
    def link(self):
        """The newest."""
        return self.links[-1] if self.links else self.connect()

    def connect(self):
        """Another link."""
        self.links.append(Gateway.connect(self.node.port, self.me, self.world.book))
        return self.links[-1]

    def take(self, count):
        """The lane, with so many more answers in it, in whichever sessions the node is drawn for."""
        while count:
            _, session = self.world.find("node", when="running")
            try:
                count -= self.link.call(self.link.handle_of(session)).refusal is None
            except Refused:
                continue  # it was over
            self.last = max(self.last, session.start)
        return list(self.link.lanes.values())[-1]

    def pay(self, lane, **words):
        """A cosignature, and the node has dealt with it."""
        self.link.cosign(lane, **words)
        self.link.ping()

    def hang_up(self):
        """Without a word."""
        self.link.close()

    # -- what is to come of it

    def lanes(self):
        """{id: Lane} of all links."""
        return {key: lane for link in self.links for key, lane in link.lanes.items()}

    def cu(self):
        """(CU under its cosignatures, the others)."""
        paid = owed = 0
        for lane in self.lanes().values():
            done = max(lane.cosigned, default=0)
            units = [leaf.decode(data).cu for data in lane.leaves]
            paid, owed = paid + sum(units[:done]), owed + sum(units[done:])
        return paid, owed


@payer
def never_cosigns(x):
    x.take(3)
    x.hang_up()
    yield


@payer
def vanishes_in_a_session(x):
    x.pay(x.take(3))
    x.take(2)
    x.hang_up()
    yield


@payer
def cosigns_less_than_it_got(x):
    x.pay(x.take(3), size=1)
    x.hang_up()
    yield


@payer
def cosigns_another_root(x):
    lane = x.take(3)
    size, root = len(lane.leaves), peer.some(32)
    _, at, signature = lane.cosign(x.me, size, root)
    x.link.send("cosign", lane=lane.id.hex(), size=size, root=root.hex(), time=at, signature=signature.hex())
    assert x.link.end() == "protocol"
    yield


@payer
def denies_that_it_got_anything(x):
    lane = x.take(3)
    x.hang_up()
    yield
    x.connect().send("lanes", flags=3, lanes=[{"lane": lane.id.hex(), **NOTHING}])
    x.link.ping()


@payer
def cosigns_at_the_beginning_of_time(x):
    pay_at(x, 0)
    yield


@payer
def cosigns_at_the_end_of_time(x):
    pay_at(x, 2**64 - 1)
    yield


@payer
def cosigns_when_the_session_is_long_over(x):
    lane = x.take(3)
    x.hang_up()
    yield
    x.connect().cosign(lane)
    x.link.until(lambda: lane.id.hex() in x.link.closed)


def pay_at(x, at):
    """A cosignature is good whatever its clock says [N3]."""
    lane = x.take(3)
    size = len(lane.leaves)
    root, _, signature = lane.cosigned[size] = lane.cosign(x.me, size, at=at)
    x.link.send("cosign", lane=lane.id.hex(), size=size, root=root.hex(), time=at, signature=signature.hex())
    x.link.ping()
    x.hang_up()
