# SPDX-License-Identifier: Apache-2.0
"""A gateway in Python: keeps every rule towards a real node unless a test tells it otherwise."""

import itertools
from dataclasses import dataclass

from reference.counterfoil_ref import frames, leaf, note
from support import peer
from support.peer_lane import SERVICE, Lane

BODY = b'{"jsonrpc":"2.0","id":1,"method":"eth_chainId","params":[]}'
DEAR = b'{"jsonrpc":"2.0","id":1,"method":"eth_getBalance","params":["0x%040x","latest"]}'


class Refused(Exception):
    """The node refused by an ERROR frame; `name` is the error's."""

    def __init__(self, name, text):
        super().__init__(f"{name}: {text}")
        self.name = name


@dataclass
class Answer:
    """One leaf of a relay, with its place and the response encoding."""

    lane: Lane
    leaf: leaf.Leaf
    response: bytes

    @property
    def refusal(self):
        """The name of the refusal, None of an answer."""
        return peer.NAME_OF.get(self.leaf.status) if self.leaf.kind == leaf.REFUSAL else None

    @property
    def body(self):
        """Of the response encoding [E4]."""
        at = 4 + int.from_bytes(self.response[2:4], "big")
        return self.response[at + 8:]


class Gateway(peer.Link):
    """A link to a node.  All that the node delivers is checked [F7] and stays in `lanes`."""

    def __init__(self, channel, me, book):
        super().__init__(channel, me, peer.GATEWAY, book.network)
        self.book = book
        self.numbers, self.handles = itertools.count(1), itertools.count(1)
        self.sent = {}     # relay number: (session, salt, request encoding)
        self.answers = {}  # relay number: [Answer, ...]
        self.errors = {}   # relay number: name of the ERROR that answers it
        self.lanes = {}    # id: Lane
        self.listing, self.listed = {}, False
        self.closed = {}   # id: entry by which the node said that a lane is closed [L8]
        self.sessions = {}

    @classmethod
    def connect(cls, port, me, book, own_lanes=(), **hello):
        """A link that is up: TLS, HELLO, both listings."""
        link = cls(peer.dial(port), me, book)
        link.say_hello(**hello)
        link.take_hello()
        link.send("lanes", flags=1, lanes=[lane.entry() for lane in own_lanes])
        link.until(lambda: link.listed)
        return link

    @property
    def supplier(self):
        """The node's key."""
        return bytes.fromhex(self.peer["key"])

    # -- what comes in

    def take(self, frame):
        if frame.name == "batch":
            self._batch(frame.fields)
        elif frame.name == "lanes" and not frame.flags & 2:
            self.listing.update({e["lane"]: e for e in frame.fields["lanes"]})
            self.listed = self.listed or bool(frame.flags & 1)
        elif frame.name == "lanes":
            self.closed.update({e["lane"]: e for e in frame.fields["lanes"]})
        elif frame.name == "error" and frame.fields["type"] == frames.RELAY:
            self.errors[frame.stream] = peer.NAME_OF.get(frame.fields["code"])
        else:
            return frame.name != "credit"
        return False

    def _batch(self, f):
        lane = self.lanes.get(f["lane"])
        if lane is None:
            lane = Lane(self.network, self.me.public, self.supplier, bytes.fromhex(f["lane"]))
            self.lanes[f["lane"]] = lane
        assert f["first"] == len(lane.leaves), "a batch out of order [F7]"
        for a in f["answers"]:
            self._leaf(lane, a)
            if leaf.decode(bytes.fromhex(a["leaf"])).kind == leaf.PART:  # room for one more [F10]
                self.send("credit", stream=a["relay"], relays=0, bytes=65536)
        root, size = bytes.fromhex(f["root"]), len(lane.leaves)
        assert lane.root() == root
        assert note.verifies(self.supplier, lane.text(size, root), bytes.fromhex(f["signature"]))
        lane.heads[size] = (root, bytes.fromhex(f["signature"]))

    def _leaf(self, lane, a):
        """All that a gateway checks of a leaf [R3] [R5] [R7]."""
        data, response = bytes.fromhex(a["leaf"]), bytes.fromhex(a["response"])
        one = leaf.decode(data)
        session, salt, request = self.sent[a["relay"]]
        assert one.fault() is None and one.seq == len(lane.leaves)
        assert one.session == session.id and one.cu_before == lane.sums.get(one.session, 0)
        assert one.request_hash == leaf.request_hash(lane.id, salt, request)
        assert one.response_hash == leaf.response_hash(lane.id, salt, response, one.part)
        assert one.status == int.from_bytes(response[:2], "big")
        lane.append(data, salt)
        self.answers.setdefault(a["relay"], []).append(Answer(lane, one, response))

    # -- what goes out

    def open(self, named, handle=None, **changes):
        """Names a session; its handle.  Refused when the node does not want it."""
        handle = handle or next(self.handles)
        self.send("session", stream=handle, **named.fields(**changes))
        got = self.expect(("session_ok", "error"), stream=handle)
        if got.name == "error":
            raise Refused(peer.NAME_OF.get(got.fields["code"]), got.fields["text"])
        self.sessions[handle] = named
        return handle

    def handle_of(self, session):
        """The handle of a session on this link, which is named if it is not yet."""
        return next((h for h, s in self.sessions.items() if s.id == session.id), None) or self.open(session)

    def relay(self, handle, body=BODY, number=None, deadline_ms=10000, request=None, salt=None):
        """Sends a relay; its number."""
        number = number or next(self.numbers)
        salt = salt or peer.some(16)
        request = leaf.request_encoding(SERVICE, body) if request is None else request
        self.sent[number] = (self.sessions.get(handle), salt, request)
        self.send("relay", stream=number, session=handle, deadline_ms=deadline_ms, salt=salt.hex(),
                  request=request.hex())
        return number

    def answer(self, number, timeout=peer.TIMEOUT):
        """The first leaf of a relay.  Refused when an ERROR frame came instead."""
        self.until(lambda: number in self.answers or number in self.errors, timeout)
        if number in self.errors:
            raise Refused(self.errors[number], "")
        return self.answers[number][0]

    def call(self, handle, body=BODY, **more):
        """Sends a relay and waits for its leaf."""
        return self.answer(self.relay(handle, body, **more))

    def cosign(self, lane, size=None):
        """COSIGN for a head [F8]."""
        size = size or max(lane.heads)
        root, at, signature = lane.cosign(self.me, size)
        lane.cosigned[size] = (root, at, signature)
        self.send("cosign", lane=lane.id.hex(), size=size, root=root.hex(), time=at,
                  signature=signature.hex())

    def ping(self, timeout=peer.TIMEOUT):
        """Returns when the node has dealt with all that was sent before."""
        pongs = self.pongs
        self.send("ping", bytes=peer.some(8).hex())
        self.until(lambda: self.pongs > pongs, timeout)
