# SPDX-License-Identifier: Apache-2.0
"""counterfoil-audit stats: shares against the draw, signs of self-dealing, repeated requests, over
folders that Python wrote (protocol.md [S5] [S7] [P1])."""

import collections
import random

import pytest

from reference.counterfoil_ref import session
from support import audit_world
from support.claims_world import ClaimsWorld
from support.export import audit, audit_json

SUPPLIERS, MEMBERS, RELAYS = 6, 3, 40


def market(tmp_path, choose, seed=3, change=None, heights=301, relays=RELAYS):
    """(world, {start: members}, shares by what they are of, folder) of 30 sessions."""
    world = audit_world.World(seed, suppliers=SUPPLIERS, members=MEMBERS, heights=heights)
    if change:
        change(world)
    drawn, lanes = world.market(relays, lambda start, members: choose(world, start, members))
    folder = audit_world.write(tmp_path / "gateway", world, "gateway", list(lanes.values()))
    status, said = audit_json("stats", folder)
    assert status == 0, said
    assert audit_json("stats", folder)[1] == said
    return world, drawn, {s["of"]: s for s in said["shares"]}, folder


def fair():
    dice = random.Random(7)
    return lambda world, start, members: dice.choice(members)


def rows_of(shares, name):
    return {bytes.fromhex(row["supplier"]): row for row in shares[name]["rows"]}


def test_a_fair_gateway_has_no_mark(tmp_path):
    world, drawn, shares, folder = market(tmp_path, fair())
    relays = shares["relays"]
    assert relays["sessions"] == len(drawn) == 30 and relays["unknown"] == 0
    assert relays["df"] == SUPPLIERS - 1 and relays["p"] > 0.001 and relays["few"] == 0
    member_of = collections.Counter(m for members in drawn.values() for m in members)
    for key, row in rows_of(shares, "relays").items():
        assert row["sessions"] == member_of[key]
        assert row["expected"] == pytest.approx(RELAYS * member_of[key] / MEMBERS)
        assert not (row["apart"] or row["sign"])
        assert row["owner"] == session.owner_default(key).hex()
    assert sum(r["relays"] for r in relays["rows"]) == 30 * RELAYS
    assert not any(line[0] in "!+" for line in audit("stats", folder)[1].splitlines())


def test_the_draw_itself_is_judged_by_who_is_first(tmp_path):
    world, drawn, shares, _ = market(tmp_path, fair(), relays=1)
    draws = shares["draws"]
    first = collections.Counter(members[0] for members in drawn.values())
    assert draws["sessions"] == len(drawn) and draws["df"] == SUPPLIERS - 1
    pearson = sum((first[k] - 5) ** 2 / 5 for k in world.seed_of)  # 30 of 6 as heavy
    assert draws["chi2"] == pytest.approx(pearson, rel=1e-5)
    for key, row in rows_of(shares, "draws").items():
        assert row["counted"] == first[key] and row["expected"] == pytest.approx(5)


def test_a_gateway_that_favours_one_supplier_is_marked(tmp_path):
    def choose(world, start, members):
        friend = next(iter(world.seed_of))
        return friend if friend in members else members[start // 10 % MEMBERS]
    world, drawn, shares, folder = market(tmp_path, choose)
    friend = next(iter(world.seed_of))
    rows = rows_of(shares, "relays")
    assert [key for key, row in rows.items() if row["sign"]] == [friend]
    row = rows[friend]
    mine = sum(friend in members for members in drawn.values())
    assert row["twice"] and row["apart"] and not row["kin"] and row["sessions"] == mine
    assert row["counted"] == mine * RELAYS and row["expected"] == pytest.approx(mine * RELAYS / 3)
    assert row["z"] > 10 and row["p"] < 1e-6 and shares["relays"]["p"] < 1e-6
    marked = [x for x in audit("stats", folder)[1].splitlines() if x.startswith("!")]
    assert len(marked) == 1 and friend.hex() in marked[0] and " twice" in marked[0]


def test_one_who_is_only_quicker_is_apart_but_no_sign(tmp_path):
    """Half as much again as its share: quality may weigh that much."""
    dice = random.Random(5)

    def choose(world, start, members):
        quick = next(iter(world.seed_of))
        return dice.choices(members, [1.8 if m == quick else 1 for m in members])[0]
    world, _, shares, _ = market(tmp_path, choose)
    row = rows_of(shares, "relays")[next(iter(world.seed_of))]
    assert row["apart"] and not row["twice"] and not row["sign"]


def test_sessions_that_are_used_up_are_a_sign(tmp_path):
    """Of an allowance of 666 six calls at a price of 111 leave nothing."""
    def change(world):
        friend = next(iter(world.seed_of))
        for entry in world.value["suppliers"]:
            entry["price"] = "111" if entry["key"] == friend.hex() else "1"
        world.value["parameters"][0]["price_max"] = "1000"

    turns = collections.Counter()

    def choose(world, start, members):
        friend = next(iter(world.seed_of))
        turns[start] += 1
        if friend in members and turns[start] <= 6:
            return friend
        others = [m for m in members if m != friend]
        return others[turns[start] % len(others)]
    world, drawn, shares, _ = market(tmp_path, choose, change=change)
    friend = next(iter(world.seed_of))
    row = rows_of(shares, "relays")[friend]
    mine = sum(friend in members for members in drawn.values())
    assert row["full"] == mine == row["sessions"] and row["used_up"] and row["sign"]
    assert not row["twice"]
    assert all(r["full"] == 0 for k, r in rows_of(shares, "relays").items() if k != friend)


def test_an_owner_made_of_the_applications_key_is_kin(tmp_path):
    def change(world):
        world.value["suppliers"][2]["owner"] = session.owner_default(world.app).hex()
        world.value["suppliers"][4]["owner"] = session.owner_default(world.gateway).hex()
    world, _, shares, _ = market(tmp_path, fair(), change=change, relays=4)
    kin = {row["supplier"] for row in shares["relays"]["rows"] if row["kin"]}
    assert kin == {world.value["suppliers"][i]["key"] for i in (2, 4)}


def test_shares_need_a_registry_and_a_gateways_folder(tmp_path):
    world = audit_world.World()
    lane = world.lane(5)
    folder = audit_world.write(tmp_path / "one", world, "supplier", [lane])
    _, said = audit_json("stats", folder)
    assert [s["of"] for s in said["shares"]] == ["draws"]
    assert {f["kind"] for f in said["report"]["findings"]} == {"registry_key", "one_supplier"}
    own = tmp_path / "own.note"
    own.write_bytes(world.registry_file())
    status, said = audit_json("stats", folder, "--registry", own,
                              "--registry-key", world.registry_key.hex())
    assert status == 0 and {f["kind"] for f in said["report"]["findings"]} == {"one_supplier"}
    status, said = audit_json("stats", folder, "--registry-key", "00" * 32)
    assert status == 1 and said["report"]["findings"][0]["kind"] == "registry"


def test_sessions_of_another_registry_are_left_out_and_counted(tmp_path):
    world = audit_world.World()
    lane = world.lane(5)
    lane.sessions[0]["start"] = 30
    folder = audit_world.write(tmp_path / "one", world, "gateway", [lane])
    _, said = audit_json("stats", folder)
    relays = next(s for s in said["shares"] if s["of"] == "relays")
    assert relays["sessions"] == relays["unknown"] == 1 and relays["rows"] == []


def claims_shares(tmp_path, world):
    """The rows of a gateway's claims by supplier, from nothing but the registry's two files."""
    world.settle()
    claims, gateway, *_ = world.write(tmp_path)
    status, said = audit_json("stats", "--claims", claims,
                              "--registry", gateway / "registry.note")
    assert status == 0 and said["rows"] == [] and said["repeats"] == []
    assert [s["of"] for s in said["shares"]] == ["cu", "draws"]
    assert "cu of eth" in audit("stats", "--claims", claims, gateway)[1]
    return rows_of({"cu": said["shares"][0]}, "cu"), said["shares"][0]


def test_claims_of_a_fair_network_have_no_mark(tmp_path):
    rows, group = claims_shares(tmp_path, ClaimsWorld(suppliers=6, members=3, heights=241))
    assert not any(row["apart"] or row["sign"] for row in rows.values())
    assert group["p"] > 0.9 and sum(r["counted"] for r in rows.values()) == pytest.approx(20)


def test_a_pair_that_invents_relays_is_marked_by_its_claims_alone(tmp_path):
    """Its gateway shows nobody its ledger; what the two want to be paid for is public.  The friend
    uses up every allowance that it is drawn for, and others are asked just when it is not there."""
    def choose(world, start, members):
        friend = next(iter(world.seed_of))
        return friend if friend in members else members[start // 10 % len(members)]

    def change(world):  # 30 calls at 22 tokens are the whole allowance of 666
        for entry in world.value["suppliers"]:
            entry["price"] = "22"
    world = ClaimsWorld(choose=choose, suppliers=6, members=3, heights=241, change=change)
    friend = next(iter(world.seed_of))
    rows, group = claims_shares(tmp_path, world)
    mine = sum(friend in members for start, members in world.drawn.items() if start < 210)
    row = rows[friend]
    assert row["sessions"] == row["full"] == mine and row["counted"] == pytest.approx(mine)
    assert row["apart"] and row["used_up"] and row["sign"] and row["cu"] == str(30 * mine)
    assert group["p"] < 0.001
    paid = sum(int(e["paid"]) for e in world.entries
               if friend.hex() in e["claim"])
    assert paid == mine * 660  # what the budget left it, in the sessions that it was drawn for


def test_stats_of_nothing_is_wrong_usage(tmp_path):
    assert audit("stats")[0] == 3
    assert audit("stats", "--claims", tmp_path / "none")[0] == 4


def test_repeated_requests_are_counted_where_they_are_kept(tmp_path):
    world = audit_world.World()
    lane = world.lane(10)
    for seq in range(10, 16):                  # as the call of leaf 3, once at another block
        lane.answer(seq, block=8 if seq == 15 else 7)
        lane.evidence[seq] = (lane.evidence[3][0], lane.evidence[seq][1])
    lane.evidence[0] = (b"", lane.evidence[0][1])
    lane.final_size = 16
    folder = audit_world.write(tmp_path / "one", world, "gateway", [lane])
    _, said = audit_json("stats", folder)
    assert said["repeats"] == [{"service": "eth", "method": "eth_getBalance", "id": 20,
                                "relays": 15, "distinct": 9, "most": 7, "same_block": 5}]
    assert "kept requests of" in audit("stats", folder)[1]
