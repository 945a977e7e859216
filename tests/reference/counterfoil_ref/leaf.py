# SPDX-License-Identifier: Apache-2.0
"""Leaves and their hashes (docs/protocol.md [R1]..[R5]) and the encodings of a relay ([E2], [E4])."""

import hashlib
import struct
from dataclasses import dataclass

SIZE = 192
LAYOUT = struct.Struct(">4sBBHQ32sQIIQIIIIQ32s32s32s")
BLOCK_UNKNOWN = 2**64 - 1
ANSWER, RPC_ERROR, REFUSAL, PART = 1, 2, 3, 4
LAST, PINNED, RECOMPUTED, PROOF, QUORUM = 1, 2, 4, 8, 16
assert LAYOUT.size == SIZE


@dataclass(frozen=True)
class Leaf:
    kind: int = ANSWER
    flags: int = 0
    status: int = 200
    seq: int = 0
    session: bytes = bytes(32)
    cu_before: int = 0
    cu: int = 0
    method: int = 0
    time_ms: int = 0
    latency_us: int = 0
    stream: int = 0
    part: int = 0
    zero: int = 0
    block: int = BLOCK_UNKNOWN
    block_hash: bytes = bytes(32)
    request_hash: bytes = bytes(32)
    response_hash: bytes = bytes(32)
    magic: bytes = b"CFR1"

    def encode(self):
        return LAYOUT.pack(
            self.magic, self.kind, self.flags, self.status, self.seq, self.session,
            self.cu_before, self.cu, self.method, self.time_ms, self.latency_us, self.stream,
            self.part, self.zero, self.block, self.block_hash, self.request_hash,
            self.response_hash)

    def fault(self, max_cu=None, max_part_cu=None):
        """The name of the first rule of [R5] that is broken, or None."""
        rules = [
            ("magic", self.magic == b"CFR1"),
            ("zero", self.zero == 0),
            ("kind", 1 <= self.kind <= 4),
            ("flags", self.flags <= 31),
            ("seq_range", self.seq < 2**20),
            ("cu_overflow", self.cu_before + self.cu < 2**64),
            ("refusal_cu", self.kind != REFUSAL or self.cu == 0),
            ("part_without_stream", self.kind != PART or self.stream != 0),
            ("stream", self.kind == PART
             or (self.stream == 0 and self.part == 0 and not self.flags & LAST)),
            ("block_hash", self.block != BLOCK_UNKNOWN or self.block_hash == bytes(32)),
        ]
        if max_cu is not None:
            rules.append(("cu_table", self.cu <= (max_part_cu if self.part else max_cu)))
        return next((name for name, holds in rules if not holds), None)


def decode(data):
    if len(data) != SIZE:
        raise ValueError("a leaf has 192 bytes")
    (magic, kind, flags, status, seq, session, cu_before, cu, method, time_ms, latency_us, stream,
     part, zero, block, block_hash, request_hash, response_hash) = LAYOUT.unpack(data)
    return Leaf(kind=kind, flags=flags, status=status, seq=seq, session=session,
                cu_before=cu_before, cu=cu, method=method, time_ms=time_ms,
                latency_us=latency_us, stream=stream, part=part, zero=zero, block=block,
                block_hash=block_hash, request_hash=request_hash, response_hash=response_hash,
                magic=magic)


def request_hash(lane, salt, encoding):
    assert len(lane) == 16 and len(salt) == 16
    return hashlib.sha256(b"counterfoil/req/v1\n" + lane + salt + encoding).digest()


def response_hash(lane, salt, encoding, part=0):
    assert len(lane) == 16 and len(salt) == 16
    return hashlib.sha256(
        b"counterfoil/res/v1\n" + lane + salt + part.to_bytes(8, "big") + encoding).digest()


def request_encoding(service, body, kind=1, verb="", path="", content_type=""):
    """[E2]"""
    def short(s):
        raw = s.encode()
        return bytes([len(raw)]) + raw

    def text(s):
        raw = s.encode()
        return len(raw).to_bytes(2, "big") + raw

    return (bytes([kind]) + short(service) + short(verb) + text(path) + text(content_type)
            + len(body).to_bytes(8, "big") + body)


def response_encoding(body, status=200, content_type="application/json"):
    """[E4]"""
    raw = content_type.encode()
    return (status.to_bytes(2, "big") + len(raw).to_bytes(2, "big") + raw
            + len(body).to_bytes(8, "big") + body)
