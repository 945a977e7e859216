#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes evm.json: Keccak-256, RLP and tries from the Python implementation and pycryptodome."""

import json
import pathlib
import random
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "reference"))
from counterfoil_ref import evm  # noqa: E402

RANDOM = random.Random(20261126)
LENGTHS = [*range(0, 140), *range(265, 280), 405, 406, 407, 408, 409, 1000]


def keccaks():
    """Of the bytes 0, 7, 14, ... modulo 256."""
    rows = []
    for n in LENGTHS:
        rows.append({"n": n, "digest": evm.keccak(bytes(7 * i % 256 for i in range(n))).hex()})
    return rows


def strings():
    values = [b"", b"\0", b"\x7f", b"\x80", b"a" * 55, b"b" * 56, b"c" * 255, b"d" * 256, b"e" * 65536]
    return [{"n": len(v), "fill": v[0] if v else 0, "head": evm.rlp(v)[:12].hex(),
             "digest": evm.keccak(evm.rlp(v)).hex()} for v in values]


def lists():
    """A list of n strings of two bytes each, and that list in two more lists."""
    rows = []
    for n in (0, 1, 17, 18, 19, 85, 86, 20000, 22000):
        item = [[[b"ab"] * n]]
        rows.append({"n": n, "digest": evm.keccak(evm.rlp(item)).hex()})
    return rows


def list_roots():
    """The value of index i is 1 + i * step % most bytes, all i modulo 256."""
    rows = []
    for n in [*range(0, 20), 126, 127, 128, 129, 130, 200, 255, 256, 257, 1000, 4100]:
        for step, most in ((1, 1), (11, 60), (97, 300)):
            values = [bytes([i % 256]) * (1 + i * step % most) for i in range(n)]
            rows.append({"n": n, "step": step, "most": most, "root": evm.list_root(values).hex()})
    return rows


def key_roots():
    rows = []
    for n in (1, 2, 3, 10, 100):
        for size in (1, 2, 5, 20, 32):
            keys = set()
            while len(keys) < min(n, 40 if size == 1 else n):
                keys.add(bytes(RANDOM.choice((0, 1, 0x10, 0x11, 0xFF)) if i < size - 1 else RANDOM.randrange(256)
                               for i in range(size)))
            pairs = {key: RANDOM.randbytes(RANDOM.choice((1, 5, 40))) for key in sorted(keys)}
            rows.append({"pairs": [[k.hex(), v.hex()] for k, v in pairs.items()],
                         "root": evm.trie_root(pairs).hex()})
    return rows


def main():
    value = {"keccak": keccaks(), "strings": strings(), "lists": lists(), "list_roots": list_roots(),
             "key_roots": key_roots()}
    (HERE / "evm.json").write_text(json.dumps(value, indent=1) + "\n")


if __name__ == "__main__":
    main()
