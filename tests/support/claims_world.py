# SPDX-License-Identifier: Apache-2.0
"""A network made by Python alone, in which suppliers claimed what they served: its folders, its
registry file and its claims file, with any fault that a test puts in."""

import random

from reference.counterfoil_ref import claim, claims_file, note, registry, session, tree
from support import audit_world

STAKE, WINDOW, BATCH = 100000, 30, 2
RELAYS = 30


class ClaimsWorld(audit_world.World):
    """Sessions at heights 10, 20, ... with relays of 1 CU at 2 tokens, and claims for two sessions
    at a time, each proved and paid at once; those of the last 40 heights are not claimed.  Each
    call goes to whom choose(world, start, members) says, by default to any member."""

    def __init__(self, seed=1, choose=None, suppliers=4, members=2, heights=121, change=None):
        super().__init__(seed, suppliers=suppliers, members=members, heights=heights)
        self.value["parameters"][0]["claim_window"] = str(WINDOW)
        for e in self.value["suppliers"]:
            e["stake"] = str(STAKE)
        if change:
            change(self)
        dice = random.Random(seed)
        self.drawn, self.lanes = self.market(
            RELAYS, lambda start, drawn: (choose(self, start, drawn) if choose
                                          else dice.choice(drawn)))
        for lane in self.lanes.values():
            lane.tiles, lane.evidence = False, []  # no claim needs them
        self.params = self.known.params(0)
        self.entries, self.forfeits = [], []
        for start in range(10, heights - 41, 10 * BATCH):
            for key in sorted(self.lanes):
                self.claim(key, start, start + 10 * BATCH)

    def terms(self, key, start):
        """What the registry knows of a session for a supplier."""
        identity, members = self.known.session(self.app, "eth", start)
        price = next((int(e["price"]) for e in self.value["suppliers"]
                      if e["key"] == key.hex()), 0)
        return claim.Terms(identity, key in members, price,
                           self.known.allowance(self.app, self.gateway, "eth", start) or 0)

    def record(self, lane, start):
        """What the lane earned in the session, under its whole head; None: nothing."""
        identity = self.known.session(self.app, "eth", start)[0]
        cu = sum(x.cu for x in lane.leaves if x.session == identity)
        size = lane.final_size
        root = tree.Tree(tree.leaf_hash(x.encode()) for x in lane.leaves[:size]).root(size)
        return claim.Record(identity, start, lane.id, size, root, cu) if cu else None

    def claim(self, key, start, end, change=None, recorded=None):
        """A claim of all that a supplier earned, recorded when it can be, proved and paid."""
        records = [self.record(self.lanes[key], s) for s in range(start, end, 10)]
        terms = {s: self.terms(key, s) for s in range(start, end, 10)}
        records = claim.valued([r for r in records if r], terms)
        if change:
            records = change(records)
        if not records:
            return None
        about = claim.Claim(self.network, self.app, self.gateway, key, "eth", start, end)
        return self.enter(claim.claim_for(about, records), records,
                          end + 1 if recorded is None else recorded)

    def enter(self, c, records, recorded):
        """The registry records a claim and is given its proof."""
        _, _, challenge, due = claim.times(self.params, c.start_from, c.start_to, recorded)
        proof = self.prove(c, records, self.known.seed(challenge))
        seed = self.seed_of[c.supplier]
        e = claims_file.entry(
            c, note.sign(seed, c.encode()), b"".join(r.encode() for r in records), recorded, due,
            "paid", challenge, proof, note.sign(seed, claim.proof_message(c, proof)), c.value)
        self.entries.append(e)
        return e

    def prove(self, c, records, seed):
        """The right proof for a challenge."""
        x = claim.challenged(seed, c.id, c.value)
        at, r = next((i, r) for i, r in enumerate(records)
                     if r.value_before <= x < r.value_before + r.value)
        z = (x - r.value_before) // (r.value // r.cu)
        lane = self.lanes[c.supplier]
        leaf = next((one for one in lane.leaves if one.session == r.session
                     and one.cu_before <= z < one.cu_before + one.cu), lane.leaves[0])
        hashes = tree.Tree(tree.leaf_hash(one.encode()) for one in lane.leaves[:r.size])
        mine = tree.Tree(tree.leaf_hash(one.encode()) for one in records)
        return claim.Proof(at, r.encode(), tuple(mine.inclusion(at, len(records))),
                           lane.note(r.size, True), leaf.encode(),
                           tuple(hashes.inclusion(leaf.seq, r.size))).encode()

    def forfeit(self, e, reason="no_proof", proof=b""):
        """No right proof of this claim came."""
        c = claims_file.claim_of(e)
        sig = note.sign(self.seed_of[c.supplier], claim.proof_message(c, proof)) if proof else b""
        e.update(claims_file.entry(
            c, bytes.fromhex(e["signature"]), b"", int(e["recorded"]), int(e["due"]),
            "forfeited", int(e["due"]) + 1, proof, sig, 0, c.value, 0, reason)
            | {"records": e["records"]})

    def settle(self):
        """Writes what the claims moved into the entries of the registry file, as its keeper does."""
        spent, burned = {}, {}
        for e in self.entries:
            height, c = int(e["settled"]) + 1, claims_file.claim_of(e)
            if e["state"] == "paid":
                spent[height] = spent.get(height, 0) + int(e["paid"])
            elif e["state"] == "forfeited":
                at = burned.setdefault(c.supplier, {})
                at[height] = at.get(height, 0) + int(e["burned"])
        self._add("applications", {"key": self.app.hex()}, "escrow", "spent", spent)
        for key, at in burned.items():
            self._add("suppliers", {"key": key.hex()}, "stake", "burned", at)
        self.known = registry.Registry(self.value)

    def _add(self, kind, subject, standing, taken, amounts):
        first = next(e for e in self.value[kind] if e["key"] == subject["key"])
        total = 0
        for height in sorted(amounts):
            total += amounts[height]
            self.value[kind].append(first | {
                "height": str(height), standing: str(int(first[standing]) - total),
                taken: str(total)})
        self.value[kind].sort(key=lambda e: (e["key"], int(e["height"])))

    def file(self, **changes):
        return claims_file.file_of(self.network, self.heights - 1, self.entries) | changes

    def write(self, folder, file=None):
        """Writes everything; returns the words for `counterfoil-audit claims`."""
        path = folder / "claims.note"
        folder.mkdir(parents=True, exist_ok=True)
        path.write_bytes(claims_file.sign(file or self.file(), self.registry_seed))
        folders = [audit_world.write(folder / "gateway", self, "gateway",
                                     list(self.lanes.values()))]
        for key, lane in self.lanes.items():
            folders.append(audit_world.write(folder / key.hex()[:8], self, "supplier", [lane], key))
        return [path, *folders]

    def owner(self, key):
        return session.owner_default(key)
