#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes tests/vectors/frames.json from the Python implementation of the codec.

Run it after a change of docs/protocol.md section 9; the C tests then say whether they agree.
"""

import json
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "reference"))
from counterfoil_ref import frames  # noqa: E402


def run(first, n):
    """n bytes that count up from `first`, as hex: any byte in the wrong place shows."""
    return bytes((first + i) % 256 for i in range(n)).hex()


LEAF = b"CFR1".hex() + run(1, 188)
NO_HEAD = {"root": "00" * 32, "signature": "00" * 64}
NO_COSIGN = {"cosigned_size": 0, "cosigned_root": "00" * 32, "cosigned_time": 0,
             "cosignature": "00" * 64}
HELLO = {"version": 1, "role": 2, "network": run(1, 32), "key": run(2, 32),
         "signature": run(3, 64), "height": 2**62 + 5, "frame_max": 4194304,
         "in_flight_max": 4096, "max_unpaid_cu": 10**12, "worker": 7}
SESSION = {"session": run(4, 32), "application": run(5, 32), "service": "eth", "start": 600,
           "table": run(6, 32)}
RELAY = {"session": 3, "deadline_ms": 30000, "salt": run(7, 16),
         "request": "0103657468" + "00" * 5 + run(8, 40)}
COSIGN = {"lane": run(9, 16), "size": 1 << 20, "root": run(10, 32), "time": 1795442000,
          "signature": run(11, 64)}
LANE = {"lane": run(12, 16), "state": 0, "size": 77, "root": run(13, 32), "signature": run(14, 64),
        "cosigned_size": 70, "cosigned_root": run(15, 32), "cosigned_time": 1795442001,
        "cosignature": run(16, 64)}
BATCH = {"lane": run(17, 16), "first": (1 << 20) - 2, "root": run(18, 32),
         "signature": run(19, 64),
         "answers": [{"relay": 1, "leaf": LEAF, "response": run(20, 30)},
                     {"relay": 0xffffffff, "leaf": LEAF, "response": ""}]}

GOOD = [
    ("hello", 0, 0, HELLO),
    ("hello", 0, 0, {**HELLO, "role": 1, "max_unpaid_cu": 0}),
    ("session", 1, 0, SESSION),
    ("session", 0xffffffff, 0, {**SESSION, "service": "a" * 32}),
    ("session_ok", 1, 0, {"height": 605}),
    ("relay", 9, 0, RELAY),
    ("relay", 10, 0, {**RELAY, "request": "01", "deadline_ms": 0}),
    ("batch", 0, 0, BATCH),
    ("cosign", 0, 0, COSIGN),
    ("lanes", 0, 1, {"lanes": []}),
    ("lanes", 0, 1, {"lanes": [LANE, {**LANE, **NO_COSIGN}]}),
    ("lanes", 0, 3, {"lanes": [{**LANE, **NO_COSIGN, **NO_HEAD, "size": 0, "state": 1}]}),
    ("fetch", 4, 0, {"lane": run(21, 16), "from": 0, "to": 2048}),
    ("leaves", 4, 0, {"lane": run(21, 16), "from": 5, "leaves": [],
                      "signature": "00" * 64}),
    ("leaves", 4, 0, {"lane": run(21, 16), "from": (1 << 20) - 1,
                      "leaves": [{"leaf": LEAF, "salt": run(22, 16)}],
                      "signature": run(24, 64)}),
    ("cancel", 12, 0, {}),
    ("credit", 0, 0, {"relays": 64, "bytes": 2**32 - 1}),
    ("ping", 0, 0, {"bytes": run(23, 8)}),
    ("ping", 0, 1, {"bytes": run(23, 8)}),
    ("goaway", 0, 0, {"code": 36, "drain_ms": 5000}),
    ("error", 0, 0, {"type": 0, "code": 48, "text": "broken, für ever"}),
    ("error", 9, 0, {"type": 4, "code": 65535, "text": ""}),
    ("credit", 12, 0, {"relays": 0, "bytes": 65536}),
    ("relay", 11, 1, {**RELAY, "pin_block": 2**62 + 9, "pin_hash": run(25, 32)}),
]

BAD = [
    ("stream of hello is set", "hello", 1, HELLO),
    ("role 0", "hello", 0, {**HELLO, "role": 0}),
    ("role 3", "hello", 0, {**HELLO, "role": 3}),
    ("another version", "hello", 0, {**HELLO, "version": 2}),
    ("handle 0", "session", 0, SESSION),
    ("empty service", "session", 1, {**SESSION, "service": ""}),
    ("service in capitals", "session", 1, {**SESSION, "service": "ETH"}),
    ("service too long", "session", 1, {**SESSION, "service": "a" * 33}),
    ("session_ok with handle 0", "session_ok", 0, {"height": 1}),
    ("relay number 0", "relay", 0, RELAY),
    ("relay without session", "relay", 1, {**RELAY, "session": 0}),
    ("relay without request", "relay", 1, {**RELAY, "request": ""}),
    ("relay pinned to no block", "relay", 1,
     {**RELAY, "pin_block": 2**64 - 1, "pin_hash": run(25, 32)}, 1),
    ("pinned relay without request", "relay", 1,
     {**RELAY, "pin_block": 1, "pin_hash": run(25, 32), "request": ""}, 1),
    ("pinned relay cut in its hash", "relay", 1,
     {**RELAY, "pin_block": 1, "pin_hash": run(25, 31), "request": ""}, 1),
    ("batch with a stream", "batch", 2, BATCH),
    ("empty batch", "batch", 0, {**BATCH, "answers": []}),
    ("batch past 2^20", "batch", 0, {**BATCH, "first": (1 << 20) - 1}),
    ("batch that overflows", "batch", 0, {**BATCH, "first": 2**64 - 1}),
    ("batch answering 0", "batch", 0, {**BATCH, "answers": [{**BATCH["answers"][0], "relay": 0}]}),
    ("batch of 257", "batch", 0, {**BATCH, "first": 0, "answers": [BATCH["answers"][1]] * 257}),
    ("cosign of nothing", "cosign", 0, {**COSIGN, "size": 0}),
    ("cosign over 2^20", "cosign", 0, {**COSIGN, "size": (1 << 20) + 1}),
    ("lane of state 2", "lanes", 0, {"lanes": [{**LANE, "state": 2}]}),
    ("lane over 2^20", "lanes", 0, {"lanes": [{**LANE, "size": (1 << 20) + 1}]}),
    ("empty lane with a root", "lanes", 0, {"lanes": [{**LANE, "size": 0}]}),
    ("no cosignature, but a time", "lanes", 0,
     {"lanes": [{**LANE, **NO_COSIGN, "cosigned_time": 1}]}),
    ("fetch of nothing", "fetch", 1, {"lane": run(1, 16), "from": 5, "to": 5}),
    ("fetch backwards", "fetch", 1, {"lane": run(1, 16), "from": 5, "to": 4}),
    ("fetch of 2049", "fetch", 1, {"lane": run(1, 16), "from": 0, "to": 2049}),
    ("fetch past 2^20", "fetch", 1, {"lane": run(1, 16), "from": 1 << 20, "to": (1 << 20) + 1}),
    ("leaves with stream 0", "leaves", 0,
     {"lane": run(1, 16), "from": 0, "leaves": [], "signature": "00" * 64}),
    ("cancel of 0", "cancel", 0, {}),
    ("error text over 512", "error", 0, {"type": 0, "code": 1, "text": "x" * 513}),
    ("error of the link with a stream", "error", 5, {"type": 0, "code": 1, "text": ""}),
]


def main():
    good = [{"name": name, "stream": stream, "flags": flags, "fields": fields,
             "hex": frames.encode(name, fields, stream, flags).hex()}
            for name, stream, flags, fields in GOOD]
    bad = [{"why": why, "hex": frames.encode(name, fields, stream, *flags).hex()}
           for why, name, stream, fields, *flags in BAD]
    bad.append({"why": "error text that is not UTF-8",
                "hex": frames.frame(frames.ERROR, 0, b"\0\0\1\0\1\xff").hex()})
    bad.append({"why": "type 0", "hex": frames.frame(0, 0, b"").hex()})
    bad.append({"why": "type 15", "hex": frames.frame(15, 0, b"").hex()})
    bad.append({"why": "type 127", "hex": frames.frame(127, 0, b"").hex()})
    text = json.dumps({"good": good, "bad": bad}, indent=1, ensure_ascii=True)
    (HERE / "frames.json").write_text(text + "\n")
    corpus = HERE.parent / "fuzz" / "corpus" / "frame"
    corpus.mkdir(parents=True, exist_ok=True)
    for i, row in enumerate(good):
        (corpus / f"{i:02d}_{row['name']}").write_bytes(bytes.fromhex(row["hex"]))
    (corpus / "many").write_bytes(b"".join(bytes.fromhex(r["hex"]) for r in good[2:]))


if __name__ == "__main__":
    main()
