# SPDX-License-Identifier: Apache-2.0
"""Attacks on rewards at a real registry, by a supplier and gateways that hold real keys and sign what they like
(tests/hostile.toml): each is refused by its name and costs nobody anything, or its challenge shows it to be
false, and it costs its supplier the stake.  What is left to a pair that deals with itself is its budget, in the
sessions that the supplier was drawn for, and the auditor names it.
"""

import pytest

from reference.counterfoil_ref import claim as claim_
from reference.counterfoil_ref import claims_file
from reference.counterfoil_ref import leaf as leaf_
from support import net
from support.attacks_on_registry import CLAIMS, PROOFS, as_it_stands, invented
from support.bad_payers import PAYERS
from support.export import audit_json
from support.hostile import cases
from support.load import Load
from support.network import SERVICE, TOKEN, run
from support.process import wait_for
from support.reward_world import BLOCKS, MEMBERS, PAIR_BUDGET, PRICE, World

CASES = cases("registry")
THEN = {name: case["then"].split() for name, case in CASES.items()}
PAID_WHOLLY = {"cosigns_when_the_session_is_long_over", "cosigns_at_the_beginning_of_time", "cosigns_at_the_end_of_time"}
PAID = PAID_WHOLLY | {"vanishes_in_a_session", "cosigns_less_than_it_got"}
ESCROW = 10**6 * TOKEN
LEFT = 5000  # of it: an honest node has a claim on some, from the first calls there were
# What the registry says to a proof that it does not keep as the supplier's word.
NOT_KEPT = {"no_proof_at_all": None, "proof_signed_by_another": "signature", "something_else_as_a_proof": "form"}


@pytest.fixture(scope="module", name="world")
def fixture_world(folder):
    """All that needs its time to lapse is tried at the start."""
    world = World(folder)
    try:
        with Load(world.network.url, clients=2, pause=0.05) as load:
            world.load = load
            world.take_answers()
            world.try_proofs()
            world.run_away()
            world.overstate()
            yield world
    finally:
        world.end()


def test_every_case_is_played():
    """The table and the attacks name the same."""
    assert {n for n, then in THEN.items() if then[0] == "refused"} == set(CLAIMS)
    assert {n for n, then in THEN.items() if then[0] == "forfeit"} == set(PROOFS)


# --- what goes on while the false claims lapse

def test_a_gateway_and_a_supplier_of_one_hand_get_their_budget_and_no_more(world):
    """Relays that never were, both sides signed: what signatures cannot stop, the draw and the grant bound [P1].
    Once more, with other records or with more sessions, the same is not paid [C5]."""
    paid, refused = world.pair
    assert refused <= {"not_drawn", "late"}
    for x, state in paid:
        assert world.crook.me.public in x.session.members
        assert int(state["paid"]) == x.claim.value == PAIR_BUDGET // MEMBERS // PRICE * PRICE
        assert world.desk.claim(x.claim, x.signature(), x.bytes()) == (None, state)
        assert world.desk.prove(x.claim.id, b"", bytes(64)) == (None, state)
        x.over([x.record(invented(x))])
        assert world.desk.claim(*as_it_stands(x))[0] in ("overlap", "late")
        if x.session.start > BLOCKS:  # the first one has none before it
            wider = as_it_stands(x, start_from=x.session.start - BLOCKS)
            assert world.desk.claim(*wider)[0] in ("overlap", "late")


def test_the_pair_is_flagged_with_its_number(world):
    """By nothing but the two files of the registry, in which the honest supplier has no mark."""
    paid, _ = world.pair
    claims, registry = world.registry_files()
    status, said = audit_json("stats", "--claims", claims, "--registry", registry,
                              "--registry-key", world.network.registry_key)
    assert status == 0
    pair = next(s for s in said["shares"] if s["of"] == "cu" and s["gateway"] == world.pals["pair"].hex)
    row = next(r for r in pair["rows"] if r["supplier"] == world.crook.me.hex)
    assert row["sessions"] == row["full"] == len(paid)
    assert row["used_up"] and row["sign"]
    assert int(row["cu"]) == len(paid) * (PAIR_BUDGET // MEMBERS // PRICE)
    node = world.network.node_keys[0]
    assert not any(r["sign"] for s in said["shares"] for r in s["rows"] if r["supplier"] == node)


def test_what_a_real_gateway_has_cosigned_is_paid(world):
    x, state = world.paid(world.served)
    assert int(state["paid"]) == x.claim.value > 0
    served = sum(one.cu for lane in world.crook.lanes.values() for one in map(leaf_.decode, list(lane.leaves))
                 if one.session == x.session.id)
    assert x.claim.value <= served * PRICE


def test_a_wrong_proof_costs_nothing_when_the_right_one_follows(world):
    def tried():
        x = world.invent("refused")
        if world.claim(x)[0]:
            return None
        seed = world.seed(x)
        wrong, right = x.proof(seed, at=1 - x.leaf_at(seed).seq).encode(), x.proof(seed).encode()
        first, _ = world.prove(x, wrong, x.proof_signature(wrong))
        second, state = world.prove(x, right, x.proof_signature(right))
        return (first, state) if "late" not in (first, second) else None
    first, state = wait_for("a proof in time", tried)
    assert first == "leaf_point" and state["state"] == "paid" and state["burned"] == "0"


def no_longer_paid(world, pal, gone, application=0):
    """A session whose snapshot comes behind that of a height has no grant any more."""
    def tried():
        x = world.claiming(pal, application=application, after=gone)
        x.over(x.summed([x.record(invented(x))]), valued=False)
        fault, _ = world.claim(x)
        return fault if fault != "late" else None
    assert wait_for("a refusal", tried) == "grant"


def test_escrow_that_is_withdrawn_early_is_paid_all_the_same(world):
    """What is on its way out pays for the sessions before; those behind are not paid for any more [P3] [P6]."""
    world.find("crook", application=1)
    key = world.network.applications[1]
    run("fund", "--withdraw", "--registry", world.network.registry, key, ESCROW - LEFT)
    gone = world.book.height()
    x, state = world.paid(lambda: world.invent("leaving", application=1, before=gone))
    assert int(state["paid"]) == x.claim.value > LEFT
    spent = wait_for("an entry", lambda: next(
        (e for e in world.book.read().value["applications"] if e["key"] == key and "spent_thaw" in e), None))
    assert spent["escrow"] == "0" and int(spent["spent"]) <= LEFT
    assert int(spent["spent"]) + int(spent["spent_thaw"]) >= x.claim.value
    no_longer_paid(world, "leaving", gone, application=1)


def test_a_grant_that_is_revoked_pays_for_what_was_before(world):
    """[P1] [P3]: from the next snapshot on there is nothing more to be had under it."""
    world.find("crook")
    run("grant", "--registry", world.network.registry, "--key", world.network.key_file("app0"),
        world.pals["revoked"].hex, SERVICE, 0)
    gone = world.book.height()
    x, state = world.paid(lambda: world.invent("revoked", before=gone))
    assert int(state["paid"]) == x.claim.value > 0
    no_longer_paid(world, "revoked", gone)


# --- the table

@pytest.mark.parametrize("name", CLAIMS)
def test_a_claim_that_breaks_a_rule_is_refused_and_costs_nothing(world, name):
    """[C7]: by the first name, and as if it had never come."""
    how = CLAIMS[name]

    def tried():
        x = world.claiming("refused", how.who, when=how.when, drawn=how.drawn)
        lanes = sorted((invented(x) for _ in range(2)), key=lambda lane: lane.id)
        x.over(x.summed([x.record(lane) for lane in lanes]), valued=False)
        fault, state = world.desk.claim(*how(x))
        if how.when == "running" and world.book.height() >= x.session.start + BLOCKS:
            return None
        return (x, fault, state) if fault != "late" or how.when == "late" else None

    x, fault, state = wait_for("a session that lasts", tried)
    assert (fault, state) == (THEN[name][1], None)
    assert world.desk.look(x.claim.id)["state"] == "unknown"


def test_what_is_no_claim_and_what_is_too_long_is_not_looked_at(world):
    for path, body, status in (("/claims", b"", 400), ("/claims", b"x" * 500, 400), ("/claims", bytes(1 << 21), 413),
                               ("/claims/zz", b"", 405), (f"/claims/{'0' * 64}/proof", b"x", 400)):
        try:
            assert world.desk.ask("POST", path, body)[0] == status
        except ConnectionError:
            assert status == 413  # it hung up before all of it was sent
    assert net.answers(world.network.registry_url)


@pytest.mark.parametrize("name", PROOFS)
def test_a_claim_that_its_challenge_shows_to_be_false_costs_stake(world, name):
    """[C10] [C11] [C12]: refused by name, and when no other proof comes the name is kept."""
    x, said = world.said[name]
    reason = THEN[name][1]
    assert said == NOT_KEPT.get(name, reason)
    state = world.ended(x)
    assert (state["state"], state["reason"]) == ("forfeited", reason)
    assert int(state["burned"]) == x.claim.value > 0 and state["paid"] == "0"
    assert int(state["settled"]) > int(state["due"])
    # What the right proof of another day would say comes too late; the same claim again is answered with its end.
    assert world.desk.claim(x.claim, x.signature(), x.bytes()) == (None, state)
    assert world.desk.prove(x.claim.id, b"", bytes(64)) == (None, state)


def test_more_than_a_real_gateway_has_got_costs_all_of_it(world):
    """The supplier serves as it should, and claims its whole allowance for that."""
    x, fault = world.overstated
    assert fault == "leaf_point"
    state = world.ended(x)
    assert (state["state"], state["reason"]) == ("forfeited", "leaf_point")
    assert int(state["burned"]) == x.claim.value == x.whole * PRICE


def test_stake_that_is_taken_back_early_is_burned_all_the_same(world):
    """[C12] [P6]: it is liable as long as a claim of its sessions can be open."""
    x = world.runaway
    state = world.ended(x)
    assert (state["state"], state["reason"]) == ("forfeited", "no_proof")
    assert int(state["burned"]) == x.claim.value > 0
    claims, _ = world.registry_files()
    entry = next(e for e in claims_file.parse(claims.read_bytes(), bytes.fromhex(world.network.registry_key))["claims"]
                 if claims_file.claim_of(e).id == x.claim.id)
    assert (entry["burned"], entry["burned_thaw"]) == ("0", state["burned"])


# --- gateways that do not sign for what they took

@pytest.mark.parametrize("name", PAYERS)
def test_a_gateway_that_does_not_sign_costs_a_node_what_it_took_and_no_stake(world, name):
    """[C10] [L8] [P5]: the real node is paid for everything that is cosigned, however late and with whatever time;
    the rest is lost by name."""
    payer = world.payers[name]
    paid, owed = payer.cu()
    lanes = payer.lanes()

    def mine():
        return [c for c in world.desk.list(world.keys["node"].public)
                if claim_.decode(bytes.fromhex(c["claim"])).gateway == payer.me.public]

    def lost():
        rows = [dict(word.split("=", 1) for word in line.split() if "=" in word)
                for line in world.network.nodes[0].log().splitlines() if " claims.lost " in line]
        return [row for row in rows if row["lane"] in lanes]

    wait_for("an end", lambda: sum(int(c["paid"]) for c in mine()) == paid * PRICE and
             sum(int(row["cu"]) for row in lost()) == owed, interval=0.2)
    assert all(c["state"] == "paid" and c["burned"] == "0" for c in mine())
    assert {row["reason"] for row in lost()} <= {"no_cosigned_head", "undelivered"}
    assert (paid > 0) == (name in PAID) and (owed > 0) == (name not in PAID_WHOLLY)


# --- the end of it

def test_the_books_balance_and_the_auditor_decides_the_same(world):
    """To the unit, whatever was tried; and the overstated claim is proved against its supplier by the ledger of
    the gateway that it named."""
    world.load.stop()
    claims, registry = world.registry_files()
    said = run("registry", "show", world.network.registry)
    assert "books" in said
    key = world.network.registry_key
    status, found = audit_json("claims", claims, "--registry", registry, "--registry-key", key)
    kinds = {f["kind"] for f in found["report"]["findings"] if f["weight"] != "note"}
    assert status == 2 and kinds == {"no_folder"}, found["report"]
    file = claims_file.parse(claims.read_bytes(), bytes.fromhex(key))
    # What is settled at the very height of the file is in the entries of the next one.
    entries = [e for e in file["claims"] if int(e["settled"]) < int(file["height"])]
    sums = {name: sum(int(e[name]) for e in entries) for name in ("paid", "burned", "burned_thaw")}
    money = {name: int(value) for name, value in found["money"].items()}
    assert money["paid"] == sums["paid"] > 0
    assert money["burned"] == sums["burned"] + sums["burned_thaw"] > 0
    assert money["deposits"] == sum(money[name] for name in (
        "paid", "burned", "stakes", "escrow", "thawing", "left"))
    gateway = world.network.export(world.network.gateway)
    status, found = audit_json("claims", claims, gateway.folder, "--registry", registry, "--registry-key", key)
    guilty = [f for f in found["report"]["findings"] if f["weight"] == "provable"]
    assert status == 1 and {f["kind"] for f in guilty} == {"record_cu"}, guilty
    x = world.overstated[0]
    assert any(f"{x.whole} CU of the session at {x.session.start}," in f["text"] for f in guilty), guilty
