#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes claims.json from the Python implementation.

Run it after a change of docs/protocol.md section 13; the C tests then say whether they agree.
"""

import base64
import json
import pathlib
import random
import sys
from dataclasses import replace

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "reference"))
from counterfoil_ref import claim, leaf, note, registry, tree  # noqa: E402
from counterfoil_ref.claim import Claim, Record, Terms  # noqa: E402

RANDOM = random.Random(20261126)
P = {"session_blocks": 10, "snapshot_lag": 4, "seed_lag": 2, "grace_blocks": 2, "claim_window": 80,
     "challenge_lag": 3, "proof_window": 7}
NOW = 175
SUPPLIER_SEED, GATEWAY_SEED, OTHER_SEED = (RANDOM.randbytes(32) for _ in range(3))
NETWORK, APPLICATION = RANDOM.randbytes(32), RANDOM.randbytes(32)
SUPPLIER, GATEWAY = note.public_of(SUPPLIER_SEED), note.public_of(GATEWAY_SEED)
METHODS = {0: (20, 5), 1: (1, 0), 2: (9, 3)}
TABLE = "counterfoil/methods/v1\nevm\n0 * 20 5\n1 cheap 1 0\n2 dear 9 3\n"
EMPTY = Claim(NETWORK, APPLICATION, GATEWAY, SUPPLIER, "eth", 100, 150)


def sessions():
    """A usual one, one whose allowance is soon used up, one of price 1, a dear one, one at which the
    table is not known; then one into which the supplier was not drawn, and one without a grant."""
    rows = [(3, 1000, METHODS), (7, 100, METHODS), (1, 10**6, METHODS), (2**40 - 1, 2**50, METHODS),
            (5, 400, None), (3, 1000, METHODS), (3, 0, METHODS)]
    return {100 + 10 * i: Terms(RANDOM.randbytes(32), i != 5, price, allowance, methods)
            for i, (price, allowance, methods) in enumerate(rows)}


TERMS = sessions()
SERVED = list(TERMS)[:5]


def lanes():
    """{lane id: leaves}, of sessions in turn, with refusals and parts among them."""
    made = {}
    for _ in range(2):
        leaves, counts = [], {}
        for i in range(24):
            start = RANDOM.choice(SERVED)
            one = leaf.Leaf(seq=i, session=TERMS[start].id, cu_before=counts.get(start, 0),
                            method=RANDOM.choice([0, 1, 2]), time_ms=1795442000000 + i)
            kind = RANDOM.randrange(5)
            if kind == 0:
                one = replace(one, kind=leaf.REFUSAL, status=21)
            elif kind == 1:
                one = replace(one, kind=leaf.PART, stream=7, part=1, method=2, cu=3)
            else:
                one = replace(one, cu=METHODS[one.method][0])
            counts[start] = counts.get(start, 0) + one.cu
            leaves.append(one.encode())
        made[RANDOM.randbytes(16)] = leaves
    return made


LANES = lanes()


def units(lane, start):
    return sum(o.cu for o in map(leaf.decode, LANES[lane]) if o.session == TERMS[start].id)


def honest():
    records = [Record(TERMS[s].id, s, lane, len(LANES[lane]), tree.root_of(LANES[lane]), units(lane, s))
               for s in SERVED for lane in LANES if units(lane, s)]
    return claim.valued(records, TERMS)


def b64(data):
    return base64.b64encode(data).decode()


def packed(records):
    return b"".join(r.encode() for r in records)


def case(c, records, now=NOW, signer=SUPPLIER_SEED, network=NETWORK, data=None, terms=None):
    """records: a list, or bytes."""
    data = data if data is not None else c.encode()
    raw = records if isinstance(records, bytes) else packed(records)
    signature = note.sign(signer, data)
    fault = claim.check(data, signature, raw, network, P, now, terms or TERMS)
    return {"claim": data.hex(), "signature": signature.hex(), "records": b64(raw),
            "network": network.hex(), "now": str(now), "fault": fault or "fine"}


def changed(records, i, **values):
    return [replace(r, **values) if k == i else r for k, r in enumerate(records)]


def claims():
    """Right ones, and each rule broken: with what the claim says of its records made to fit, and not."""
    good = honest()
    c = claim.claim_for(EMPTY, good)
    rows = [case(c, good)]
    rows += [case(c, good, now) for now in (0, 151, 152, 189, 190, 2**63)]
    for a, b in [(100, 100), (150, 100), (101, 150), (100, 145), (90, 170), (0, 150), (110, 150), (100, 140)]:
        other = replace(c, start_from=a, start_to=b)
        rows.append(case(other, good, max(152, b + 2)))
    rows += [case(replace(c, value=v), good) for v in (0, c.value + 1, c.value - 1, 2**96 - 1, 2**96)]
    rows += [case(replace(c, records=n), good) for n in (0, len(good) - 1, len(good) + 1, 2**32 - 1)]
    rows += [case(c, packed(good)[:-1]), case(c, packed(good) + b"C"), case(c, b"")]
    rows += [case(c, good, signer=OTHER_SEED), case(c, good, network=bytes(32))]
    rows += [case(replace(c, root=bytes(32)), good), case(replace(c, gateway=SUPPLIER), good)]
    data = c.encode()
    rows += [case(c, good, data=d) for d in (b"", data[:-1], data + b"\0", b"C" + data[1:],
                                             data.replace(b"\x03eth", b"\x03eTh"),
                                             data.replace(b"\x03eth", b"\x04eth"),
                                             data.replace(b"\x03eth", b"\x00"))]
    for i, r in enumerate(good):
        for values in [
                {"session": bytes(32)}, {"start": r.start + 10}, {"start": r.start + 1}, {"start": 90},
                {"start": 150}, {"lane": bytes(16)}, {"lane": b"\xff" * 16}, {"size": 0}, {"size": 2**20 + 1},
                {"size": 2**20}, {"cu": 0}, {"cu": 0, "value": 0}, {"cu": r.cu + 1}, {"value": r.value - 1},
                {"cu": r.cu + 1, "value": r.value + TERMS[r.start].price},
                {"cu": 2**63, "value": 2**63 * TERMS[r.start].price}, {"value": 2**128 - 1},
                {"value_before": r.value_before + 1}, {"value_before": 0}, {"session_value_before": 1},
                {"session_value_before": 0}]:
            if i not in (0, 3) and RANDOM.randrange(8):
                continue
            bad = changed(good, i, **values)
            fitted = claim.claim_for(EMPTY, bad)
            rows.append(case(fitted if fitted.value < 2**96 else c, bad))
    for bad in [good[:1] + good, good[::-1], good[1:], good[:-1], good[:2] + good[3:],
                good[:3] + good[2:]]:
        rows.append(case(claim.claim_for(EMPTY, bad), bad))
    for start in (150, 160):
        last = good[-1]
        bad = good + [replace(last, start=start, session=TERMS[start].id, cu=1, value=3, session_value_before=0,
                              value_before=last.value_before + last.value)]
        rows.append(case(claim.claim_for(replace(EMPTY, start_to=170), bad), bad))
    for _ in range(20):
        raw = bytearray(packed(good))
        raw[RANDOM.randrange(len(raw))] ^= 1 << RANDOM.randrange(8)
        hashes = [raw[i:i + claim.SIZE] for i in range(0, len(raw), claim.SIZE)]
        rows.append(case(replace(c, root=tree.root_of(map(bytes, hashes))), bytes(raw)))
    return rows


def terms_json(terms):
    return [{"start": str(s), "id": t.id.hex(), "member": t.member, "price": str(t.price),
             "allowance": str(t.allowance), "table": t.methods is not None} for s, t in terms.items()]


def proof_case(c, proof, seed, signer=SUPPLIER_SEED, data=None):
    data = data if data is not None else proof.encode()
    signature = note.sign(signer, claim.proof_message(c, data))
    fault = claim.check_proof(c, data, signature, seed, TERMS)
    return {"seed": seed.hex(), "proof": b64(data), "signature": signature.hex(),
            "x": str(claim.challenged(seed, c.id, c.value)), "fault": fault or "fine"}


def prove(c, records, seed):
    x = claim.challenged(seed, c.id, c.value)
    (index,) = [i for i, r in enumerate(records) if r.value_before <= x < r.value_before + r.value]
    r = records[index]
    z = (x - r.value_before) // TERMS[r.start].price
    leaves = LANES[r.lane]
    (seq,) = [i for i, o in enumerate(map(leaf.decode, leaves))
              if o.session == r.session and o.cu_before <= z < o.cu_before + o.cu]
    origin = note.Origin(NETWORK, GATEWAY, SUPPLIER, r.lane)
    lane, whole = (tree.Tree(map(tree.leaf_hash, d)) for d in (leaves, [r.encode() for r in records]))
    return claim.Proof(index, r.encode(), tuple(whole.inclusion(index, len(records))),
                       note.checkpoint(origin, r.size, r.root, SUPPLIER_SEED, GATEWAY_SEED, 1795442000),
                       leaves[seq], tuple(lane.inclusion(seq, len(leaves))))


def broken_proofs(c, records, seed):
    """A right proof, changed in one way each."""
    p = prove(c, records, seed)
    r, one = claim.decode_record(p.record), leaf.decode(p.leaf)
    origin = note.Origin(NETWORK, GATEWAY, SUPPLIER, r.lane)

    def checkpoint(size=r.size, root=r.root, who=origin, cosigned=True, supplier=SUPPLIER_SEED, gateway=GATEWAY_SEED):
        return note.checkpoint(who, size, root, supplier, gateway if cosigned else None, 1795442000)

    lines = p.checkpoint.split(b"\n\n")[1].split(b"\n")
    text = p.checkpoint.split(b"\n\n")[0] + b"\n\n"
    flipped = b"\n".join([lines[1], lines[0], b""])
    other = prove(c, records, bytes(31) + b"\x63")
    yield from [
        replace(p, index=p.index ^ 1), replace(p, index=2**32 - 1), replace(p, record=other.record),
        replace(p, record=replace(r, cu=r.cu + 1).encode()), replace(p, record=replace(r, value=0).encode()),
        replace(p, record=replace(r, value=2**128 - 1).encode()), replace(p, record=b"CFL2" + p.record[4:]),
        replace(p, record_path=p.record_path[1:]), replace(p, record_path=p.record_path + (bytes(32),)),
        replace(p, record_path=p.record_path[::-1]), replace(p, checkpoint=b""),
        replace(p, checkpoint=p.checkpoint[:-1]), replace(p, checkpoint=checkpoint(size=r.size - 1)),
        replace(p, checkpoint=checkpoint(root=bytes(32))), replace(p, checkpoint=checkpoint(cosigned=False)),
        replace(p, checkpoint=checkpoint(who=replace(origin, lane=bytes(16)))),
        replace(p, checkpoint=checkpoint(who=replace(origin, network=bytes(32)))),
        replace(p, checkpoint=checkpoint(who=replace(origin, gateway=SUPPLIER))),
        replace(p, checkpoint=checkpoint(supplier=OTHER_SEED)), replace(p, checkpoint=checkpoint(gateway=OTHER_SEED)),
        replace(p, checkpoint=checkpoint(supplier=OTHER_SEED, gateway=OTHER_SEED)),
        replace(p, checkpoint=text + lines[1] + b"\n"), replace(p, checkpoint=text + flipped),
        replace(p, checkpoint=p.checkpoint.replace(b"\n%d\n" % r.size, b"\n0%d\n" % r.size)),
        replace(p, leaf=b"CFR2" + p.leaf[4:]), replace(p, leaf=replace(one, kind=9).encode()),
        replace(p, leaf=replace(one, session=bytes(32)).encode()), replace(p, leaf=other.leaf),
        replace(p, leaf=replace(one, cu_before=0, cu=2**32 - 1).encode()),
        replace(p, leaf=replace(one, cu_before=2**64 - 1).encode()), replace(p, leaf=replace(one, cu=0).encode()),
        replace(p, leaf=replace(one, time_ms=1).encode()), replace(p, leaf=replace(one, seq=one.seq ^ 1).encode()),
        replace(p, leaf_path=p.leaf_path[1:]), replace(p, leaf_path=p.leaf_path + (bytes(32),)),
        replace(p, leaf_path=other.leaf_path[::-1])]


def dear_leaf():
    """A claim whose only leaf costs more than its method may, in a session with the table and in one
    without."""
    for start in (100, 140):
        one = leaf.Leaf(seq=0, session=TERMS[start].id, cu=10, method=2).encode()
        lane = bytes([start]) * 16
        LANES[lane] = [one]
        records = claim.valued([Record(TERMS[start].id, start, lane, 1, tree.root_of([one]), 10)], TERMS)
        c = claim.claim_for(EMPTY, records)
        seed = RANDOM.randbytes(32)
        yield c, proof_case(c, prove(c, records, seed), seed)
        del LANES[lane]


def proofs():
    records = honest()
    c = claim.claim_for(EMPTY, records)
    rows = []
    for _ in range(12):
        seed = RANDOM.randbytes(32)
        rows.append((c, proof_case(c, prove(c, records, seed), seed)))
    seed = RANDOM.randbytes(32)
    rows += [(c, proof_case(c, p, seed)) for p in broken_proofs(c, records, seed)]
    whole = prove(c, records, seed).encode()
    rows.append((c, proof_case(c, None, seed, OTHER_SEED, whole)))
    rows += [(c, proof_case(c, None, seed, data=d)) for d in (b"", whole[:-1], whole + b"\0", whole[:160] + b"\x21" + whole[161:])]
    rows += dear_leaf()
    return [{"claim": c.encode().hex(), **row} for c, row in rows]


def overstated():
    """A lane of 8 units is claimed to have 13: who can prove which points, one by one."""
    start, t = 110, TERMS[110]
    leaves = [leaf.Leaf(seq=i, session=t.id, cu_before=2 * i, cu=2, method=2).encode() for i in range(4)]
    lane = b"\x55" * 16
    LANES[lane] = leaves
    records = claim.valued([Record(t.id, start, lane, 4, tree.root_of(leaves), 13)], TERMS)
    c = claim.claim_for(EMPTY, records)
    proved = sum(1 for x in range(c.value) if x // t.price < 8)
    del LANES[lane]
    return {"value": str(c.value), "proved": str(proved), "units": "8"}


def valuings():
    rows = []
    for _ in range(20):
        records = [Record(TERMS[s].id, s, bytes([n]) * 16, 1, bytes(32), RANDOM.choice([0, 1, 9, 60, 2**64 - 1]))
                   for s in SERVED for n in range(RANDOM.randrange(4))]
        done = claim.valued(records, TERMS)
        rows.append({"in": b64(packed(records)), "out": b64(packed(done))})
    return rows


def registry_terms():
    """What registry.json says of each member and others, session by session."""
    vectors = json.loads((HERE / "registry.json").read_text())
    known = registry.Registry(registry.parse(vectors["file"].encode(), bytes.fromhex(vectors["key"])))
    suppliers = sorted({e["key"] for e in known.value["suppliers"]})
    grants = sorted({(g["application"], g["gateway"]) for g in known.value["grants"]})
    rows = []
    for start in range(0, 130, 10):
        for application, gateway in grants:
            got = known.session(bytes.fromhex(application), "eth", start)
            for supplier in suppliers:
                row = {"application": application, "gateway": gateway, "supplier": supplier,
                       "start": str(start), "id": ""}
                if got:
                    snapshot = start - known.params(0)["snapshot_lag"]
                    member = bytes.fromhex(supplier) in got[1]
                    price = registry.as_of(known.value["suppliers"], snapshot, key=supplier)
                    allowance = known.allowance(bytes.fromhex(application), bytes.fromhex(gateway), "eth", start)
                    row.update({"id": got[0].hex(), "member": member,
                                "price": price["price"] if member else "0", "allowance": str(allowance or 0)})
                rows.append(row)
    return RANDOM.sample(rows, 150)


if __name__ == "__main__":
    records = honest()
    value = {
        "parameters": {k: str(v) for k, v in P.items()}, "network": NETWORK.hex(), "table": TABLE,
        "sessions": terms_json(TERMS),
        "records": [{"session": r.session.hex(), "start": str(r.start), "lane": r.lane.hex(),
                     "size": str(r.size), "root": r.root.hex(), "cu": str(r.cu), "value": str(r.value),
                     "value_before": str(r.value_before), "session_value_before": str(r.session_value_before),
                     "bytes": r.encode().hex()} for r in records],
        "valuings": valuings(), "claims": claims(), "proofs": proofs(), "overstated": overstated(),
        "ids": [{"claim": x.encode().hex(), "id": x.id.hex()} for x in
                (claim.claim_for(EMPTY, records), replace(EMPTY, service="a" * 32, value=2**128 - 1))],
        "times": [{"from": str(a), "to": str(b), "recorded": str(h), "times": [str(t) for t in claim.times(P, a, b, h)]}
                  for a, b, h in [(100, 150, 152), (0, 10, 2**40), (10**6, 10**6 + 10, 10**6 + 20)]],
        "takes": [{"amount": str(a), "standing": str(s), "thawing": str(t), "taken": [str(v) for v in claim.take(a, s, t)]}
                  for a, s, t in [(0, 0, 0), (5, 3, 1), (5, 3, 9), (3, 5, 9), (2**96 - 1, 2**95, 2**95), (2**127, 1, 2**126)]],
        "registry_terms": registry_terms(),
    }
    (HERE / "claims.json").write_text(json.dumps(value, indent=1) + "\n")
