# SPDX-License-Identifier: Apache-2.0
"""Frames of the link, written from docs/protocol.md section 9 and 10 alone.

A second implementation of relay/link/frame*.c, and the base of peers in Python that break the
rules on purpose.  `encode(name, fields)` gives a frame, `decode(bytes)` takes exactly one.
"""

import struct

HELLO, SESSION, SESSION_OK, RELAY, BATCH, COSIGN, LANES = 1, 2, 3, 4, 5, 6, 7
FETCH, LEAVES, CANCEL, CREDIT, PING, GOAWAY, ERROR = 8, 9, 10, 11, 12, 13, 14

NAMES = {
    HELLO: "hello", SESSION: "session", SESSION_OK: "session_ok", RELAY: "relay", BATCH: "batch",
    COSIGN: "cosign", LANES: "lanes", FETCH: "fetch", LEAVES: "leaves", CANCEL: "cancel",
    CREDIT: "credit", PING: "ping", GOAWAY: "goaway", ERROR: "error",
}
TYPES = {name: number for number, name in NAMES.items()}
LANE_MAX = 1 << 20
STREAM_SET = {SESSION, SESSION_OK, RELAY, FETCH, LEAVES, CANCEL}
STREAM_ANY = {CREDIT}  # 0: the link, else a relay [F10]


class Refused(Exception):
    """The bytes break a rule."""


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, n):
        if len(self.data) - self.at < n:
            raise Refused("too short")
        self.at += n
        return self.data[self.at - n:self.at]

    def number(self, size):
        return int.from_bytes(self.take(size), "big")

    def hex(self, n):
        return self.take(n).hex()

    def rest(self):
        return self.take(len(self.data) - self.at)

    def end(self):
        if self.at != len(self.data):
            raise Refused("too long")


def need(truth, why):
    if not truth:
        raise Refused(why)


def frame(kind, stream, payload, flags=0):
    return struct.pack(">IBBI", 6 + len(payload), kind, flags, stream) + payload


# Payload layouts of fixed shape: (field, size in bytes, "n" number or "h" hex).
FIXED = {
    HELLO: [("version", 1, "n"), ("role", 1, "n"), ("network", 32, "h"), ("key", 32, "h"),
            ("signature", 64, "h"), ("height", 8, "n"), ("frame_max", 4, "n"),
            ("in_flight_max", 4, "n"), ("max_unpaid_cu", 8, "n"), ("worker", 4, "n")],
    SESSION_OK: [("height", 8, "n")],
    COSIGN: [("lane", 16, "h"), ("size", 8, "n"), ("root", 32, "h"), ("time", 8, "n"),
             ("signature", 64, "h")],
    FETCH: [("lane", 16, "h"), ("from", 8, "n"), ("to", 8, "n")],
    CANCEL: [],
    CREDIT: [("relays", 4, "n"), ("bytes", 4, "n")],
    PING: [("bytes", 8, "h")],
    GOAWAY: [("code", 2, "n"), ("drain_ms", 4, "n")],
}
LANE_ENTRY = [("lane", 16, "h"), ("state", 1, "n"), ("size", 8, "n"), ("root", 32, "h"),
              ("signature", 64, "h"), ("cosigned_size", 8, "n"), ("cosigned_root", 32, "h"),
              ("cosigned_time", 8, "n"), ("cosignature", 64, "h")]


def put_fixed(layout, fields):
    out = b""
    for name, size, kind in layout:
        value = fields[name]
        out += value.to_bytes(size, "big") if kind == "n" else bytes.fromhex(value)
    return out


def get_fixed(layout, r):
    return {name: r.number(size) if kind == "n" else r.hex(size) for name, size, kind in layout}


def short(text):
    return bytes([len(text)]) + text


def put_payload(kind, f):
    if kind in FIXED:
        return put_fixed(FIXED[kind], f)
    if kind == SESSION:
        return (bytes.fromhex(f["session"] + f["application"]) + short(f["service"].encode()) +
                f["start"].to_bytes(8, "big") + bytes.fromhex(f["table"]))
    if kind == RELAY:
        pin = struct.pack(">Q", f["pin_block"]) + bytes.fromhex(f["pin_hash"]) \
            if "pin_block" in f else b""
        return (struct.pack(">II", f["session"], f["deadline_ms"]) +
                bytes.fromhex(f["salt"]) + pin + bytes.fromhex(f["request"]))
    if kind == BATCH:
        out = bytes.fromhex(f["lane"]) + struct.pack(">QI", f["first"], len(f["answers"]))
        for a in f["answers"]:
            response = bytes.fromhex(a["response"])
            out += struct.pack(">I", a["relay"]) + bytes.fromhex(a["leaf"])
            out += struct.pack(">I", len(response)) + response
        return out + bytes.fromhex(f["root"] + f["signature"])
    if kind == LANES:
        return (len(f["lanes"]).to_bytes(4, "big") +
                b"".join(put_fixed(LANE_ENTRY, lane) for lane in f["lanes"]))
    if kind == LEAVES:
        out = bytes.fromhex(f["lane"]) + struct.pack(">QI", f["from"], len(f["leaves"]))
        out += b"".join(bytes.fromhex(x["leaf"] + x["salt"]) for x in f["leaves"])
        return out + bytes.fromhex(f["signature"])
    text = f["text"].encode()
    return struct.pack(">BHH", f["type"], f["code"], len(text)) + text


def is_service(name):
    letters = b"abcdefghijklmnopqrstuvwxyz0123456789"
    return (1 <= len(name) <= 32 and name[0] in letters and
            all(c in letters + b"-" for c in name))


def get_batch(r):
    f = {"lane": r.hex(16), "first": r.number(8)}
    count = r.number(4)
    need(1 <= count <= 256 and f["first"] + count <= LANE_MAX, "count or first")
    f["answers"] = []
    for _ in range(count):
        relay, leaf = r.number(4), r.hex(192)
        need(relay != 0, "relay number 0")
        f["answers"].append({"relay": relay, "leaf": leaf, "response": r.hex(r.number(4))})
    turn = sum(200 + len(a["response"]) // 2 for a in f["answers"])
    need(count == 1 or turn <= 512 << 10, "more than a turn")
    f["root"], f["signature"] = r.hex(32), r.hex(64)
    return f


def get_lanes(r):
    count = r.number(4)
    need(count <= 1000, "count")
    lanes = [get_fixed(LANE_ENTRY, r) for _ in range(count)]
    for lane in lanes:
        need(lane["state"] <= 1, "state")
        need(lane["size"] <= LANE_MAX and lane["cosigned_size"] <= LANE_MAX, "size")
        if lane["size"] == 0:
            need(not lane["root"].strip("0") and not lane["signature"].strip("0"), "not zeros")
        if lane["cosigned_size"] == 0:
            need(not (lane["cosigned_root"] + lane["cosignature"]).strip("0"), "not zeros")
            need(lane["cosigned_time"] == 0, "not zeros")
    return {"lanes": lanes}


def get_leaves(r):
    f = {"lane": r.hex(16), "from": r.number(8)}
    count = r.number(4)
    need(count <= 2048 and f["from"] + count <= LANE_MAX, "count")
    f["leaves"] = [{"leaf": r.hex(192), "salt": r.hex(16)} for _ in range(count)]
    f["signature"] = r.hex(64)
    return f


def get_error(r, stream):
    f = {"type": r.number(1), "code": r.number(2)}
    text = r.take(r.number(2))
    need(len(text) <= 512, "text too long")
    need(f["type"] != 0 or stream == 0, "stream")
    try:
        f["text"] = text.decode()
    except UnicodeDecodeError as e:
        raise Refused("text is not UTF-8") from e
    return f


def get_payload(kind, stream, flags, r):
    if kind == BATCH:
        return get_batch(r)
    if kind == LANES:
        return get_lanes(r)
    if kind == LEAVES:
        return get_leaves(r)
    if kind == ERROR:
        return get_error(r, stream)
    if kind == SESSION:
        f = {"session": r.hex(32), "application": r.hex(32)}
        name = r.take(r.number(1))
        need(is_service(name), "service name")
        f["service"] = name.decode()
        f["start"], f["table"] = r.number(8), r.hex(32)
        return f
    if kind == RELAY:
        f = {"session": r.number(4), "deadline_ms": r.number(4), "salt": r.hex(16)}
        if flags & 1:  # pinned [F14]
            f["pin_block"], f["pin_hash"] = r.number(8), r.hex(32)
            need(f["pin_block"] != 2**64 - 1, "pinned to no block")
        f["request"] = r.rest().hex()
        need(f["session"] != 0 and f["request"], "session or request")
        return f
    f = get_fixed(FIXED[kind], r)
    if kind == HELLO:
        need(f["version"] == 1 and f["role"] in (1, 2), "version or role")
    if kind == COSIGN:
        need(1 <= f["size"] <= LANE_MAX, "size")
    if kind == FETCH:
        need(f["from"] < f["to"] <= LANE_MAX and f["to"] - f["from"] <= 2048, "range")
    return f


def encode(name, fields, stream=0, flags=0):
    """One frame, without any check: a peer that breaks rules must be able to say anything."""
    kind = TYPES[name]
    return frame(kind, stream, put_payload(kind, fields), flags)


def decode(data, frame_max=1 << 22):
    """(name, stream, flags, fields) of exactly one frame; Refused when it breaks a rule."""
    need(len(data) >= 10, "too short")
    length, kind, flags, stream = struct.unpack(">IBBI", data[:10])
    need(6 <= length <= frame_max and length + 4 == len(data), "length")
    if kind >= 0x80:
        return "skipped", stream, flags, {}
    need(kind in NAMES, "unknown type")
    if kind != ERROR and kind not in STREAM_ANY:
        need((stream != 0) == (kind in STREAM_SET), "stream")
    r = Reader(data[10:])
    fields = get_payload(kind, stream, flags, r)
    r.end()
    return NAMES[kind], stream, flags, fields


def split(data):
    """The whole frames at the start of data, and what is left."""
    out = []
    while len(data) >= 4:
        size = 4 + int.from_bytes(data[:4], "big")
        if len(data) < size:
            break
        out.append(data[:size])
        data = data[size:]
    return out, data
