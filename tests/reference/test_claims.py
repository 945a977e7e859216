# SPDX-License-Identifier: Apache-2.0
"""The Python implementation reads back the vectors of claims that the C tests read (protocol.md [C1]..[C12]),
and a small world of its own shows what a claim can earn."""

import base64
import itertools
import json
import pathlib
from fractions import Fraction

from reference.counterfoil_ref import claim, tree

VECTORS = json.loads((pathlib.Path(__file__).resolve().parent.parent / "vectors/claims.json").read_text())
P = {k: int(v) for k, v in VECTORS["parameters"].items()}


def methods():
    lines = VECTORS["table"].split("\n")[2:-1]
    return {int(i): (int(cu), int(part)) for i, _, cu, part in (line.split(" ") for line in lines)}


TERMS = {int(s["start"]): claim.Terms(bytes.fromhex(s["id"]), s["member"], int(s["price"]), int(s["allowance"]),
                                      methods() if s["table"] else None) for s in VECTORS["sessions"]}


def unhex(row, *names):
    return [bytes.fromhex(row[name]) for name in names]


def records_of(data):
    return [claim.decode_record(data[i:i + claim.SIZE]) for i in range(0, len(data), claim.SIZE)]


def test_records_and_ids():
    for row in VECTORS["records"]:
        r = claim.decode_record(bytes.fromhex(row["bytes"]))
        assert r.encode().hex() == row["bytes"]
        assert {k: v.hex() if isinstance(v, bytes) else str(v) for k, v in vars(r).items()} \
            == {k: v for k, v in row.items() if k != "bytes"}
    for row in VECTORS["ids"]:
        assert claim.decode(bytes.fromhex(row["claim"])).id.hex() == row["id"]


def test_verdicts_on_claims():
    for row in VECTORS["claims"]:
        data, signature, network = unhex(row, "claim", "signature", "network")
        got = claim.check(data, signature, base64.b64decode(row["records"]), network, P, int(row["now"]), TERMS)
        assert (got or "fine") == row["fault"]


def test_verdicts_on_proofs():
    for row in VECTORS["proofs"]:
        data, seed, signature = unhex(row, "claim", "seed", "signature")
        c = claim.decode(data)
        assert str(claim.challenged(seed, c.id, c.value)) == row["x"]
        got = claim.check_proof(c, base64.b64decode(row["proof"]), signature, seed, TERMS)
        assert (got or "fine") == row["fault"]


def test_values_times_and_splits():
    for row in VECTORS["valuings"]:
        done = claim.valued(records_of(base64.b64decode(row["in"])), TERMS)
        assert b"".join(r.encode() for r in done) == base64.b64decode(row["out"])
    for row in VECTORS["times"]:
        got = claim.times(P, int(row["from"]), int(row["to"]), int(row["recorded"]))
        assert [str(t) for t in got] == row["times"]
    for row in VECTORS["takes"]:
        got = claim.take(int(row["amount"]), int(row["standing"]), int(row["thawing"]))
        assert [str(t) for t in got] == row["taken"]


def test_records_lead_to_the_root():
    for row in VECTORS["proofs"]:
        if row["fault"] == "fine":
            c = claim.decode(bytes.fromhex(row["claim"]))
            proof = claim.decode_proof(base64.b64decode(row["proof"]))
            assert proof.encode() == base64.b64decode(row["proof"])
            assert tree.check_inclusion(tree.leaf_hash(proof.record), proof.index, c.records,
                                        proof.record_path, c.root)


def test_an_overstated_claim_earns_less_than_an_honest_one():
    """[C8], [C11], [C12] in exact fractions: of all points of a claim those without a leaf forfeit it."""
    row = VECTORS["overstated"]
    value, proved = int(row["value"]), int(row["proved"])
    assert 0 < proved < value
    for price, served, claimed, stake in itertools.product((1, 3), (0, 1, 5), range(1, 9), (0, 1, 10, 100)):
        total = claimed * price
        with_leaf = sum(1 for x in range(total) if x // price < served)
        burned = sum(claim.take(total, stake, 0))
        brings = Fraction(with_leaf, total) * total - Fraction(total - with_leaf, total) * burned
        honest = min(served, claimed) * price
        assert brings <= honest
        assert (brings == honest) == (claimed <= served or stake == 0)
