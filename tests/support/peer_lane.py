# SPDX-License-Identifier: Apache-2.0
"""A lane and a registry as a peer in Python sees them."""

import time

from reference.counterfoil_ref import leaf, note, registry, tree
from support import net

SERVICE = "eth"


class Lane:
    """Leaves, the heads that the supplier signed, and what the gateway has cosigned of them."""

    def __init__(self, network, gateway, supplier, lane):
        self.origin = note.Origin(network, gateway, supplier, lane)
        self.leaves, self.salts, self.hashes = [], [], []
        self.sums = {}      # session: CU so far [R7]
        self.heads = {}     # size: (root, signature)
        self.cosigned = {}  # size: (root, time, signature)

    @property
    def id(self):
        """16 bytes."""
        return self.origin.lane

    def copy(self):
        """The lane as it is now, to go on in another way."""
        made = Lane(self.origin.network, self.origin.gateway, self.origin.supplier, self.id)
        made.leaves, made.salts, made.hashes = list(self.leaves), list(self.salts), list(self.hashes)
        made.sums, made.heads, made.cosigned = dict(self.sums), dict(self.heads), dict(self.cosigned)
        return made

    def append(self, data, salt):
        """One more leaf."""
        one = leaf.decode(data)
        self.sums[one.session] = self.sums.get(one.session, 0) + one.cu
        self.leaves.append(data)
        self.salts.append(salt)
        self.hashes.append(tree.leaf_hash(data))

    def root(self, size=None):
        """Of the first `size` leaves, or of all."""
        return tree.Tree(self.hashes).root(len(self.hashes) if size is None else size)

    def text(self, size, root):
        """What a head's signature is over [N1]."""
        return note.checkpoint_text(self.origin, size, root)

    def cosign(self, gateway, size, root=None, at=None):
        """(root, time, signature) of a cosignature [N3]."""
        root = self.root(size) if root is None else root
        at = int(time.time()) if at is None else at
        return root, at, gateway.sign(note.cosigned(at, self.text(size, root)))

    def entry(self, state=0, **changes):
        """The lane in a LANES frame [L5]."""
        size = max(self.heads, default=0)
        root, signature = self.heads.get(size, (bytes(32), bytes(64)))
        paid = max(self.cosigned, default=0)
        paid_root, at, paid_signature = self.cosigned.get(paid, (bytes(32), 0, bytes(64)))
        return {"lane": self.id.hex(), "state": state, "size": size, "root": root.hex(),
                "signature": signature.hex(), "cosigned_size": paid,
                "cosigned_root": paid_root.hex(), "cosigned_time": at,
                "cosignature": paid_signature.hex(), **changes}


class Session:
    """What SESSION says of a session, and who its members are."""

    def __init__(self, application, start, identity, members, table):
        self.application, self.start = application, start
        self.id, self.members, self.table = identity, members, table

    def fields(self, **changes):
        """Of a SESSION frame [F5]."""
        return {"session": self.id.hex(), "application": self.application.hex(), "service": SERVICE,
                "start": self.start, "table": self.table.hex(), **changes}


class Book:
    """The registry of a network, read anew each time as its keeper serves it [Y1]."""

    def __init__(self, network):
        self.url, self.key = network.registry_url, bytes.fromhex(network.registry_key)
        value = self.read().value
        self.network = bytes.fromhex(value["network"]["id"])
        self.genesis_ms = int(value["clock"]["genesis_ms"])
        self.block_ms = int(value["clock"]["block_ms"])
        self.blocks = int(value["fixed"]["session_blocks"])

    def read(self):
        """The registry now."""
        status, _, data = net.get(self.url)
        assert status == 200
        return registry.Registry(registry.parse(data, self.key))

    def height(self):
        """By the clock."""
        return int((time.time() * 1000 - self.genesis_ms) // self.block_ms)

    def start(self):
        """Where the session of now begins."""
        return self.height() // self.blocks * self.blocks

    def at(self, height):
        """Sleeps until a height has begun."""
        ms = self.genesis_ms + height * self.block_ms - time.time() * 1000
        if ms > 0:
            time.sleep(ms / 1000 + 0.005)

    def session(self, application, start, known=None):
        """The session of an application (hex), or None."""
        known, key = known or self.read(), bytes.fromhex(application)
        found = known.session(key, SERVICE, start)
        if not found:
            return None
        table = registry.as_of(known.value["services"], start, name=SERVICE)["table"]
        return Session(key, start, *found, bytes.fromhex(table))
