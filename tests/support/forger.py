# SPDX-License-Identifier: Apache-2.0
"""Bundles that are forged around an honest supplier's signatures, made at random from a seed.

The forger has all that the network has seen: every leaf, head and bundle of the supplier's lanes,
the gateway's own key (it is the gateway, if it likes) and keys of its own.  It does not have the
supplier's key.  So whatever it makes must convict nobody.
"""

import base64
import dataclasses
import json
import random

from reference.counterfoil_ref import leaf, note, tree
from support import audit_world


class Honest:
    """Lanes of one honest supplier, and its bundles."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.world = audit_world.World(seed)
        self.lanes = [self._lane(count) for count in (1, 2, 33, 64)]
        self.trees = [tree.Tree(tree.leaf_hash(x.encode()) for x in lane.leaves) for lane in self.lanes]
        self.notes = {}

    def _lane(self, count):
        """Answers, errors, refusals and a stream in two sessions."""
        lane, other, sums = self.world.lane(0), self.world.some(32), {}
        for seq in range(count):
            session = other if seq % 5 == 3 else self.world.session
            changes = {"session": session, "cu_before": sums.get(session, 0)}
            if seq % 7 == 4:
                changes.update(kind=leaf.REFUSAL, cu=0)
            elif seq % 11 == 6:
                changes.update(kind=leaf.PART, stream=seq, flags=leaf.LAST)
            lane.answer(seq, **changes)
            sums[session] = sums.get(session, 0) + lane.leaves[-1].cu
        return lane

    def note(self, at, size):
        """A head of a lane, cosigned or not."""
        key = (at, size, self.random.randrange(2))
        if key not in self.notes:
            self.notes[key] = self.lanes[at].note(size, bool(key[2]))
        return self.notes[key]

    def bundle(self, at=None, seq=None, size=None):
        """Members of a right bundle."""
        at = self.random.randrange(len(self.lanes)) if at is None else at
        lane = self.lanes[at]
        size = size or self.random.randint(1 if seq is None else seq + 1, len(lane.leaves))
        seq = self.random.randrange(size) if seq is None else seq
        request, response = lane.evidence[seq]
        return {
            "leaf": lane.leaves[seq].encode().hex(), "index": seq, "size": size,
            "proof": [base64.b64encode(h).decode() for h in self.trees[at].inclusion(seq, size)],
            "checkpoint": self.note(at, size).decode(),
            "keys": [str(note.supplier_key(lane.origin.supplier)),
                     str(note.gateway_key(lane.origin.gateway))],
            "salt": lane.salts[seq].hex(), "request": base64.b64encode(request).decode(),
            "response": base64.b64encode(response).decode()}


class Forger:
    """case() gives the bytes of one to three bundles."""

    def __init__(self, honest):
        self.honest, self.random = honest, honest.random
        self.own_seed = honest.world.some(32)
        self.own = note.public_of(self.own_seed)
        self.own_lanes = {}
        self.tricks = [self.leaf_field, self.bit, self.number, self.proof, self.recombine,
                       self.forged_root, self.forged_signature, self.note_text, self.json_text,
                       self.another_lane, self.own_lane]

    def case(self):
        """(what was done, bundles as bytes)."""
        rng = self.random
        bundles = [self.honest.bundle() for _ in range(rng.choice([1, 1, 1, 2, 3]))]
        done = []
        for one in bundles:
            for _ in range(rng.choice([0, 1, 1, 2]) if len(bundles) > 1 else rng.choice([1, 1, 2])):
                trick = rng.choice(self.tricks)
                done.append(trick.__name__)
                trick(one)
        return done, [one.pop("bytes", None) or json.dumps(one, ensure_ascii=rng.random() < .5).encode(
            "utf-8", "surrogatepass") for one in bundles]

    # -- leaves and proofs

    def leaf_field(self, one):
        """A leaf with other fields, under the same proof."""
        rng = self.random
        try:
            made = leaf.decode(bytes.fromhex(one["leaf"]))
        except ValueError:
            return
        name, values = rng.choice([
            ("seq", [0, made.seq + 1, 2**20, 2**64 - 1]), ("cu", [0, 21, 1000, 2**32 - 1]),
            ("cu_before", [0, made.cu_before + 1, 2**64 - 1]), ("kind", [0, 1, 2, 3, 4, 5]),
            ("flags", [1, 32, 255]), ("method", [0, 2, 99]), ("zero", [1]), ("stream", [0, 9]),
            ("part", [0, 5]), ("status", [0, 500]), ("session", [bytes(32)]),
            ("magic", [b"CFR2"]), ("request_hash", [bytes(32)]), ("block_hash", [b"\1" * 32])])
        one["leaf"] = dataclasses.replace(made, **{name: rng.choice(values)}).encode().hex()

    def bit(self, one):
        """One bit of something."""
        rng, name = self.random, self.random.choice(["leaf", "salt", "request", "response", "proof"])
        if name == "proof":
            if not one["proof"]:
                return
            at = rng.randrange(len(one["proof"]))
            one["proof"][at] = base64.b64encode(self._flipped(base64.b64decode(one["proof"][at]))).decode()
        elif name in ("leaf", "salt"):
            one[name] = self._flipped(bytes.fromhex(one[name])).hex()
        else:
            one[name] = base64.b64encode(self._flipped(base64.b64decode(one[name]))).decode()

    def _flipped(self, data):
        out = bytearray(data)
        out[self.random.randrange(len(out))] ^= 1 << self.random.randrange(8)
        return bytes(out)

    def number(self, one):
        """Another index or size."""
        name = self.random.choice(["index", "size"])
        one[name] = self.random.choice([one[name] + 1, max(0, one[name] - 1), 0, 2**20, 2**63 - 1,
                                        one["size"], one["index"]])

    def proof(self, one):
        """Shorter, longer, in another order, of nodes instead of leaves."""
        rng, proof = self.random, one["proof"]
        what = rng.randrange(4)
        if what == 0:
            del proof[rng.randrange(len(proof) + 1):]
        elif what == 1:
            proof.insert(rng.randrange(len(proof) + 1), base64.b64encode(rng.randbytes(32)).decode())
        elif what == 2:
            rng.shuffle(proof)
        else:
            one["proof"] = proof[1:]
            one["index"] //= 2
            one["size"] = (one["size"] + 1) // 2

    def recombine(self, one):
        """Members of another right bundle."""
        other = self.honest.bundle()
        for name in self.random.sample(sorted(other), self.random.randint(1, 4)):
            one[name] = other[name]

    # -- heads and signatures

    def forged_root(self, one):
        """A tree of the forger's own with a leaf of its own, under the honest lane's name."""
        rng = self.random
        at = rng.randrange(len(self.honest.lanes))
        lane = self.honest.lanes[at]
        leaves = list(lane.leaves)
        seq = rng.randrange(len(leaves))
        leaves[seq] = dataclasses.replace(leaves[seq], cu=5000, seq=seq + rng.randrange(2))
        grown = tree.Tree(tree.leaf_hash(x.encode()) for x in leaves)
        text = note.checkpoint_text(lane.origin, len(leaves), grown.root(len(leaves)))
        one.update({"leaf": leaves[seq].encode().hex(), "index": seq, "size": len(leaves),
                    "proof": [base64.b64encode(h).decode() for h in grown.inclusion(seq, len(leaves))]})
        one["checkpoint"] = (text + b"\n" + self._lines(lane, text)).decode()

    def _lines(self, lane, text):
        """Signature lines that the forger can make: everybody's but the supplier's."""
        supplier, gateway = note.supplier_key(lane.origin.supplier), note.gateway_key(lane.origin.gateway)
        seed, rng = self.honest.world.gateway_seed, self.random
        old = self.honest.note(rng.randrange(len(self.honest.lanes)), 1)
        lines = [
            note.signature_line(gateway, seed, text, 5),
            note.signature_line(note.Key(supplier.name, note.ED25519, self.own), self.own_seed, text),
            note.signature_line(dataclasses.replace(supplier), self.own_seed, text),
            note.signature_line(note.Key(supplier.name, note.COSIGNATURE, supplier.public), self.own_seed, text, 7),
            note.signature_line(note.Key(gateway.name, note.ED25519, gateway.public), seed, text),
            note.signature_line(note.Key("example.com/log", note.ED25519, self.own), self.own_seed, text),
            old[old.index(b"\n\n") + 2:].split(b"\n")[0] + b"\n"]
        return b"".join(rng.sample(lines, rng.randint(1, 4)))

    def forged_signature(self, one):
        """The honest text with other lines, or lines of another text."""
        lane = self.honest.lanes[self.random.randrange(len(self.honest.lanes))]
        text = one["checkpoint"].partition("\n\n")[0].encode("utf-8", "surrogatepass") + b"\n"
        lines = self._lines(lane, text)
        if self.random.randrange(2):
            kept = one["checkpoint"].partition("\n\n")[2].encode("utf-8", "surrogatepass")
            lines = kept + lines if self.random.randrange(2) else lines + kept
        one["checkpoint"] = (text + b"\n" + lines).decode("utf-8", "surrogatepass")

    def note_text(self, one):
        """Tricks with the text of a note."""
        text = one["checkpoint"]
        size = text.split("\n")[1] if text.count("\n") > 1 else "1"
        tricks = [
            lambda: text.replace("\n", "\r\n"), lambda: text.upper(), lambda: text + "\n",
            lambda: text.replace("\u2014", "-"), lambda: text.replace("\u2014", "\u2013"),
            lambda: "\ufeff" + text, lambda: text.replace("counterfoil", "counterf\u043eil", 1),
            lambda: text.replace("\n", "\u2028", 1), lambda: text.replace("/", "\u2215", 1),
            lambda: text.replace("\n" + size + "\n", "\n0" + size + "\n", 1),
            lambda: text.replace("\n" + size + "\n", "\n" + size + " \n", 1),
            lambda: text.replace("\n" + size + "\n", "\n\u0661\n", 1),
            lambda: text.replace("\n" + size + "\n", f"\n{int(size) + 1 if size.isdecimal() else 2}\n", 1),
            lambda: text.replace("\n\n", "\nextra line\n\n", 1), lambda: text.replace("=", "", 1),
            lambda: text.replace("\n\n", "\n\n\n", 1), lambda: "\n\n" + text, lambda: text[:-1],
            lambda: text.replace("A", "\u0391", 1), lambda: text.replace("a", "a\u200b", 1),
            lambda: text.replace("e", "\x00", 1), lambda: text + text, lambda: text * 20,
            lambda: text.replace("=\n", "\ud800\n", 1)]
        one["checkpoint"] = self.random.choice(tricks)()

    def another_lane(self, one):
        """The name of another lane, network or party."""
        parts = one["checkpoint"].split("\n")[0].split("/")
        if len(parts) == 6:
            at = self.random.randrange(2, 6)
            other = self.random.choice([self.own.hex(), "00" * 32, parts[3], parts[4]])[:len(parts[at])]
            one["checkpoint"] = one["checkpoint"].replace(parts[at], other, 1)

    def own_lane(self, one):
        """A right bundle of the forger as a supplier, in a lane of the same id: it convicts nobody,
        and least of all the honest one."""
        lane = self.honest.lanes[self.random.randrange(len(self.honest.lanes))]
        if lane.id not in self.own_lanes:
            self.own_lanes[lane.id] = self.honest.world.lane(2, supplier_seed=self.own_seed, lane=lane.id)
        made = self.own_lanes[lane.id]
        hashes = tree.Tree(tree.leaf_hash(x.encode()) for x in made.leaves)
        one.clear()
        one.update({
            "leaf": made.leaves[1].encode().hex(), "index": 1, "size": 2,
            "proof": [base64.b64encode(h).decode() for h in hashes.inclusion(1, 2)],
            "checkpoint": made.note(2, True).decode(), "salt": made.salts[1].hex(),
            "keys": [str(note.supplier_key(self.own))],
            "request": base64.b64encode(made.evidence[1][0]).decode(),
            "response": base64.b64encode(made.evidence[1][1]).decode()})

    # -- JSON

    def json_text(self, one):
        """Another way to write it, or what is hardly JSON."""
        rng = self.random
        one.pop("bytes", None)
        text = json.dumps(one)
        tricks = [
            lambda: text.replace('"index": ', '"index": 1e', 1), lambda: text + "{}", lambda: text[:-1],
            lambda: text.replace('"index": ', '"index": -', 1), lambda: "[" + text + "]",
            lambda: text.replace('"size": ', '"size": 0', 1), lambda: text.replace('"leaf"', '"l\\u0065af"', 1),
            lambda: text.replace("{", '{"index": 0, ', 1), lambda: text.replace('"proof": [', '"proof": [1,', 1),
            lambda: text.replace('"salt": "', '"salt": "\\u0000', 1), lambda: text.replace("a", "\\u0061"),
            lambda: text.replace('"keys": [', '"keys": ["x+y+z",', 1), lambda: "[" * 5000 + text,
            lambda: text.replace('"index": ', '"next": "' + "00" * 16 + '/1", "index": ', 1),
            lambda: text.replace('"size": ', '"size": 184467440737095516', 1), lambda: "\ufeff" + text,
            lambda: text.replace('"checkpoint"', '"Checkpoint"', 1), lambda: text.replace(": ", ":\t\n", 9)]
        one["bytes"] = rng.choice(tricks)().encode("utf-8", "surrogatepass")
