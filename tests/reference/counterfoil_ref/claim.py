# SPDX-License-Identifier: Apache-2.0
"""Claims, challenges and proofs (docs/protocol.md [C1]..[C12]).

Written from the rules, in the most literal way; the C code shares nothing with it.
"""

import base64
import struct
from dataclasses import dataclass

from . import leaf as leaf_
from . import note, tree
from .session import point, sha, short, u

SIZE, RECORDS_MAX = 156, 65536
LAYOUT = struct.Struct(">4s32sQ16sQ32sQ16s16s16s")
TAG, PROOF_TAG = b"counterfoil/claim/v1\n", b"counterfoil/proof/v1\n"
assert LAYOUT.size == SIZE


@dataclass(frozen=True)
class Record:
    """[C2]"""
    session: bytes
    start: int
    lane: bytes
    size: int
    root: bytes
    cu: int
    value: int = 0
    value_before: int = 0
    session_value_before: int = 0

    def encode(self):
        return LAYOUT.pack(b"CFL1", self.session, self.start, self.lane, self.size, self.root,
                           self.cu, u(self.value, 16), u(self.value_before, 16),
                           u(self.session_value_before, 16))


def decode_record(data):
    magic, *fields = LAYOUT.unpack(data)
    if magic != b"CFL1":
        return None
    return Record(*fields[:6], *(int.from_bytes(v, "big") for v in fields[6:]))


@dataclass(frozen=True)
class Claim:
    """[C3]"""
    network: bytes
    application: bytes
    gateway: bytes
    supplier: bytes
    service: str
    start_from: int
    start_to: int
    records: int = 0
    value: int = 0
    root: bytes = bytes(32)

    def encode(self):
        return b"".join([TAG, self.network, self.application, self.gateway, self.supplier,
                         short(self.service), u(self.start_from, 8), u(self.start_to, 8),
                         u(self.records, 4), u(self.value, 16), self.root])

    @property
    def id(self):
        return sha(self.encode())


def valid_service(text):
    """[B6]"""
    letters = b"abcdefghijklmnopqrstuvwxyz0123456789"
    return (1 <= len(text) <= 32 and text[0] in letters
            and all(c in letters + b"-" for c in text))


def decode(data):
    """A claim, or None: the encoding is taken apart from both ends."""
    head, tail = len(TAG) + 128, 8 + 8 + 4 + 16 + 32
    if len(data) < head + 1 + tail or data[:len(TAG)] != TAG:
        return None
    name, rest = data[head + 1:-tail], data[-tail:]
    if data[head] != len(name) or not valid_service(name):
        return None
    ids = [data[len(TAG) + 32 * i:len(TAG) + 32 * (i + 1)] for i in range(4)]
    numbers = [int.from_bytes(rest[a:b], "big") for a, b in [(0, 8), (8, 16), (16, 20), (20, 36)]]
    return Claim(*ids, name.decode(), *numbers, rest[36:])


@dataclass(frozen=True)
class Terms:
    """What a registry knows of a session."""
    id: bytes
    member: bool = True
    price: int = 0
    allowance: int = 0
    methods: dict = None  # id: (cu, part_cu); None: not known


def valued(records, terms):
    """Honest records: cut at the allowance, summed up, none without value [C6]."""
    done = []
    for r in sorted(records, key=lambda r: (r.start, r.lane)):
        t = terms[r.start]
        in_session = sum(d.value for d in done if d.start == r.start)
        cu = min(r.cu, (t.allowance - in_session) // t.price) if t.price else 0
        if cu > 0:
            done.append(Record(r.session, r.start, r.lane, r.size, r.root, cu, cu * t.price,
                               sum(d.value for d in done), in_session))
    return done


def claim_for(claim, records):
    """The claim over these records."""
    return Claim(claim.network, claim.application, claim.gateway, claim.supplier, claim.service,
                 claim.start_from, claim.start_to, len(records), sum(r.value for r in records),
                 tree.root_of(r.encode() for r in records))


def check(data, signature, records, network, p, now, terms):
    """The name of the first rule of [C7] that a claim breaks, or None; overlap is not looked at.

    p: the parameters of its first session; terms: {start: Terms} of the sessions that came to be.
    """
    c = decode(data)
    if c is None:
        return "form"
    exists = c.start_from % p["session_blocks"] == 0 and c.start_from >= p["snapshot_lag"]
    count = len(records) // SIZE
    for name, holds in [
            ("network", c.network == network),
            ("range", exists and c.start_to % p["session_blocks"] == 0
             and c.start_from < c.start_to),
            ("early", c.start_to + p["grace_blocks"] <= now),
            ("late", now < c.start_from + p["session_blocks"] + p["claim_window"]),
            ("amount", 0 < c.value < 2**96),
            ("records", len(records) == c.records * SIZE and 1 <= c.records <= RECORDS_MAX),
            ("signature", note.verifies(c.supplier, data, signature))]:
        if not holds:
            return name
    seen = []
    for i in range(count):
        r = decode_record(records[i * SIZE:(i + 1) * SIZE])
        fault = record_fault(c, r, seen, p, terms)
        if fault:
            return fault
        seen.append(r)
    if sum(r.value for r in seen) != c.value:
        return "total"
    return None if tree.root_of(r.encode() for r in seen) == c.root else "root"


def record_fault(c, r, before, p, terms):
    """The first rule of [C6] that a record breaks which comes after these."""
    if r is None:
        return "record"
    if not c.start_from <= r.start < c.start_to:
        return "start"
    if before and (before[-1].start, before[-1].lane) >= (r.start, r.lane):
        return "order"
    exists = r.start % p["session_blocks"] == 0 and r.start >= p["snapshot_lag"]
    t = terms.get(r.start) if exists else None
    if t is None or t.id != r.session:
        return "session"
    in_session = sum(b.value for b in before if b.start == r.start)
    so_far = sum(b.value for b in before)
    rules = [("not_drawn", t.member), ("grant", t.allowance > 0), ("size", 0 < r.size <= 2**20),
             ("no_value", r.cu * t.price > 0), ("value", r.value == r.cu * t.price),
             ("value_before", r.value_before == so_far),
             ("session_value", r.session_value_before == in_session),
             ("allowance", in_session + r.value <= t.allowance),
             ("total", so_far + r.value < 2**96)]
    return next((name for name, holds in rules if not holds), None)


def challenged(seed, claim_id, value):
    """x of [C8]."""
    return point(b"counterfoil/challenge/v1\n", seed, claim_id) % value


@dataclass(frozen=True)
class Proof:
    """[C9]"""
    index: int
    record: bytes
    record_path: tuple
    checkpoint: bytes
    leaf: bytes
    leaf_path: tuple

    def encode(self):
        return b"".join([u(self.index, 4), self.record, u(len(self.record_path), 1),
                         *self.record_path, u(len(self.checkpoint), 2), self.checkpoint, self.leaf,
                         u(len(self.leaf_path), 1), *self.leaf_path])


def decode_proof(data):
    """A proof, or None."""
    rest = [data]

    def take(n):
        if len(rest[0]) < n:
            raise EOFError
        head, rest[0] = rest[0][:n], rest[0][n:]
        return head

    def path():
        n = take(1)[0]
        if n > 32:
            raise EOFError
        return tuple(take(32) for _ in range(n))

    try:
        index = int.from_bytes(take(4), "big")
        record, record_path = take(SIZE), path()
        length = int.from_bytes(take(2), "big")
        if length > 4096:
            return None
        proof = Proof(index, record, record_path, take(length), take(192), path())
    except EOFError:
        return None
    return proof if not rest[0] and record[:4] == b"CFL1" else None


def proof_message(c, proof):
    return PROOF_TAG + c.network + c.id + sha(proof)


def note_fault(c, r, data):
    """What is wrong with the checkpoint of a proof, by its name in [C10]."""
    try:
        parsed = note.parse(data)
        origin = note.parse_origin(parsed.text.decode().split("\n")[0])
    except note.NoteError:
        return "note"
    if origin != note.Origin(c.network, c.gateway, c.supplier, r.lane):
        return "lane"
    lines = parsed.text.decode().split("\n")
    try:
        size, root = int(lines[1]), base64.b64decode(lines[2])
        text = note.checkpoint_text(origin, size, root)
        if text != parsed.text or not 1 <= size <= 2**20 or len(root) != 32:
            return "note"
    except (IndexError, ValueError):
        return "note"
    for name, key in [("supplier_signature", note.supplier_key(c.supplier)),
                      ("gateway_signature", note.gateway_key(c.gateway))]:
        try:
            if not parsed.signed_by(key):
                return name
        except note.NoteError:
            return name
        if name == "supplier_signature" and parsed.signatures[0][:2] != (key.name, key.id) \
                and not gateway_fails(parsed, c):
            return "note"
    return None if (size, root) == (r.size, r.root) else "head"


def gateway_fails(parsed, c):
    """A false cosignature is named before the order of the lines is looked at."""
    try:
        parsed.signed_by(note.gateway_key(c.gateway))
        return False
    except note.NoteError:
        return True


def check_proof(c, data, signature, seed, terms):
    """The first name of [C10] that is wrong, or None."""
    if not note.verifies(c.supplier, proof_message(c, data), signature):
        return "signature"
    proof = decode_proof(data)
    if proof is None:
        return "form"
    r = decode_record(proof.record)
    x = challenged(seed, c.id, c.value)
    if not r.value_before <= x < r.value_before + r.value:
        return "record_point"
    if not tree.check_inclusion(tree.leaf_hash(proof.record), proof.index, c.records,
                                proof.record_path, c.root):
        return "record_path"
    fault = note_fault(c, r, proof.checkpoint)
    if fault:
        return fault
    one, t = leaf_.decode(proof.leaf), terms[r.start]
    z = (x - r.value_before) // t.price
    if one.fault():
        return "leaf"
    if one.session != r.session:
        return "leaf_session"
    if not one.cu_before <= z < one.cu_before + one.cu:
        return "leaf_point"
    if t.methods is not None:
        most = t.methods.get(one.method)
        if most is None or one.cu > most[1 if one.part else 0]:
            return "leaf_cu"
    good = tree.check_inclusion(tree.leaf_hash(proof.leaf), one.seq, r.size, proof.leaf_path, r.root)
    return None if good else "leaf_path"


def take(amount, standing, thawing):
    """[C12]"""
    first = min(amount, standing)
    return first, min(amount - first, thawing)


def times(p, start_from, start_to, recorded):
    """[C4], [C11]: (first height, first that is too late, challenge, last for the proof)."""
    challenge = recorded + p["challenge_lag"]
    return (start_to + p["grace_blocks"],
            start_from + p["session_blocks"] + p["claim_window"], challenge,
            challenge + p["proof_window"])
