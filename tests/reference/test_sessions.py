# SPDX-License-Identifier: Apache-2.0
"""The Python implementation reads back the vectors that the C tests read, and its draw is held
against exact enumeration (protocol.md [K2]..[K4], [S2]..[S10], [P1]..[P3], [Y1], [Y2])."""

import json
import pathlib
from fractions import Fraction

import pytest

from reference.counterfoil_ref import note, registry, session

VECTORS = pathlib.Path(__file__).resolve().parent.parent / "vectors"


def load(name):
    return json.loads((VECTORS / name).read_text())


def unhex(row, *names):
    return [bytes.fromhex(row[name]) for name in names]


def test_ids_owners_and_grants():
    vectors = load("session.json")
    for row in vectors["networks"]:
        assert session.network_id(row["kind"], bytes.fromhex(row["tail"])).hex() == row["id"]
    for row in vectors["owners"]:
        assert session.owner_default(bytes.fromhex(row["key"])).hex() == row["owner"]
    for row in vectors["ids"]:
        network, application, seed = unhex(row, "network", "application", "seed")
        made = session.session_id(network, application, row["service"], int(row["start"]), seed)
        assert made.hex() == row["id"]
    for row in vectors["grants"]:
        network, application, gateway, signature = unhex(row, "network", "application", "gateway",
                                                         "signature")
        message = session.grant_bytes(network, application, gateway, row["service"],
                                      int(row["budget"]), int(row["nonce"]))
        assert message.hex() == row["bytes"]
        assert note.verifies(application, message, signature)


def test_tables_and_draws():
    for row in load("session.json")["tables"]:
        suppliers = [session.Supplier(*unhex(s, "key", "owner"), int(s["stake"]), int(s["price"]))
                     for s in row["suppliers"]]
        rows = session.table(reversed(suppliers), int(row["unit"]), int(row["cap"]))
        assert [r.encode().hex() for r in rows] == [r["bytes"] for r in row["rows"]]
        assert session.table_root(rows).hex() == row["root"]
        for draw in row["draws"]:
            members = session.draw(bytes.fromhex(draw["id"]), rows, draw["want"])
            assert members == [(m["row"], m["t"]) for m in draw["members"]]


def test_picks():
    for row in load("session.json")["picks"]:
        members = [session.Member(int(m["weight"]), int(m["price"]), m["health"], m["asked"])
                   for m in row["members"]]
        got = session.pick(*unhex(row, "id", "gateway"), int(row["worker"]), int(row["n"]), members,
                           row["by_price"])
        want = (row["member"], int(row["r"]), int(row["w"]), row["fallback"]) \
            if "member" in row else None
        assert got == want


def test_a_registry_file_and_what_follows_from_it():
    vectors = load("registry.json")
    data, key = vectors["file"].encode(), bytes.fromhex(vectors["key"])
    known = registry.Registry(registry.parse(data, key))
    for row in vectors["sessions"]:
        got = known.session(bytes.fromhex(vectors["application"]), row["service"],
                            int(row["start"]))
        assert (got[0].hex() if got else "") == row["id"]
        assert ([k.hex() for k in got[1]] if got else []) == row["members"]
    for row in vectors["allowances"]:
        got = known.allowance(*unhex(row, "application", "gateway"), "eth", int(row["start"]))
        assert ("" if got is None else str(got)) == row["allowance"]
    for row in vectors["books"]:
        books = known.books(int(row["height"]))
        assert {k: str(v) for k, v in books.items()} == {k: v for k, v in row.items() if k != "height"}
        assert books["deposits"] == sum(v for k, v in books.items() if k != "deposits"), "[P6]"


def test_a_file_of_another_key_or_form_is_refused():
    vectors = load("registry.json")
    seed, key = bytes.fromhex(vectors["secret"]), bytes.fromhex(vectors["key"])
    value = registry.parse(vectors["file"].encode(), key)
    with pytest.raises(registry.RegistryError):
        registry.parse(registry.sign(value, bytes(32)), key)
    with pytest.raises(note.NoteError):
        registry.parse(vectors["file"].replace('"height":"111"', '"height":"112"').encode(), key)
    text = registry.canonical(value).replace(b'{"app', b'{ "app')
    spaced = text + b"\n" + note.signature_line(note.registry_key(key), seed, text)
    with pytest.raises(registry.RegistryError):
        registry.parse(spaced, key)


def inclusion(rows, want):
    """Exact probability of membership of each row: all orders in which owners can be drawn."""
    result = [Fraction(0)] * len(rows)

    def go(left, probability, drawn):
        total = sum(r.weight for r in rows if r.owner not in drawn)
        if left == 0 or total == 0:
            return
        for k, row in enumerate(rows):
            if row.owner not in drawn:
                p = probability * Fraction(row.weight, total)
                result[k] += p
                go(left - 1, p, drawn | {row.owner})

    go(want, Fraction(1), frozenset())
    return result


@pytest.mark.parametrize("want", [1, 2])
def test_inclusion_equals_the_exact_enumeration(want):
    suppliers = [session.Supplier(bytes([i]) * 32, bytes([o]) * 20, stake)
                 for i, (o, stake) in enumerate([(0, 1), (1, 2), (2, 7), (1, 3)])]
    rows = session.table(suppliers, 1, 100)
    exact, n = inclusion(rows, want), 4000
    counts = [0] * len(rows)
    for i in range(n):
        for k, _ in session.draw(session.sha(b"test", bytes([want]), i.to_bytes(4, "big")), rows, want):
            counts[k] += 1
    for p, count in zip(exact, counts):
        assert (count - n * p) ** 2 <= 16 * n * p * (1 - p)
    assert sum(exact) == want
