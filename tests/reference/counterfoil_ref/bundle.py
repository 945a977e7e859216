# SPDX-License-Identifier: Apache-2.0
"""Receipt bundles ([G3]): what the gateway serves under /.counterfoil/receipts/, checked offline.

    receipt = bundle.parse(requests.get(...).content)
    assert receipt.check() == []
    assert receipt.matches_request("eth", body_with_id_1)
"""

import base64
import json
from dataclasses import dataclass, field

from . import leaf as leaf_
from . import note, tree


@dataclass
class Bundle:
    leaf_bytes: bytes
    index: int
    size: int
    proof: list
    checkpoint: bytes
    keys: list
    salt: bytes
    request: bytes = None
    response: bytes = None
    next: tuple = None
    leaf: leaf_.Leaf = field(init=False)

    def __post_init__(self):
        self.leaf = leaf_.decode(self.leaf_bytes)

    def json(self):
        members = {
            "leaf": self.leaf_bytes.hex(), "index": self.index, "size": self.size,
            "proof": [base64.b64encode(h).decode() for h in self.proof],
            "checkpoint": self.checkpoint.decode(), "keys": [str(k) for k in self.keys]}
        if self.salt is not None:
            members["salt"] = self.salt.hex()
        if self.request is not None:
            members["request"] = base64.b64encode(self.request).decode()
        if self.response is not None:
            members["response"] = base64.b64encode(self.response).decode()
        if self.next is not None:
            members["next"] = "%s/%d" % (self.next[0].hex(), self.next[1])
        return (json.dumps(members, ensure_ascii=False, separators=(",", ":")) + "\n").encode()

    @property
    def origin(self):
        return note.parse_origin(note.parse(self.checkpoint).text.decode().split("\n")[0])

    def check(self):
        """Names of what is wrong, sorted; an empty list when all that is there holds."""
        faults = set()
        if self.leaf.fault():
            faults.add("leaf")
        if not self.leaf.fault() in ("magic", "zero"):
            if self.leaf.seq != self.index:
                faults.add("seq")
            more = self.leaf.kind == leaf_.PART and not self.leaf.flags & leaf_.LAST
            if more != (self.next is not None):
                faults.add("next")
        try:
            origin = self.origin
        except note.NoteError:
            return sorted(faults | {"note"})
        faults |= self._check_head(origin)
        own = [note.supplier_key(origin.supplier), note.gateway_key(origin.gateway)]
        if any(key not in own for key in self.keys):
            faults.add("keys")
        if not self.leaf.fault() in ("magic", "zero"):
            faults |= self._check_encodings(origin)
        return sorted(faults)

    def _check_head(self, origin):
        parsed = note.parse(self.checkpoint)
        faults = set()
        try:
            if not parsed.signed_by(note.supplier_key(origin.supplier)):
                faults.add("supplier_signature")
        except note.NoteError:
            faults.add("supplier_signature")
        try:
            parsed.signed_by(note.gateway_key(origin.gateway))
        except note.NoteError:
            faults.add("gateway_signature")
        if faults:
            return faults
        try:
            head = note.open_checkpoint(self.checkpoint)
        except note.NoteError:
            return {"note"}
        if self.size != head.size or self.index >= head.size:
            faults.add("size")
        if self.index < head.size and not tree.check_inclusion(
                tree.leaf_hash(self.leaf_bytes), self.index, head.size, self.proof, head.root):
            faults.add("inclusion")
        return faults

    def _check_encodings(self, origin):
        faults = set()
        if self.request is not None and self.leaf.request_hash != leaf_.request_hash(
                origin.lane, self.salt, self.request):
            faults.add("request_hash")
        if self.response is not None:
            if self.leaf.response_hash != leaf_.response_hash(
                    origin.lane, self.salt, self.response, self.leaf.part):
                faults.add("response_hash")
            elif int.from_bytes(self.response[:2], "big") != self.leaf.status:
                faults.add("status")
        return faults

    def matches_request(self, service, body):
        """True iff the leaf's request_hash is that of this JSON-RPC body, id already `1` ([E3])."""
        return self.leaf.request_hash == leaf_.request_hash(
            self.origin.lane, self.salt, leaf_.request_encoding(service, body))

    def matches_response(self, body, status=200, content_type="application/json"):
        """True iff the leaf's response_hash is that of this body, id still `1` ([E4])."""
        return self.leaf.response_hash == leaf_.response_hash(
            self.origin.lane, self.salt, leaf_.response_encoding(body, status, content_type),
            self.leaf.part)


def parse(data):
    """A bundle from its JSON bytes; raises ValueError when a member is missing or malformed."""
    members = json.loads(data)
    following = members.get("next")
    if following is not None:
        lane, _, seq = following.partition("/")
        following = (bytes.fromhex(lane), int(seq))

    def encoding(name):
        return note.b64decode_strict(members[name]) if name in members else None

    return Bundle(
        leaf_bytes=bytes.fromhex(members["leaf"]), index=members["index"], size=members["size"],
        proof=[note.b64decode_strict(h) for h in members["proof"]],
        checkpoint=members["checkpoint"].encode(),
        keys=[note.parse_key(k) for k in members["keys"]],
        salt=bytes.fromhex(members["salt"]) if "salt" in members else None,
        request=encoding("request"), response=encoding("response"), next=following)


def parse_receipt_header(value):
    """Counterfoil-Receipt ([G2]): a list of (lane, seq, salt), None where a call has none."""
    receipts = []
    for item in value.split(","):
        item = item.strip()
        if item == "-":
            receipts.append(None)
            continue
        lane, seq, salt = item.split("/")
        receipts.append((bytes.fromhex(lane), int(seq), bytes.fromhex(salt)))
    return receipts
