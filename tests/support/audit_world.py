# SPDX-License-Identifier: Apache-2.0
"""A small network made by Python alone, written as exported folders (docs/auditing.md), with any
fault that a test puts in: what counterfoil-audit must find."""

import dataclasses
import hashlib
import json
import pathlib
import random

from reference.counterfoil_ref import leaf, note, registry, session, tree

METHODS = b"counterfoil/methods/v1\nevm\n0 * 60 20\n2 eth_chainId 5 0\n20 eth_getBalance 20 3\n"
TIME = 1795442000
SESSION_BLOCKS, LAG = 10, 4


class World:
    """Keys, a registry with three suppliers for two members, and the session at height 20."""

    def __init__(self, seed=1, suppliers=3, members=2, heights=41):
        self.random = random.Random(seed)
        self.members, self.heights = members, heights
        self.registry_seed, self.app_seed, self.gateway_seed = (self.some(32) for _ in range(3))
        self.supplier_seeds = [self.some(32) for _ in range(suppliers)]
        self.registry_key, self.app, self.gateway = (
            note.public_of(s) for s in (self.registry_seed, self.app_seed, self.gateway_seed))
        self.tail = self.some(32)
        self.network = session.network_id(2, self.tail)
        self.budget = 2000
        self.value = self._registry()
        self.known = registry.Registry(self.value)
        self.start = 20
        self.session, members = self.known.session(self.app, "eth", self.start)
        self.seed_of = {note.public_of(s): s for s in self.supplier_seeds}
        self.supplier = members[0]
        self.supplier_seed = self.seed_of[members[0]]
        self.stranger_seed = next(s for k, s in self.seed_of.items() if k not in members)

    def some(self, n):
        return self.random.randbytes(n)

    def registry_file(self):
        return registry.sign(self.value, self.registry_seed)

    def _registry(self):
        suppliers = []
        for i, seed in enumerate(self.supplier_seeds):
            key = note.public_of(seed)
            suppliers.append({
                "endpoint": f"127.0.0.1:{9000 + i}", "height": "0", "key": key.hex(),
                "owner": session.owner_default(key).hex(), "price": "2", "services": ["eth"],
                "stake": "10"})
        grant = session.grant_bytes(self.network, self.app, self.gateway, "eth", self.budget, 1)
        return {
            "applications": [{"escrow": "1000000", "height": "0", "key": self.app.hex()}],
            "clock": {"block_ms": "1000", "genesis_ms": "1795442000000"},
            "fixed": {"seed_lag": "2", "session_blocks": str(SESSION_BLOCKS),
                      "session_suppliers": str(self.members), "snapshot_lag": str(LAG)},
            "grants": [{"application": self.app.hex(), "budget": str(self.budget),
                        "gateway": self.gateway.hex(), "height": "0", "nonce": "1",
                        "service": "eth",
                        "signature": note.sign(self.app_seed, grant).hex()}],
            "height": str(self.heights - 1), "network": {"id": self.network.hex(), "kind": "2",
                                        "tail": self.tail.hex()},
            "parameters": [{"challenge_lag": "1", "claim_window": "10", "grace_blocks": "1",
                            "height": "0", "price_max": "100", "proof_window": "5",
                            "stake_cap": "100", "stake_unit": "5"}],
            "seeds": {"from": "0", "to": str(self.heights),
                      "values": [{"height": str(h), "seed": self.some(32).hex()}
                                 for h in range(self.heights)]},
            "services": [{"height": "0", "name": "eth",
                          "table": hashlib.sha256(METHODS).hexdigest()}],
            "suppliers": sorted(suppliers, key=lambda e: e["key"]), "tables": []}

    def lane(self, count=300, **changes):
        """A lane of `count` answers at 1 CU each, with evidence and salts."""
        return Lane(self, count, **changes)

    def market(self, relays, choose):
        """({start: members}, lanes by supplier) after `relays` calls in each session that there is;
        choose(start, members) says who is asked."""
        drawn, lanes = {}, {}
        for start in range(SESSION_BLOCKS, self.heights, SESSION_BLOCKS):
            identity, members = self.known.session(self.app, "eth", start)
            drawn[start] = members
            for _ in range(relays):
                key = choose(start, members)
                if key not in lanes:
                    lanes[key] = self.lane(0, supplier_seed=self.seed_of[key])
                    lanes[key].sessions = []
                lanes[key].enter(start, identity)
                lanes[key].answer(len(lanes[key].leaves), session=identity)
        for lane in lanes.values():
            lane.final_size = len(lane.leaves)
        return drawn, lanes


class Lane:
    """One lane as one of its parties may have it; every part may be changed before it is written."""

    def __init__(self, world, count, supplier_seed=None, lane=None):
        self.world = world
        self.id = lane or world.some(16)
        self.supplier_seed = supplier_seed or world.supplier_seed
        self.supplier = note.public_of(self.supplier_seed)
        self.origin = note.Origin(world.network, world.gateway, self.supplier, self.id)
        self.state = "closed"
        self.adopted, self.undelivered = [], []
        self.sessions = [{"id": world.session.hex(), "application": world.app.hex(),
                          "service": "eth", "start": world.start}]
        self.leaves, self.salts, self.evidence = [], [], []
        for seq in range(count):
            self.answer(seq)
        self.final_size = count
        self.checkpoint = self.final = None  # made from the leaves when they are written
        self.tiles = True

    def enter(self, start, identity):
        """Names a session, once."""
        if all(s["start"] != start for s in self.sessions):
            self.sessions.append({"id": identity.hex(), "application": self.world.app.hex(),
                                  "service": "eth", "start": start})

    def answer(self, seq, **changes):
        """Appends one answered eth_getBalance of 1 CU."""
        salt = self.world.some(16)
        body = b'{"jsonrpc":"2.0","id":1,"method":"eth_getBalance","params":["%d"]}' % seq
        request = leaf.request_encoding("eth", body)
        response = leaf.response_encoding(b'{"jsonrpc":"2.0","id":1,"result":"0x%x"}' % seq)
        session_id = changes.get("session", self.world.session)
        before = next((x.cu_before + x.cu for x in reversed(self.leaves)
                       if x.session == session_id), 0)
        made = leaf.Leaf(
            seq=seq, session=session_id, cu_before=before, cu=1, method=20,
            time_ms=TIME * 1000 + seq, latency_us=500, block=7, block_hash=bytes(31) + b"\1",
            request_hash=leaf.request_hash(self.id, salt, request),
            response_hash=leaf.response_hash(self.id, salt, response))
        self.leaves.append(dataclasses.replace(made, **changes))
        self.salts.append(salt)
        self.evidence.append((request, response))

    def change(self, at, /, **changes):
        """The supplier signs another leaf instead."""
        self.leaves[at] = dataclasses.replace(self.leaves[at], **changes)
        return self

    def cut(self, count):
        """Only the first leaves, as the other party may have them."""
        del self.leaves[count:], self.salts[count:], self.evidence[count:]
        self.final_size = min(self.final_size, count)
        self.undelivered = [r for r in self.undelivered if r[1] <= count]
        return self

    def note(self, size, cosigned, time=TIME):
        hashes = tree.Tree(tree.leaf_hash(x.encode()) for x in self.leaves)
        return note.checkpoint(self.origin, size, hashes.root(size), self.supplier_seed,
                               self.world.gateway_seed if cosigned else None, time)

    def files(self):
        """(path in the lane's folder, bytes) of all files."""
        about = {"gateway": self.origin.gateway.hex(), "supplier": self.supplier.hex(),
                 "state": self.state, "size": len(self.leaves), "adopted": self.adopted,
                 "undelivered": self.undelivered, "sessions": self.sessions}
        yield "lane.json", json.dumps(about).encode()
        yield "leaves.bin", b"".join(x.encode() for x in self.leaves)
        yield "salts.bin", b"".join(self.salts)
        index, data = b"", b""
        for seq, (request, response) in enumerate(self.evidence):
            for number in (seq, len(data), len(request), len(response)):
                index += number.to_bytes(8, "big")
            data += request + response
        yield "evidence.idx", index
        yield "evidence.bin", data
        size = len(self.leaves)
        if size:
            yield "checkpoint", self.checkpoint or self.note(size, self.final_size == size)
        if self.final or self.final_size:
            yield "final", self.final or self.note(self.final_size, True)
        if self.tiles:
            yield from self.tile_files()

    def tile_files(self):
        """[T4], named as C2SP does."""
        hashes = [tree.leaf_hash(x.encode()) for x in self.leaves]
        level = 0
        while hashes:
            above = []
            for index in range(0, len(hashes), 256):
                part = hashes[index:index + 256]
                number = index // 256
                name = f"{number % 1000:03}"
                while number >= 1000:
                    number //= 1000
                    name = f"x{number % 1000:03}/{name}"
                suffix = "" if len(part) == 256 else f".p/{len(part)}"
                yield f"tile/{level}/{name}{suffix}", b"".join(part)
                if len(part) == 256:
                    above.append(tree.Tree(part).root(256))
            hashes, level = above, level + 1


def write(folder, world, role, lanes, key=None):
    """An export of the gateway, or of the supplier of the first lane.  Returns its path."""
    folder = pathlib.Path(folder)
    files = {"registry.note": world.registry_file(), "methods/eth.txt": METHODS}
    for lane in lanes:
        files.update({f"lanes/{lane.id.hex()}/{name}": data for name, data in lane.files()})
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    own = world.gateway if role == "gateway" else key or world.supplier
    (folder / "manifest.json").write_text(json.dumps({
        "version": 1, "network": world.network.hex(), "role": role, "self": own.hex(),
        "files": [{"path": name, "bytes": len(files[name]),
                   "sha256": hashlib.sha256(files[name]).hexdigest()} for name in sorted(files)]}))
    return folder
