# SPDX-License-Identifier: Apache-2.0
"""A supplier that claims, with a gateway of the same hand or an honest one: relays that never were, records,
claims and proofs over them, right unless a test changes something."""

import base64
import dataclasses
import time

from reference.counterfoil_ref import claim, leaf, note, registry, tree
from support import peer
from support.peer_lane import SERVICE, Lane

DEAR = {"method": 145, "cu": 500}  # debug_traceBlockByNumber of chains/methods/evm.def


class Invented(Lane):
    """A lane between two who sign what they like."""

    def __init__(self, network, gateway, supplier):
        super().__init__(network, gateway.public, supplier.public, peer.some(16))
        self.gateway, self.supplier = gateway, supplier

    def answer(self, about, /, **changes):
        """One more leaf of a session, in the form that a leaf has."""
        made = leaf.Leaf(seq=len(self.leaves), session=about.id, cu_before=self.sums.get(about.id, 0),
                         time_ms=int(time.time() * 1000), request_hash=peer.some(32),
                         response_hash=peer.some(32), **DEAR)
        self.append(dataclasses.replace(made, **changes).encode(), peer.some(16))
        return self

    def note(self, cosigned=True, root=None, origin=None):
        """The checkpoint over all of it, cosigned by our own gateway or not."""
        return note.checkpoint(origin or self.origin, len(self.leaves), root or self.root(), self.supplier.seed,
                               self.gateway.seed if cosigned else None, int(time.time()))


def note_of(lane):
    """(size, checkpoint note) of the newest head of a lane that an honest gateway has cosigned."""
    size = max(lane.cosigned)
    root, at, signature = lane.cosigned[size]
    keys = note.supplier_key(lane.origin.supplier), note.gateway_key(lane.origin.gateway)
    raws = lane.heads[size][1], at.to_bytes(8, "big") + signature
    lines = [f"{note.DASH}{key.name} {base64.b64encode(key.id + raw).decode()}\n" for key, raw in zip(keys, raws)]
    return size, lane.text(size, root) + b"\n" + "".join(lines).encode()


class Claiming:
    """What one supplier says of one application, one gateway and one session, or of more."""

    def __init__(self, known, application, gateway, supplier, session):
        """gateway: a public key.  supplier: an Identity.  session: of peer_lane.Session."""
        self.known, self.application, self.gateway = known, application, gateway
        self.supplier, self.session = supplier, session
        self.network = bytes.fromhex(known.value["network"]["id"])
        self.blocks = known.params(0)["session_blocks"]
        self.lanes = {}    # id: (Lane, size, note)
        self.records = []
        self.claim = None

    # -- what the registry knows

    def terms(self, start):
        """Of the session at a height."""
        p = self.known.params(start)
        identity, members = self.known.session(self.application, SERVICE, start)
        about = registry.as_of(self.known.value["suppliers"], start - p["snapshot_lag"], key=self.supplier.hex)
        return claim.Terms(identity, self.supplier.public in members, int(about["price"]),
                           self.known.allowance(self.application, self.gateway, SERVICE, start) or 0)

    @property
    def price(self):
        """Of the session."""
        return self.terms(self.session.start).price

    @property
    def whole(self):
        """The CU of the session that the allowance is enough for."""
        terms = self.terms(self.session.start)
        return terms.allowance // terms.price

    # -- making it

    def add(self, lane, checkpoint, size=None):
        """A lane whose leaves are to be shown."""
        self.lanes[lane.id] = lane, size or len(lane.leaves), checkpoint
        return lane

    def record(self, lane, session=None, **changes):
        """What a lane earned in the session."""
        lane, size, _ = self.lanes[lane.id]
        session = session or self.session
        cu = sum(one.cu for one in map(leaf.decode, lane.leaves[:size]) if one.session == session.id)
        made = claim.Record(session.id, session.start, lane.id, size, lane.root(size), cu)
        return dataclasses.replace(made, **changes)

    def over(self, records, valued=True, **changes):
        """The claim over records, which are valued by the rules first, or stand as they are."""
        if valued:
            records = claim.valued(records, {r.start: self.terms(r.start) for r in records})
        self.records = records
        about = claim.Claim(self.network, self.application, self.gateway, self.supplier.public, SERVICE,
                            self.session.start, self.session.start + self.blocks)
        self.claim = dataclasses.replace(claim.claim_for(about, records), **changes)
        return self

    def summed(self, records):
        """Records with values and sums that are right, in whichever order and however often they stand."""
        done = []
        for r in records:
            before = sum(d.value for d in done if d.start == r.start)
            done.append(dataclasses.replace(r, value=r.cu * self.price, value_before=sum(d.value for d in done),
                                            session_value_before=before))
        return done

    def bytes(self):
        """All records."""
        return b"".join(r.encode() for r in self.records)

    def signature(self, by=None):
        """Of the claim."""
        return (by or self.supplier).sign(self.claim.encode())

    # -- the challenge

    def point(self, seed):
        """(index, record, unit of its session) that the seed asks for [C8]."""
        x = claim.challenged(seed, self.claim.id, self.claim.value)
        index, r = next((i, r) for i, r in enumerate(self.records)
                        if r.value_before <= x < r.value_before + r.value)
        return index, r, (x - r.value_before) // (r.value // r.cu)

    def leaf_at(self, seed):
        """The leaf that is asked for, or None when there is none."""
        _, r, z = self.point(seed)
        lane, size, _ = self.lanes[r.lane]
        return next((one for one in map(leaf.decode, lane.leaves[:size]) if one.session == r.session
                     and one.cu_before <= z < one.cu_before + one.cu), None)

    def proof(self, seed, at=None):
        """The right proof, or that of leaf `at`; where no leaf is the right one, that of the session's last."""
        index, r, _ = self.point(seed)
        lane, size, checkpoint = self.lanes[r.lane]
        shown = self.leaf_at(seed)
        if at is None and shown is None:
            of_it = [n for n, data in enumerate(lane.leaves[:size]) if leaf.decode(data).session == r.session]
            at = of_it[-1] if of_it else 0
        seq = shown.seq if at is None else at
        mine = tree.Tree(tree.leaf_hash(one.encode()) for one in self.records)
        theirs = tree.Tree(lane.hashes[:size])
        return claim.Proof(index, r.encode(), tuple(mine.inclusion(index, len(self.records))), checkpoint,
                           lane.leaves[seq], tuple(theirs.inclusion(seq, size)))

    def proof_signature(self, data, by=None):
        """Of encoded proofs."""
        return (by or self.supplier).sign(claim.proof_message(self.claim, data))
