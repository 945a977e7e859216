# SPDX-License-Identifier: Apache-2.0
"""A supplier in Python: a listening node that keeps every rule towards a real gateway unless its
behaviour says otherwise.  It answers from its own head; there is no backend behind it."""

import dataclasses
import itertools
import json
import socket
import threading
import time

from reference.counterfoil_ref import leaf, note
from support import net, peer
from support.peer_lane import Lane

METHODS = {"eth_chainId": (2, 5), "eth_getBalance": (20, 20)}  # id and CU of chains/methods/evm.def
POLL_S = 0.02


@dataclasses.dataclass
class Relay:
    """One RELAY, taken apart [F6] [E2]."""

    number: int
    session: bytes
    salt: bytes
    request: bytes
    deadline_ms: int
    link: int  # the number of the link that it came on

    @property
    def body(self):
        """The call."""
        at = 1 + 1 + self.request[1] + 1 + 2 + 2
        return self.request[at + 8:]

    @property
    def method(self):
        """(id, CU) of its method."""
        return METHODS[json.loads(self.body)["method"]]


class Behaviour:
    """What a supplier does; this one is honest.  Each is called on the link's own thread."""

    stake = 1

    def on_tls(self, link):
        """TLS is there: HELLO is due."""
        link.say_hello()

    def on_up(self, link):
        """The gateway's HELLO is there: the listing is due [L5]."""
        link.list_lanes()

    def on_session(self, link, frame):
        """A session is named [F5]."""
        link.send("session_ok", stream=frame.stream, height=0)

    def on_relay(self, link, relay):
        """A relay is to be answered."""
        link.turn([relay])

    def on_cosign(self, link, frame):
        """A head is cosigned; recovery's own are dealt with already."""

    def on_answer(self, link, frame):
        """A LANES answer of the gateway [L8]."""


class SupplierLink(peer.Link):
    """One gateway's link."""

    def __init__(self, channel, owner):
        super().__init__(channel, owner.me, peer.SUPPLIER, owner.book.network)
        self.owner = owner
        self.number = next(owner.numbers)  # of the supplier's links, in the order of their dials
        self.sessions = {}  # handle: session id
        self.lane = None
        self.cancelled = set()

    @property
    def gateway(self):
        """The gateway's key."""
        return bytes.fromhex(self.peer["key"])

    def run(self):
        """Until the link ends."""
        behaviour = self.owner.behaviour
        self.channel.handshake()
        behaviour.on_tls(self)
        self.take_hello()
        self.owner.links_up += 1
        behaviour.on_up(self)
        while not self.owner.stopping:
            try:
                got = self.step(POLL_S)
            except peer.Silent:
                continue
            if got:
                self.owner.strange.append(got)

    # -- what comes in

    def take(self, frame):
        behaviour = self.owner.behaviour
        if frame.name == "session":
            self.sessions[frame.stream] = bytes.fromhex(frame.fields["session"])
            behaviour.on_session(self, frame)
        elif frame.name == "relay":
            f = frame.fields
            relay = Relay(frame.stream, self.sessions[f["session"]], bytes.fromhex(f["salt"]),
                          bytes.fromhex(f["request"]), f["deadline_ms"], self.number)
            self.owner.relays.append(relay)
            behaviour.on_relay(self, relay)
        elif frame.name == "cosign":
            self._cosign(frame.fields)
            behaviour.on_cosign(self, frame)
        elif frame.name == "cancel":
            self.cancelled.add(frame.stream)
        elif frame.name == "fetch":
            self._fetch(frame)
        elif frame.name == "lanes":
            if frame.flags & 2:
                behaviour.on_answer(self, frame)
        else:
            return frame.name not in ("credit", "error", "goaway")
        return False

    def _cosign(self, f):
        """The gateway's word for a head of ours [F8]; of a lane that is left behind, its end [L8]."""
        lane = self.owner.lanes[f["lane"]]
        root, at, signature = (bytes.fromhex(f["root"]), f["time"], bytes.fromhex(f["signature"]))
        assert lane.heads[f["size"]][0] == root, "a head that we did not sign"
        assert note.verifies(self.gateway, note.cosigned(at, lane.text(f["size"], root)), signature)
        lane.cosigned[f["size"]] = (root, at, signature)
        if lane is not self.lane and f["lane"] in self.owner.left:
            self.owner.left.remove(f["lane"])
            size = f["size"]
            self.send("lanes", flags=3, lanes=[lane.entry(
                state=1, size=size, root=root.hex(), signature=lane.heads[size][1].hex())])

    def _fetch(self, frame):
        """What a gateway lost [L6]."""
        f, leaves, signature = frame.fields, [], bytes(64)
        lane = self.owner.lanes.get(f["lane"])
        if lane and f["to"] <= len(lane.leaves):
            leaves = [{"leaf": lane.leaves[i].hex(), "salt": lane.salts[i].hex()}
                      for i in range(f["from"], f["to"])]
            signature = lane.heads.get(f["to"], (0, signature))[1]
        self.send("leaves", stream=frame.stream, lane=f["lane"], leaves=leaves,
                  signature=signature.hex(), **{"from": f["from"]})

    # -- what goes out

    def list_lanes(self):
        """[L5]"""
        own = [lane.entry() for key, lane in self.owner.lanes.items()
               if key in self.owner.left and lane.origin.gateway == self.gateway]
        self.send("lanes", flags=1, lanes=own)

    def open_lane(self, lane=None):
        """A lane of this link [T1]."""
        self.lane = lane or Lane(self.network, self.gateway, self.me.public, peer.some(16))
        self.owner.lanes[self.lane.id.hex()] = self.lane
        return self.lane

    def make_leaf(self, relay, response, **changes):
        """The leaf of an answer, honest but for the changes."""
        method, cu = relay.method
        lane = self.lane or self.open_lane()
        made = leaf.Leaf(
            status=int.from_bytes(response[:2], "big"), seq=len(lane.leaves), session=relay.session,
            cu_before=lane.sums.get(relay.session, 0), cu=cu, method=method,
            time_ms=int(time.time() * 1000), latency_us=100,
            request_hash=leaf.request_hash(lane.id, relay.salt, relay.request),
            response_hash=leaf.response_hash(lane.id, relay.salt, response, changes.get("part", 0)))
        return dataclasses.replace(made, **changes)

    def turn(self, relays, response=None, sent=None, leaf_changes=None, hashed=None, **batch):
        """One BATCH for relays: each its leaf over `hashed` or `response` (honest by default), with
        `sent` as the bytes that go out; **batch changes what is said of the batch, see send_batch()."""
        answers = []
        lane = self.lane or self.open_lane()
        first = len(lane.leaves)
        for relay in relays:
            encoded = response or leaf.response_encoding(self.owner.answer(relay))
            made = self.make_leaf(relay, hashed or encoded, **(leaf_changes or {}))
            answers.append((relay, made, sent or encoded))
            lane.append(made.encode(), relay.salt)
        self.send_batch(answers, first, **batch)

    def send_batch(self, answers, first, root=None, size=None, signer=None, say_first=None,
                   numbers=None, lane=None, text=None):
        """Sends leaves that are in the lane, under a head that is signed over `size` and `root`."""
        on = lane or self.lane
        honest = not (root or size or signer or text)
        size = size or first + len(answers)
        root = root or on.root(first + len(answers))
        signature = (signer or self.me).sign(text or on.text(size, root))
        if honest:
            on.heads[size] = (root, signature)
        self.send("batch", lane=on.id.hex(), first=first if say_first is None else say_first,
                  answers=[{"relay": numbers[i] if numbers else relay.number,
                            "leaf": made.encode().hex(), "response": sent.hex()}
                           for i, (relay, made, sent) in enumerate(answers)],
                  root=root.hex(), signature=signature.hex())

    def refuse(self, relay, name, **batch):
        """A leaf of kind 3 [E7]."""
        said = leaf.response_encoding(name.encode(), peer.WIRE[name], "text/plain")
        self.turn([relay], response=said, leaf_changes={"kind": leaf.REFUSAL, "cu": 0}, **batch)

    def error(self, stream, kind, name, text=""):
        """An ERROR frame [F9]."""
        self.send("error", stream=stream, type=kind, code=peer.WIRE.get(name, name), text=text)


def listening():
    """(socket, port): held from the start, so that nobody else takes the port meanwhile."""
    while True:
        port = net.free_port()
        try:
            made = socket.create_server(("127.0.0.1", port))
        except OSError:
            continue
        made.settimeout(0.2)
        return made, port


class Supplier:
    """A listening supplier on threads of its own; what it saw stays for the test to look at."""

    def __init__(self, seed, behaviour=None, result="0x1"):
        self.me, self.behaviour, self.result = peer.Identity(seed), behaviour or Behaviour(), result
        self.socket, self.port = listening()
        self.book = None
        self.numbers = itertools.count()
        self.relays = []   # all that came, in order
        self.ends = []     # (time, error name or None, text) of each link that ended
        self.strange = []  # frames that a gateway should not have sent
        self.broken = []   # exceptions of our own: a test looks that there are none
        self.lanes = {}    # id: Lane, of all links
        self.left = set()  # ids of lanes whose link is gone and that are not closed
        self.links_up = 0
        self.stopping = False
        self.threads, self.links = [], []
        self.context = peer.context()

    def answer(self, relay):
        """The JSON-RPC answer to a relay."""
        assert relay.body
        return b'{"jsonrpc":"2.0","id":1,"result":"%s"}' % self.result.encode()

    def start(self, book):
        """Takes gateways in."""
        self.book = book
        self._thread(self._accept)
        return self

    def stop(self):
        """Ends all threads."""
        self.stopping = True
        for thread in self.threads:
            thread.join(peer.TIMEOUT)
        self.socket.close()

    def cut(self):
        """Hangs up on every gateway, as a broken cable would."""
        for link in list(self.links):
            link.channel.sock.shutdown(socket.SHUT_RDWR)

    def live(self):
        """The lanes of links that are up."""
        return [link.lane for link in list(self.links) if link.lane]

    def _thread(self, what, *words):
        thread = threading.Thread(target=what, args=words, daemon=True)
        self.threads.append(thread)
        thread.start()

    def _accept(self):
        while not self.stopping:
            try:
                sock, _ = self.socket.accept()
            except TimeoutError:
                continue
            self._thread(self._serve, SupplierLink(peer.Channel(sock, self.context, accept=True), self))

    def _serve(self, link):
        error, text = None, ""
        self.links.append(link)
        try:
            link.run()
        except peer.Closed as closed:
            error, text = closed.error, closed.text
        except (peer.Silent, OSError) as end:
            text = str(end)
        except Exception as fault:  # pylint: disable=broad-except
            self.broken.append(fault)
            text = repr(fault)
        finally:
            link.close()
            self.links.remove(link)
            if link.lane:
                self.left.add(link.lane.id.hex())
            self.ends.append((time.monotonic(), error, text))
