#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes leaf.json, tree.json, note.json and bundle.json from the Python implementation.

Run it after a change of docs/protocol.md sections 5 to 7; the C tests then say whether they agree.
"""

import base64
import dataclasses
import hashlib
import json
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "reference"))
from counterfoil_ref import bundle, leaf, note, tree  # noqa: E402
from counterfoil_ref.leaf import Leaf  # noqa: E402


def run(first, n):
    """n bytes that count up from `first`: any byte in the wrong place shows."""
    return bytes((first + i) % 256 for i in range(n))


SUPPLIER_SEED, GATEWAY_SEED, OTHER_SEED = run(1, 32), run(2, 32), run(3, 32)
SUPPLIER, GATEWAY = note.public_of(SUPPLIER_SEED), note.public_of(GATEWAY_SEED)
OTHER = note.public_of(OTHER_SEED)
ORIGIN = note.Origin(run(10, 32), GATEWAY, SUPPLIER, run(40, 16))
LANE, SALT = ORIGIN.lane, run(60, 16)
TIME = 1795442000
FULL = Leaf(kind=1, flags=30, status=200, seq=0x12345, session=run(70, 32),
            cu_before=0x0102030405060708, cu=0x11121314, method=0x21222324,
            time_ms=0x3132333435363738, latency_us=0x41424344, block=0x5152535455565758,
            block_hash=run(80, 32), request_hash=run(90, 32), response_hash=run(100, 32))
PART = dataclasses.replace(FULL, kind=4, flags=1, stream=0x61626364, part=0x71727374)


def write(name, value):
    (HERE / name).write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n")


def fields(which):
    """Integers as decimal strings (64 bits do not fit JSON numbers everywhere), bytes as hex."""
    return {k: v.hex() if isinstance(v, bytes) else str(v)
            for k, v in dataclasses.asdict(which).items() if k not in ("magic", "zero")}


def leaf_vectors():
    good = [FULL, PART, Leaf(), Leaf(kind=2, status=200, cu=5, method=1),
            Leaf(kind=3, status=22, seq=2**20 - 1),
            Leaf(kind=4, stream=1), Leaf(kind=4, flags=1, stream=2**32 - 1, part=2**32 - 1),
            Leaf(cu_before=2**64 - 1 - 7, cu=7, latency_us=2**32 - 1),
            Leaf(block=0), Leaf(block=2**64 - 2, block_hash=run(5, 32)),
            Leaf(status=65535, time_ms=2**64 - 1, method=2**32 - 1, cu=2**32 - 1)]
    base = Leaf(cu=10, cu_before=100)
    part = Leaf(kind=4, stream=9, cu=3, part=1)
    checked = [(base, 10, 0), (base, 9, 2**32 - 1), (part, 0, 3), (part, 2**32 - 1, 2),
               (dataclasses.replace(part, part=0), 3, 0), (dataclasses.replace(part, part=0), 2, 3)]
    for change in [
            {"magic": b"CFR2"}, {"magic": b"cfr1"}, {"zero": 1}, {"zero": 2**31}, {"kind": 0},
            {"kind": 5}, {"kind": 255}, {"flags": 32}, {"flags": 128}, {"flags": 255},
            {"seq": 2**20}, {"seq": 2**63}, {"seq": 2**20 - 1}, {"cu_before": 2**64 - 1},
            {"cu_before": 2**64 - 10}, {"cu_before": 2**64 - 11}, {"kind": 3},
            {"kind": 3, "cu": 0}, {"kind": 4}, {"kind": 4, "stream": 1}, {"stream": 1},
            {"part": 1}, {"flags": 1}, {"kind": 2, "flags": 1}, {"kind": 3, "cu": 0, "stream": 7},
            {"block_hash": run(1, 32)}, {"block_hash": bytes(31) + b"\x01"},
            {"block": 2**64 - 2, "block_hash": run(1, 32)}, {"block": 0}]:
        checked.append((dataclasses.replace(base, **change), 10, 10))
    bodies = [b"", b"{}", b'{"jsonrpc":"2.0","id":1,"method":"eth_chainId"}', bytes(range(256)) * 9]
    requests = [leaf.request_encoding("eth", b) for b in bodies]
    requests.append(leaf.request_encoding("ipfs", b"", 2, "GET", "/ipfs/a?b=c", "text/plain"))
    responses = [(leaf.response_encoding(b), 0) for b in bodies]
    responses += [(leaf.response_encoding(b"data: 1\n\n", 200, "text/event-stream"), p)
                  for p in (1, 255, 256, 2**32 - 1)]
    responses.append((leaf.response_encoding(b"unpaid", 22, "text/plain"), 0))
    write("leaf.json", {
        "leaves": [{"fields": fields(x), "bytes": x.encode().hex(),
                    "hash": tree.leaf_hash(x.encode()).hex()} for x in good],
        "checks": [{"bytes": x.encode().hex(), "cu": cu, "part_cu": part_cu,
                    "fault": x.fault(cu, part_cu) or "fine"} for x, cu, part_cu in checked],
        "lane": LANE.hex(), "salt": SALT.hex(),
        "requests": [{"encoding": e.hex(), "hash": leaf.request_hash(LANE, SALT, e).hex()}
                     for e in requests],
        "responses": [{"encoding": e.hex(), "part": p,
                       "hash": leaf.response_hash(LANE, SALT, e, p).hex()}
                      for e, p in responses]})


def digest_of(proofs):
    return hashlib.sha256(b"".join(bytes([len(p)]) + b"".join(p) for p in proofs)).hexdigest()


def tree_vectors():
    """Leaf i is the u32 i.  Roots of all sizes to 300, a digest of all proofs of some of them, a
    few proofs in full."""
    top = 300
    every = [*range(65), 127, 128, 129, 255, 256, 257, top]
    t = tree.Tree(tree.leaf_hash(i.to_bytes(4, "big")) for i in range(70000))
    sizes = [{"size": n, "root": t.root(n).hex()} for n in range(top + 1)]
    for n in every:
        sizes[n]["inclusion"] = digest_of(t.inclusion(i, n) for i in range(n))
        sizes[n]["consistency"] = digest_of(t.consistency(m, n) for m in range(1, n + 1))
    full = [1, 2, 3, 4, 5, 6, 7, 8, 11, 16, 17]
    pick = [(0, 257), (255, 257), (256, 257), (123, 300), (299, 300), (0, 65536), (65535, 65537),
            (65536, 65537), (4711, 70000), (69999, 70000), (65791, 70000)]
    inclusion = [(i, n) for n in full for i in range(n)] + pick
    consistency = [(m, n) for n in full for m in range(1, n + 1)] + [
        (1, 257), (255, 257), (256, 257), (128, 300), (299, 300), (300, 300), (256, 65536),
        (65536, 65537), (65535, 70000), (65536, 70000), (69999, 70000), (12345, 70000)]
    write("tree.json", {
        "sizes": sizes, "large": [{"size": n, "root": t.root(n).hex()}
                                  for n in (65535, 65536, 65537, 70000)],
        "inclusion": [{"index": i, "size": n, "path": [h.hex() for h in t.inclusion(i, n)]}
                      for i, n in inclusion],
        "consistency": [{"old": m, "size": n, "path": [h.hex() for h in t.consistency(m, n)]}
                        for m, n in consistency]})


def verdict(data):
    try:
        head = note.open_checkpoint(data)
    except note.NoteError:
        return None
    if head.origin != ORIGIN:
        return None
    return {"size": head.size, "root": head.root.hex(),
            "time": head.cosign_time if head.cosign_time is not None else -1}


def broken_notes(root):
    """Notes that a verifier must refuse, with the reason for people."""
    own = note.checkpoint(ORIGIN, 7, root, SUPPLIER_SEED)
    both = note.checkpoint(ORIGIN, 7, root, SUPPLIER_SEED, GATEWAY_SEED, TIME)
    text = note.checkpoint_text(ORIGIN, 7, root)
    lines = both[len(text) + 1:].decode().split("\n")
    supplier, gateway = (x.encode() + b"\n" for x in lines[:2])
    name = note.supplier_key(SUPPLIER)
    wrong = note.DASH + name.name + " " + base64.b64encode(
        name.id + note.sign(OTHER_SEED, text)).decode() + "\n"

    def signed(changed):
        return changed + b"\n" + note.signature_line(name, SUPPLIER_SEED, changed)

    late = gateway.replace(gateway.split(b" ")[2], base64.b64encode(
        base64.b64decode(gateway.split(b" ")[2])[:4] + (TIME + 1).to_bytes(8, "big")
        + base64.b64decode(gateway.split(b" ")[2])[12:]) + b"\n")
    origin, size, b64, _ = text.decode().split("\n")
    return [
        ("empty", b""), ("no signatures", text), ("no empty line", text + supplier),
        ("text without newline", text[:-1] + b"\n" + supplier),
        ("signature line not ended", own[:-1]), ("a byte after the end", own + b"x"),
        ("an empty line after the end", own + b"\n"),
        ("root changed", own.replace(b64.encode(), base64.b64encode(run(9, 32)))),
        ("size changed", own.replace(b"\n7\n", b"\n8\n")),
        ("signed by another key", text + b"\n" + wrong.encode()),
        ("the supplier did not sign", text + b"\n" + gateway),
        ("the gateway's line is first", text + b"\n" + gateway + supplier),
        ("cosignature over another time", text + b"\n" + supplier + late),
        ("a false signature of the supplier beside a true one", own + wrong.encode()),
        ("no base64 padding", own.rstrip(b"=\n") + b"\n"),
        ("a hyphen instead of the dash", own.replace("\u2014".encode(), b"-")),
        ("a carriage return", own.replace(b"\n", b"\r\n")),
        ("a tab", signed(text.replace(b"7", b"\t7"))), ("bad UTF-8", own[:-1] + b"\xff\n"),
        ("a fourth line", signed(text + b"extension\n")),
        ("a leading zero", signed(f"{origin}\n07\n{b64}\n".encode())),
        ("size 0", signed(f"{origin}\n0\n{b64}\n".encode())),
        ("size 2^20 + 1", signed(f"{origin}\n{2**20 + 1}\n{b64}\n".encode())),
        ("a plus sign", signed(f"{origin}\n+7\n{b64}\n".encode())),
        ("a space after the size", signed(f"{origin}\n7 \n{b64}\n".encode())),
        ("root of 31 bytes",
         signed(f"{origin}\n7\n{base64.b64encode(root[:31]).decode()}\n".encode())),
        ("unused bits in base64", signed(f"{origin}\n7\n{b64[:-2]}{next_letter(b64[-2])}=\n".encode())),
        ("upper-case hex", signed(f"{origin.replace('a', 'A')}\n7\n{b64}\n".encode())),
        ("another network", note.checkpoint(
            dataclasses.replace(ORIGIN, network=run(11, 32)), 7, root, SUPPLIER_SEED)),
        ("another lane", note.checkpoint(
            dataclasses.replace(ORIGIN, lane=run(41, 16)), 7, root, SUPPLIER_SEED)),
        ("another gateway", note.checkpoint(
            dataclasses.replace(ORIGIN, gateway=OTHER), 7, root, SUPPLIER_SEED)),
        ("another supplier", note.checkpoint(
            dataclasses.replace(ORIGIN, supplier=OTHER), 7, root, OTHER_SEED)),
        ("over 16 signatures", own + "".join(
            f"\u2014 other{i} AAAAAAAA\n" for i in range(16)).encode()),
        ("over 4096 bytes", own + f"\u2014 other {'A' * 3800}\n".encode()),
        ("a key name with a plus", own + "\u2014 oth+er AAAAAAAA\n".encode()),
        ("a key name of Unicode spaces", own + "\u2014 oth\u00a0er AAAAAAAA\n".encode()),
        ("no key name", own + "\u2014  AAAAAAAA\n".encode()),
        ("a signature without bytes", own + "\u2014 other AAAA\n".encode()),
        ("the supplier's signature too short", text + b"\n" + (
            note.DASH + name.name + " " + base64.b64encode(
                name.id + note.sign(SUPPLIER_SEED, text)[:63]).decode() + "\n").encode()),
    ]


def next_letter(c):
    """Sets an unused low bit of the last letter of base64."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    return alphabet[alphabet.index(c) | 1]


def note_vectors():
    root = run(120, 32)
    other = note.Key("example.com/witness", note.COSIGNATURE, OTHER)
    text = note.checkpoint_text(ORIGIN, 7, root)
    heads = [(1, None), (7, TIME), (2**20, 0), (1000000, 2**63 - 1), (65536, None)]
    good = [("supplier only" if t is None else f"cosigned at {t}",
             note.checkpoint(ORIGIN, n, root, SUPPLIER_SEED,
                             None if t is None else GATEWAY_SEED, t or 0)) for n, t in heads]
    both = note.checkpoint(ORIGIN, 7, root, SUPPLIER_SEED, GATEWAY_SEED, TIME)
    good += [
        ("an unknown witness too", both + note.signature_line(other, OTHER_SEED, text, TIME)),
        ("an unknown type of signature", both + "\u2014 pq.example {}\n".format(
            base64.b64encode(run(0, 2424)).decode()).encode()),
        ("the gateway twice", both + note.signature_line(
            note.gateway_key(GATEWAY), GATEWAY_SEED, text, TIME + 9)),
        ("a known name with another key id is unknown", both + (
            note.DASH + note.supplier_key(SUPPLIER).name + " "
            + base64.b64encode(run(0, 68)).decode() + "\n").encode()),
    ]
    cases = []
    for why, data in good + broken_notes(root):
        opened = verdict(data)
        assert (opened is not None) == ((why, data) in good), why
        cases.append({"why": why, "note": base64.b64encode(data).decode(), "opened": opened})
    keys = [note.supplier_key(SUPPLIER), note.gateway_key(GATEWAY), note.registry_key(OTHER), other]
    write("note.json", {
        "supplier_seed": SUPPLIER_SEED.hex(), "gateway_seed": GATEWAY_SEED.hex(),
        "other_seed": OTHER_SEED.hex(), "network": ORIGIN.network.hex(), "lane": LANE.hex(),
        "root": root.hex(),
        "keys": [{"name": k.name, "type": k.type, "public": k.public.hex(), "id": k.id.hex(),
                  "text": str(k)} for k in keys],
        "bad_keys": ["", "a", "a+b", str(keys[0])[:-1], str(keys[0]) + "=", "+" + str(keys[0]),
                     str(keys[0]).replace("+", " +", 1), str(keys[0]).replace("supplier", "gateway"),
                     str(keys[0]).upper(), "x+00000000+" + str(keys[0]).split("+", 2)[2]],
        "made": [{"size": n, "time": -1 if t is None else t,
                  "note": base64.b64encode(data).decode()}
                 for (n, t), (_, data) in zip(heads, good)],
        "checkpoints": cases})


def bundle_cases():
    encodings = [(leaf.request_encoding("eth", b'{"jsonrpc":"2.0","id":1,"method":"eth_chainId"}'),
                  leaf.response_encoding(b'{"jsonrpc":"2.0","id":1,"result":"0x1"}'))] * 20
    leaves = []
    for i, (request, response) in enumerate(encodings):
        stream = i in (5, 6, 7)
        leaves.append(Leaf(
            kind=4 if stream else 1, flags=1 if i == 7 else 0, seq=i, session=run(70, 32),
            cu_before=10 * i, cu=10, method=1, time_ms=TIME * 1000 + i, latency_us=900 + i,
            stream=77 if stream else 0, part=i - 5 if stream else 0, block=1000 + i,
            block_hash=run(i, 32), request_hash=leaf.request_hash(LANE, SALT, request),
            response_hash=leaf.response_hash(LANE, SALT, response, i - 5 if stream else 0)))
    # 9: under the signed root, but with the seq of another; 10: a leaf that breaks a rule
    leaves[9] = dataclasses.replace(leaves[9], seq=8)
    leaves[10] = dataclasses.replace(leaves[10], flags=64)
    t = tree.Tree(tree.leaf_hash(x.encode()) for x in leaves)
    note_bytes = note.checkpoint(ORIGIN, 20, t.root(20), SUPPLIER_SEED, GATEWAY_SEED, TIME)

    def of(i):
        return bundle.Bundle(
            leaf_bytes=leaves[i].encode(), index=i, size=20, proof=t.inclusion(i, 20),
            checkpoint=note_bytes, salt=SALT, request=encodings[i][0], response=encodings[i][1],
            keys=[note.supplier_key(SUPPLIER), note.gateway_key(GATEWAY)],
            next=(LANE, i + 1) if i in (5, 6) else None)

    def but(i, **changes):
        return replace_bundle(of(i), **changes)

    text = note.checkpoint_text(ORIGIN, 20, t.root(20))
    gateway_line = note.signature_line(note.gateway_key(GATEWAY), GATEWAY_SEED, text, TIME)
    forged = note.checkpoint(ORIGIN, 20, t.root(20), OTHER_SEED, GATEWAY_SEED, TIME)
    false_cosig = note.checkpoint(ORIGIN, 20, t.root(20), SUPPLIER_SEED, OTHER_SEED, TIME)
    return [("as it should be", of(i)) for i in (0, 3, 5, 6, 7, 19)] + [
        ("no encodings kept", but(3, request=None, response=None)),
        ("without its salt", but(3, salt=None, request=None, response=None)),
        ("not cosigned", but(3, checkpoint=note.checkpoint(ORIGIN, 20, t.root(20), SUPPLIER_SEED))),
        ("seq is not the index", of(9)), ("a leaf that breaks a rule", of(10)),
        ("another request", but(3, request=encodings[3][0] + b" ")),
        ("another response", but(3, response=encodings[3][1] + b" ")),
        ("another salt", but(3, salt=bytes(16))),
        ("another leaf", but(3, leaf_bytes=leaves[2].encode())),
        ("another index", but(3, index=4)), ("index beyond the end", but(3, index=20)),
        ("another size", but(3, size=21)), ("a shorter proof", but(3, proof=of(3).proof[:-1])),
        ("a longer proof", but(3, proof=of(3).proof + [bytes(32)])),
        ("no proof", but(3, proof=[])), ("a part without next", but(5, next=None)),
        ("next outside a stream", but(3, next=(LANE, 4))),
        ("signed by another", but(3, checkpoint=forged)),
        ("a false cosignature", but(3, checkpoint=false_cosig)),
        ("without the supplier", but(3, checkpoint=text + b"\n" + gateway_line)),
        ("a stranger's key", but(3, keys=[note.supplier_key(OTHER)])),
        ("no note", but(3, checkpoint=b"counterfoil\n")),
        ("status unlike the response", status_case(leaves, t)),
    ]


def status_case(leaves, t):
    odd = dataclasses.replace(leaves[3], status=500, seq=0)
    other = tree.Tree([tree.leaf_hash(odd.encode())] + t.hashes[1:20])
    return bundle.Bundle(
        leaf_bytes=odd.encode(), index=0, size=20, proof=other.inclusion(0, 20),
        checkpoint=note.checkpoint(ORIGIN, 20, other.root(20), SUPPLIER_SEED),
        keys=[note.supplier_key(SUPPLIER)], salt=SALT,
        response=leaf.response_encoding(b'{"jsonrpc":"2.0","id":1,"result":"0x1"}'))


def bundle_vectors():
    good = bundle_cases()[0][1].json().decode()
    members = json.loads(good)
    malformed = ["", "null", "[]", "{}", good[:-5], good + "x"]
    for name, value in [
            ("leaf", members["leaf"][:-2]), ("leaf", members["leaf"].upper()), ("leaf", 7),
            ("index", -1), ("index", "0"), ("index", 0.5), ("size", None), ("proof", {}),
            ("proof", ["AAAA"]), ("proof", [members["proof"][0]] * 34), ("checkpoint", 1),
            ("checkpoint", "x" * 4097), ("keys", "x"), ("keys", ["x"]),
            ("keys", members["keys"] * 5), ("salt", "00"), ("salt", None), ("request", "A"),
            ("response", 5), ("next", "00"), ("next", LANE.hex() + "/-1"),
            ("next", LANE.hex() + f"/{2**20}"), ("next", LANE.hex() + "/01")]:
        malformed.append(json.dumps({**members, name: value}))
    malformed.append(good.replace('"index":', '"index":1,"index":', 1))
    for name in ("leaf", "index", "size", "proof", "checkpoint", "keys", "salt"):
        malformed.append(json.dumps({k: v for k, v in members.items() if k != name}))
    write("bundle.json", {
        "cases": [{"why": why, "json": b.json().decode(), "faults": b.check()}
                  for why, b in bundle_cases()],
        "malformed": malformed})


def replace_bundle(b, **changes):
    """dataclasses.replace for Bundle, whose `leaf` is derived."""
    members = {f.name: getattr(b, f.name) for f in dataclasses.fields(b) if f.init}
    return bundle.Bundle(**{**members, **changes})


def main():
    leaf_vectors()
    tree_vectors()
    note_vectors()
    bundle_vectors()


if __name__ == "__main__":
    main()
