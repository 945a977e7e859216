# SPDX-License-Identifier: Apache-2.0
"""counterfoil-audit claims over files that Python wrote: what is right is clean, and everything that
a registry, a supplier or a gateway could have done wrong is found by its name (protocol.md [C1] to
[C12], [P6], [Y4])."""

import base64
import copy
import dataclasses
import random

import pytest

from reference.counterfoil_ref import claim, claims_file, note, session
from support import counts
from support.claims_world import STAKE, ClaimsWorld
from support.export import audit, audit_json

MADE = ClaimsWorld()


@pytest.fixture()
def world():
    return copy.deepcopy(MADE)


def found(words, *more):
    """(exit status, {(weight, kind)}, all that was said) of the verb."""
    status, said = audit_json("claims", *words, *more)
    findings = said["report"]["findings"]
    return status, {(f["weight"], f["kind"]) for f in findings if f["weight"] != "note"}, said


def texts(said):
    return " ".join(f["text"] for f in said["report"]["findings"])


def written(tmp_path, world, *more, file=None):
    world.settle()
    return found(world.write(tmp_path, file), *more)


def fates(said):
    """{fate: (CU, value)} over all suppliers."""
    sums = {}
    for row in said["cu"]:
        cu, value = sums.get(row["fate"], (0, 0))
        sums[row["fate"]] = cu + int(row["cu"]), value + int(row["value"])
    return sums


# --- what is right


def test_what_is_right_is_clean_and_adds_up(tmp_path, world):
    status, kinds, said = written(tmp_path, world, "--registry-key", world.registry_key.hex())
    assert (status, kinds) == (0, set()), said
    assert said["report"]["findings"] == []
    counters, money = said["report"]["counters"], said["money"]
    paid = sum(int(e["paid"]) for e in world.entries)
    assert counters["claims"] == counters["claims_right"] == counters["proofs_right"] \
        == len(world.entries) > 8
    assert counters["records_compared"] == 2 * counters["records"]
    assert counters["proof_leaves_same"] == 2 * counters["claims"]
    assert int(money["paid"]) == int(money["claims_paid"]) == paid > 0
    assert int(money["deposits"]) == sum(
        int(money[name]) for name in ("paid", "burned", "stakes", "escrow", "thawing", "left"))
    owners = {session.owner_default(key): 0 for key in world.lanes}
    for e in world.entries:
        owners[session.owner_default(claims_file.claim_of(e).supplier)] += int(e["paid"])
    assert {bytes.fromhex(o["owner"]): int(o["paid"]) for o in said["owners"]} == owners
    everything = sum(len(lane.leaves) for lane in world.lanes.values())
    told = fates(said)
    assert set(told) == {"paid", "claimable"} and told["paid"] == (paid // 2, paid)
    assert sum(cu for cu, _ in told.values()) == everything


def test_the_same_files_give_the_same_bytes(tmp_path, world):
    world.settle()
    words = world.write(tmp_path)
    for form in ([], ["--json"]):
        assert audit("claims", *words, *form) == audit("claims", *words, *form)
    assert claims_file.parse(words[0].read_bytes(), world.registry_key) == world.file()


def test_without_folders_the_registry_alone_is_judged(tmp_path, world):
    world.settle()
    words = world.write(tmp_path)
    registry = words[1] / "registry.note"
    status, kinds, said = found(words[:1], "--registry", registry)
    assert (status, kinds) == (2, {("open", "no_folder")})
    assert said["report"]["counters"]["proofs_right"] == len(world.entries)
    assert said["report"]["open"] == 1 + len(world.lanes)
    status, kinds, _ = found(words[:1])
    assert (status, kinds) == (2, {("open", "no_registry")})
    status, kinds, said = found(words[:2])
    assert (status, kinds) == (2, {("open", "no_folder")}) and said["report"]["open"] == 4


# --- what a registry may have done


def unlike(records):
    return [dataclasses.replace(records[0], cu=records[0].cu + 1), *records[1:]]


def too_much(records):
    r = dataclasses.replace(records[0], cu=records[0].cu + 500, value=2 * (records[0].cu + 500))
    return [r]


CLAIMS = {  # fault: (what is claimed instead, what else there is to find)
    "value": (unlike, {("provable", "record_cu")}),
    "allowance": (too_much, {("provable", "record_cu")}),
    "session": (lambda rs: [dataclasses.replace(rs[0], session=bytes(32)), *rs[1:]],
                {("provable", "record_cu")}),
    "size": (lambda rs: [dataclasses.replace(rs[0], size=2**20 + 1), *rs[1:]], {("open", "short")}),
    "value_before": (lambda rs: [dataclasses.replace(r, value_before=r.value_before + 2)
                                 for r in rs], set()),
    "session_value": (lambda rs: [dataclasses.replace(rs[0], session_value_before=1), *rs[1:]],
                      set()),
    "start": (lambda rs: [dataclasses.replace(r, start=r.start + 100) for r in rs], set()),
}


@pytest.mark.parametrize("fault", CLAIMS)
def test_a_claim_that_should_have_been_refused_convicts_the_registry(tmp_path, world, fault):
    change, others = CLAIMS[fault]
    key = claims_file.claim_of(world.entries[0]).supplier
    start = claims_file.claim_of(world.entries[0]).start_from
    world.entries = world.entries[1:]
    world.claim(key, start, start + 20, change)
    status, kinds, said = written(tmp_path, world)
    assert (status, kinds) == (1, {("provable", "claim")} | others)
    assert f"recorded, and wrong: {fault}:" in texts(said)


def test_a_claim_by_one_who_was_not_drawn(tmp_path, world):
    start = next(s for s in (80, 90, 100) if len(world.drawn[s]) < len(world.lanes))
    key = next(k for k in world.lanes if k not in world.drawn[start])
    identity = world.known.session(world.app, "eth", start)[0]
    lane = world.lanes[key]
    lane.enter(start, identity)
    lane.answer(len(lane.leaves), session=identity)
    lane.final_size = len(lane.leaves)
    terms = {start: dataclasses.replace(world.terms(key, start), member=True)}
    records = claim.valued([world.record(lane, start)], terms)
    about = claim.Claim(world.network, world.app, world.gateway, key, "eth", start, start + 10)
    world.enter(claim.claim_for(about, records), records, start + 11)
    status, kinds, said = written(tmp_path, world)
    assert status == 1 and "wrong: not_drawn:" in texts(said)
    assert fates(said)["paid"][0] == sum(int(e["paid"]) for e in world.entries) // 2


@pytest.mark.parametrize("height,fault", [(30, "early"), (50, "late")])
def test_a_claim_out_of_its_time(tmp_path, world, height, fault):
    e = world.entries[0]
    c = claims_file.claim_of(e)
    world.entries = world.entries[1:]
    world.claim(c.supplier, c.start_from, c.start_to, recorded=height)
    status, kinds, said = written(tmp_path, world)
    assert (status, kinds) == (1, {("provable", "claim")}) and f"wrong: {fault}:" in texts(said)


def test_a_claim_that_its_supplier_did_not_sign(tmp_path, world):
    world.entries[3]["signature"] = "00" * 64
    status, kinds, said = written(tmp_path, world)
    assert (status, kinds) == (1, {("provable", "claim")}) and "wrong: signature:" in texts(said)


def test_two_claims_of_one_session(tmp_path, world):
    c = claims_file.claim_of(world.entries[0])
    world.claim(c.supplier, c.start_from, c.start_from + 10)
    status, kinds, said = written(tmp_path, world)
    assert (status, kinds) == (1, {("provable", "overlap")})
    assert c.id.hex() in texts(said) or "is of too" in texts(said)


def wrong_proof(world, e):
    """The right proof of another leaf."""
    c = claims_file.claim_of(e)
    data = base64.b64decode(e["records"])
    records = [claim.decode_record(data[i:i + 156]) for i in range(0, len(data), 156)]
    right = base64.b64decode(e["proof"])
    seed = next(s for s in (bytes([i]) * 32 for i in range(256))
                if claim.decode_proof(world.prove(c, records, s)).leaf
                != claim.decode_proof(right).leaf)
    proof = world.prove(c, records, seed)
    signature = note.sign(world.seed_of[c.supplier], claim.proof_message(c, proof))
    terms = {s: world.terms(c.supplier, s) for s in range(c.start_from, c.start_to, 10)}
    return proof, claim.check_proof(c, proof, signature, world.known.seed(int(e["recorded"]) + 1),
                                    terms)


def test_a_wrong_proof_that_was_paid(tmp_path, world):
    e = world.entries[2]
    proof, fault = wrong_proof(world, e)
    c = claims_file.claim_of(e)
    e["proof"] = base64.b64encode(proof).decode()
    e["proof_signature"] = note.sign(world.seed_of[c.supplier],
                                     claim.proof_message(c, proof)).hex()
    status, kinds, said = written(tmp_path, world)
    assert (status, kinds) == (1, {("provable", "proof")})
    assert f"paid for a wrong proof: {fault}:" in texts(said)


def test_a_forfeit_that_is_right_is_no_finding(tmp_path, world):
    proof, fault = wrong_proof(world, world.entries[-1])
    world.forfeit(world.entries[-1], fault, proof)
    world.forfeit(world.entries[-2])
    status, kinds, said = written(tmp_path, world)
    assert (status, kinds) == (0, set()), said
    value = sum(claims_file.claim_of(e).value for e in world.entries[-2:])
    assert said["money"]["burned"] == said["money"]["claims_burned"] == str(value)
    assert int(said["money"]["stakes"]) == 4 * STAKE - value
    assert fates(said)["forfeited"] == (value // 2, value)


def test_a_forfeit_burns_no_more_than_there_is(tmp_path, world):
    e = world.entries[-1]
    c = claims_file.claim_of(e)
    supplier = next(s for s in world.value["suppliers"] if s["key"] == c.supplier.hex())
    gone = int(e["recorded"])
    world.value["suppliers"].append(supplier | {"height": str(gone), "stake": "7"})
    world.forfeit(e)
    e["burned"], e["burned_thaw"] = "7", str(c.value - 7)
    world.settle()
    last = world.value["suppliers"]
    mine = [s for s in last if s["key"] == c.supplier.hex()][-1]
    mine.update({"stake": "0", "burned": "7", "burned_thaw": str(c.value - 7)})
    status, kinds, said = found(world.write(tmp_path))
    assert (status, kinds) == (0, set()), said
    assert int(said["money"]["thawing"]) == STAKE - 7 - (c.value - 7)


FORFEITS = {
    "a right proof that was forfeited":
        (lambda w, e: w.forfeit(e, "leaf_point", base64.b64decode(e["proof"])),
         {("provable", "proof")}),
    "a reason that is not the proof's":
        (lambda w, e: w.forfeit(e, "no_such_thing"), {("provable", "state")}),
    "before its time":
        (lambda w, e: (w.forfeit(e), e.update(settled=e["due"])), {("provable", "state")}),
    "too little burned":
        (lambda w, e: (w.forfeit(e), e.update(burned=str(int(e["burned"]) - 1))),
         {("provable", "burned")}),
    "too much burned":
        (lambda w, e: (w.forfeit(e), e.update(burned=str(int(e["burned"]) + 1))),
         {("provable", "burned")}),
    "paid less than its value":
        (lambda w, e: e.update(paid=str(int(e["paid"]) - 1)), {("provable", "state")}),
    "paid before the challenge was drawn":
        (lambda w, e: e.update(settled=e["recorded"]), {("provable", "state")}),
    "paid too late":
        (lambda w, e: e.update(settled=str(int(e["due"]) + 1)), {("provable", "state")}),
    "less time for a proof":
        (lambda w, e: e.update(due=str(int(e["due"]) - 1)), {("provable", "due")}),
    "never settled":
        (lambda w, e: e.update(state="recorded", settled="0", paid="0", proof="",
                               proof_signature=""), {("provable", "overdue")}),
    "a right proof and no payment":
        (lambda w, e: e.update(state="recorded", settled="0", paid="0", due="119"),
         {("provable", "proof")}),
}


@pytest.mark.parametrize("what", FORFEITS)
def test_a_wrong_end_of_a_claim_convicts_the_registry(tmp_path, world, what):
    change, expected = FORFEITS[what]
    change(world, world.entries[-1])
    status, kinds, said = written(tmp_path, world)
    assert (status, kinds) == (1, expected), said


@pytest.mark.parametrize("paused", [False, True])
def test_more_time_for_a_proof_than_pauses_give_back_is_told(tmp_path, world, paused):
    one = world.entries[0]
    one["due"] = str(int(one["due"]) + 5)
    if paused:
        world.value["pauses"] = [{"height": one["settled"], "missed": "5"}]
    status, kinds, said = written(tmp_path, world)
    assert (status, kinds) == (0, set()), said
    assert ("due_later" in {f["kind"] for f in said["report"]["findings"]}) == (not paused)


def test_money_that_went_elsewhere_is_found_to_the_unit(tmp_path, world):
    world.settle()
    for name, amount in (("escrow", -1), ("spent", 1)):
        for e in world.value["applications"][1:]:
            e[name] = str(int(e[name]) + amount)
    status, kinds, said = found(world.write(tmp_path))
    assert (status, kinds) == (1, {("provable", "paid"), ("provable", "books")})
    assert int(said["money"]["paid"]) == int(said["money"]["claims_paid"]) + 1


def test_more_taken_of_what_thawed_than_there_was(tmp_path, world):
    world.settle()
    world.value["applications"][-1]["spent_thaw"] = "5"
    status, kinds, said = found(world.write(tmp_path))
    assert status == 1 and ("provable", "books") in kinds
    assert "do not add up" in texts(said)


# --- what is missing


def test_a_part_of_the_claims_is_inconclusive(tmp_path, world):
    world.settle()
    some = [e for e in world.entries if int(e["recorded"]) >= 50]
    part = claims_file.file_of(world.network, 120, some, 50)
    status, kinds, said = found(world.write(tmp_path, part))
    assert (status, kinds) == (2, {("open", "partial")}), said
    assert "window_closed" in fates(said)


def test_seeds_that_are_gone_are_inconclusive(tmp_path, world):
    world.settle()
    seeds = world.value["seeds"]
    seeds["from"], seeds["values"] = "40", seeds["values"][40:]
    status, kinds, said = found(world.write(tmp_path))
    assert (status, kinds) == (2, {("open", "seed")}), said
    assert 0 < said["report"]["counters"]["claims_right"] < len(world.entries)


def test_an_older_registry_file_is_added_up_as_of_its_height(tmp_path, world):
    world.settle()
    world.value["height"] = "75"
    for kind in ("applications", "suppliers"):
        world.value[kind] = [e for e in world.value[kind] if int(e["height"]) <= 76]
    seeds = world.value["seeds"]
    seeds["to"], seeds["values"] = "76", seeds["values"][:76]
    status, kinds, said = found(world.write(tmp_path))
    assert (status, kinds) == (2, {("open", "seed")}), said
    assert said["money"]["height"] == 75
    late = sum(int(e["paid"]) for e in world.entries if int(e["settled"]) >= 75)
    assert int(said["money"]["claims_open"]) == late > 0


def test_a_folder_that_was_written_too_early(tmp_path, world):
    world.settle()
    words = world.write(tmp_path)
    early = copy.deepcopy(world)
    for lane in early.lanes.values():
        lane.cut(3)
    old = early.write(tmp_path / "old")
    status, kinds, _ = found([words[0], old[1], *words[2:]])
    assert (status, kinds) == (2, {("open", "short")})
    world.lanes = dict(list(world.lanes.items())[1:])
    fewer = world.write(tmp_path / "fewer")
    status, kinds, _ = found([words[0], fewer[1], *words[3:]])
    assert (status, kinds) == (2, {("open", "lane_absent"), ("open", "no_folder")})


# --- what a party may have done


def claim_more(world, cu):
    """The first claim's first record with more CU than were served, and its proof."""
    c = claims_file.claim_of(world.entries[0])
    world.entries = world.entries[1:]
    world.claim(c.supplier, c.start_from, c.start_to,
                lambda rs: claim.valued([dataclasses.replace(rs[0], cu=rs[0].cu + cu), *rs[1:]], {
                    s: world.terms(c.supplier, s) for s in range(c.start_from, c.start_to, 10)}))
    return c.supplier


def test_more_than_was_served_convicts_the_supplier_even_when_it_was_paid(tmp_path, world):
    claim_more(world, 5)
    status, kinds, said = written(tmp_path, world)
    assert status == 1 and kinds - {("provable", "proof")} == {("provable", "record_cu")}
    for role in ("gateway", "supplier"):
        assert f"of which the {role}'s folder has" in texts(said)


def test_leaves_unlike_the_claim_are_one_partys_word(tmp_path, world):
    """The gateway's folder has other leaves than the supplier claimed and proved."""
    world.settle()
    words = world.write(tmp_path)
    other = copy.deepcopy(world)
    lane = next(iter(other.lanes.values()))
    for seq, one in enumerate(lane.leaves):
        lane.change(seq, latency_us=one.latency_us + 1)
    theirs = other.write(tmp_path / "other")
    status, kinds, said = found([words[0], theirs[1], *words[2:]])
    assert (status, kinds) == (1, {("local", "record_root"), ("local", "proof_leaf")})
    assert "the gateway's folder has another root" in texts(said)


def test_a_lane_between_others(tmp_path, world):
    world.settle()
    words = world.write(tmp_path)
    other = copy.deepcopy(world)
    first, second = list(other.lanes)[:2]
    other.lanes[second].id = world.lanes[first].id
    other.lanes = {second: other.lanes[second]}
    theirs = other.write(tmp_path / "other")
    status, kinds, said = found([words[0], words[1], *words[2:], theirs[2]])
    assert status == 1 and ("local", "record_lane") in kinds


def test_a_head_that_the_gateway_did_not_cosign(tmp_path, world):
    world.settle()
    words = world.write(tmp_path)
    other = copy.deepcopy(world)
    for lane in other.lanes.values():
        lane.final_size -= 1
    theirs = other.write(tmp_path / "other")
    status, kinds, said = found([words[0], theirs[1], *words[2:]])
    assert (status, kinds) == (1, {("local", "record_head")})
    for lane in other.lanes.values():
        lane.state = "unclosed"
    theirs = other.write(tmp_path / "unclosed")
    assert found([words[0], theirs[1], *words[2:]])[:2] == (2, {("open", "short")})


# --- what nobody claimed


def test_each_unclaimed_unit_has_its_reason(tmp_path, world):
    first, second, third, *_ = sorted(world.lanes)
    lapsed = [e for e in world.entries if claims_file.claim_of(e).start_from < 30]
    world.entries = [e for e in world.entries if e not in lapsed]
    cut = next(e for e in world.entries if len(base64.b64decode(e["records"])) > 156)
    c = claims_file.claim_of(cut)
    world.entries.remove(cut)
    world.claim(c.supplier, c.start_from, c.start_to, lambda rs: rs[:1])
    for lane, state in ((world.lanes[first], "undelivered"), (world.lanes[second], "unsigned")):
        identity = world.known.session(world.app, "eth", 110)[0]
        lane.enter(110, identity)
        for _ in range(3):
            lane.answer(len(lane.leaves), session=identity)
        lane.undelivered = [[lane.final_size, len(lane.leaves)]] if state == "undelivered" else []
    entitled = next(s for s in (100, 90, 80) if third not in world.drawn[s])
    identity = world.known.session(world.app, "eth", entitled)[0]
    lane = world.lanes[third]
    lane.enter(entitled, identity)
    for _ in range(4):
        lane.answer(len(lane.leaves), session=identity)
    lane.final_size = len(lane.leaves)
    status, kinds, said = written(tmp_path, world)
    told = fates(said)
    assert status == 0 and kinds == set(), said
    assert told["undelivered"] == told["no_cosigned_head"] == (3, 0)
    assert told["not_entitled"] == (4, 0)
    value = sum(claims_file.claim_of(e).value for e in lapsed)
    assert told["window_closed"] == (value // 2, value)
    assert told["not_listed"][1] > 0 and told["claimable"][1] > 0
    everything = sum(len(lane.leaves) for lane in world.lanes.values())
    assert sum(cu for cu, _ in told.values()) == everything


def test_beyond_the_allowance_and_for_free(tmp_path):
    """At 100 tokens an allowance of 1000 is 10 CU; the one at price 0 earns nothing."""
    world = copy.deepcopy(MADE)
    free = sorted(world.lanes)[0]
    for e in world.value["suppliers"]:
        e["price"] = "0" if e["key"] == free.hex() else "100"
    world.entries = []
    for start in range(10, 80, 20):
        for key in sorted(world.lanes):
            world.claim(key, start, start + 20)
    status, kinds, said = written(tmp_path, world)
    assert (status, kinds) == (0, set()), said
    told = fates(said)
    assert told["free"] == (len(world.lanes[free].leaves), 0)
    assert told["over_allowance"][0] > 0 and told["over_allowance"][1] == 0
    assert told["paid"] == (told["paid"][0], 100 * told["paid"][0])
    assert {r["supplier"] for r in said["cu"] if r["fate"] == "free"} == {free.hex()}


# --- every byte counts


def test_every_changed_byte_of_a_file_is_found(tmp_path, world):
    world.settle()
    words = world.write(tmp_path)
    dice = random.Random(counts.count("seed"))
    files = [words[0], words[1] / "registry.note"] + [
        next(iter((folder / "lanes").iterdir())) / name
        for folder in words[1:3] for name in ("leaves.bin", "final")]
    for path in files:
        data = path.read_bytes()
        for _ in range(counts.count("audit_claims_bytes")):
            at = dice.randrange(len(data))
            changed = bytes([data[at] ^ 1 << dice.randrange(8)])
            path.write_bytes(data[:at] + changed + data[at + 1:])
            status, text = audit("claims", *words, "--registry-key", world.registry_key.hex())
            assert status == 1, (path, at, text)
        path.write_bytes(data)
    assert audit("claims", *words)[0] == 0


def test_files_of_others_and_no_files(tmp_path, world):
    world.settle()
    words = world.write(tmp_path)
    registry = words[1] / "registry.note"
    for wrong in (["claims"], ["claims", words[0], "--methods", "x"],
                  ["claims", words[0], "--registry-key", "zz"]):
        assert audit(*wrong)[0] == 3
    assert audit("claims", tmp_path / "none", words[1])[0] == 4
    assert audit("claims", words[0], tmp_path / "none")[0] == 4
    assert audit("claims", words[0], words[1], "--registry", tmp_path / "none")[0] == 4
    status, kinds, _ = found([registry], "--registry", registry)
    assert (status, kinds) == (1, {("local", "claims")})
    other = ClaimsWorld(2)
    other.settle()
    theirs = other.write(tmp_path / "other")
    status, kinds, _ = found([theirs[0]], "--registry", registry)
    assert (status, kinds) == (1, {("local", "claims")})
    foreign = world.file(network="11" * 32)
    status, kinds, _ = found(world.write(tmp_path / "foreign", foreign))
    assert (status, kinds) == (1, {("local", "network")})
    assert ("local", "network") in found([words[0], words[1], theirs[1]])[1]
