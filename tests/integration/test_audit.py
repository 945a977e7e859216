# SPDX-License-Identifier: Apache-2.0
"""counterfoil-audit over folders that Python wrote: what is right is clean, and each fault is found
by its name (protocol.md [R5] [R7] [R8] [T4] [N4] [L10] [S5] [P3] [P4])."""

import copy
import dataclasses
import json
import subprocess

import pytest

from reference.counterfoil_ref import bundle, leaf, note
from support import audit_world, gocheck, paths
from support.export import audit, audit_json


@pytest.fixture(scope="module")
def world():
    return audit_world.World()


@pytest.fixture(scope="module")
def good(world):
    """A lane of two full levels of tiles' worth is too slow in Python; 300 leaves have both."""
    return world.lane(300)


def found(verb, *words):
    """(exit status, {(weight, kind)}) of a verb."""
    status, said = audit_json(verb, *words)
    return status, {(f["weight"], f["kind"]) for f in said["findings"] if f["weight"] != "note"}


def one(tmp_path, world, lane, role="supplier"):
    return audit_world.write(tmp_path / role, world, role, [lane], lane.supplier)


def test_a_right_folder_is_clean(tmp_path, world, good):
    folder = one(tmp_path, world, good)
    status, said = audit_json("verify", folder)
    assert status == 0 and said["status"] == "clean" and said["findings"] == []
    counters = said["counters"]
    assert counters["leaves"] == counters["leaves_cosigned"] == counters["cu"] == 300
    assert counters["evidence"] == 300 and counters["tiles"] == 3 and counters["lanes"] == 1
    assert found("session", folder) == (0, set())
    assert found("session", folder, "--registry-key", world.registry_key.hex()) == (0, set())


def test_the_same_folder_gives_the_same_bytes(tmp_path, world, good):
    folder = one(tmp_path, world, good)
    for verb in ("verify", "session"):
        for form in ([], ["--json"]):
            assert audit(verb, folder, *form) == audit(verb, folder, *form)


FAULTS = [
    ("seq", dict(seq=8), {("provable", "seq")}),
    ("cu above the table", dict(cu=21), {("provable", "cu"), ("provable", "interval")}),
    ("gap", dict(cu_before=11), {("provable", "interval")}),
    ("overlap", dict(cu_before=9), {("provable", "interval")}),
    ("unknown method", dict(method=99), {("provable", "method")}),
    ("a flag above 31", dict(flags=32), {("provable", "leaf"), ("provable", "interval")}),
    ("the zero field", dict(zero=1), {("provable", "leaf"), ("provable", "interval")}),
    ("a refusal that costs", dict(kind=3), {("provable", "leaf"), ("provable", "interval")}),
    ("another request", dict(request_hash=bytes(32)), {("local", "request_hash")}),
    ("another response", dict(response_hash=bytes(32)), {("local", "response_hash")}),
    ("another status", dict(status=500), {("local", "status")}),
]


@pytest.mark.parametrize("why,changes,expected", FAULTS, ids=[f[0] for f in FAULTS])
def test_a_fault_under_a_signed_root_is_named(tmp_path, world, good, why, changes, expected):
    lane = copy.copy(good)
    lane.leaves = list(good.leaves)
    lane.change(10, **changes)
    assert found("verify", one(tmp_path, world, lane)) == (1, expected)


def test_without_a_signed_root_the_same_fault_convicts_nobody(tmp_path, world, good):
    lane = copy.copy(good)
    lane.leaves = list(good.leaves)
    lane.checkpoint, lane.final = good.note(300, True), good.note(300, True)
    lane.change(10, seq=8)
    lane.tiles = False
    assert found("verify", one(tmp_path, world, lane)) == (
        1, {("local", "root"), ("local", "seq")})


def stream(world, parts):
    lane = world.lane(3)
    for number, last in parts:
        before = lane.leaves[-1].cu_before + lane.leaves[-1].cu
        lane.answer(len(lane.leaves), kind=leaf.PART, stream=7, part=number,
                    flags=leaf.LAST if last else 0, cu_before=before)
    lane.evidence = []
    lane.final_size = len(lane.leaves)
    return lane


@pytest.mark.parametrize("parts,expected", [
    ([(0, 0), (1, 0), (2, 1)], (0, set())),
    ([(5, 0), (6, 1)], (0, set())),  # it began in an earlier lane
    ([(0, 0), (2, 1)], (1, {("provable", "stream")})),
    ([(0, 0), (0, 1)], (1, {("provable", "stream")})),
    ([(0, 1), (1, 1)], (1, {("provable", "stream")})),
])
def test_parts_of_a_stream_are_in_order(tmp_path, world, parts, expected):
    assert found("verify", one(tmp_path, world, stream(world, parts))) == expected


def test_two_heads_that_are_not_of_one_tree_convict_the_supplier(tmp_path, world, good):
    other = world.lane(100, lane=good.id)
    lane = copy.copy(good)
    lane.final = other.note(100, True)
    assert found("verify", one(tmp_path, world, lane)) == (1, {("provable", "heads")})
    # cosigned only: the supplier may never have signed it
    text = note.parse(lane.final).text
    lane.final = text + b"\n" + note.signature_line(
        note.gateway_key(world.gateway), world.gateway_seed, text, 5)
    assert found("verify", one(tmp_path / "b", world, lane)) == (1, {("local", "root")})


@pytest.mark.parametrize("name,change,expected", [
    ("checkpoint", lambda d: d.replace(b"\n300\n", b"\n299\n"), {("local", "signature")}),
    ("checkpoint", lambda d: b"nothing\n", {("local", "checkpoint")}),
    ("final", lambda d: d[:-20] + b"AAAAAAAAAAAAAAAAAAA=" + b"\n", {("local", "checkpoint")}),
    ("tile/0/000", lambda d: bytes(32) + d[32:], {("local", "tile")}),
    ("tile/1/000.p/1", lambda d: None, {("local", "tile")}),
    ("leaves.bin", lambda d: d[:-1], {("local", "lane")}),
    ("salts.bin", lambda d: d[:-16], {("local", "lane")}),
    ("evidence.idx", lambda d: d[:8] + b"\xff" * 8 + d[16:], {("local", "evidence")}),
    ("lane.json", lambda d: d.replace(b'"closed"', b'"open"'), {("local", "lane")}),
    ("lane.json", lambda d: d.replace(b'"size": 300', b'"size": 299'), {("local", "lane")}),
])
def test_a_broken_file_is_named(tmp_path, world, good, name, change, expected):
    """The manifest is made anew, so that it is the content that is found."""
    lane = copy.copy(good)
    before = dict(good.files())
    data = change(before[name])
    lane.files = lambda: [(n, d) for n, d in {**before, name: data}.items() if d is not None]
    status, kinds = found("verify", one(tmp_path, world, lane))
    assert status == 1 and expected <= kinds, kinds


def test_a_file_unlike_the_manifest_is_named(tmp_path, world, good):
    folder = one(tmp_path, world, good)
    with open(folder / "methods/eth.txt", "ab") as file:
        file.write(b"\n")
    status, kinds = found("verify", folder)
    assert status == 1 and ("local", "file") in kinds and ("open", "no_table") in kinds
    (folder / "registry.note").unlink()
    status, kinds = found("session", folder)
    assert status == 1 and ("open", "no_registry") in kinds


def test_what_cannot_be_checked_is_inconclusive(tmp_path, world, good):
    lane = copy.copy(good)
    lane.sessions = []
    assert found("verify", one(tmp_path, world, lane)) == (2, {("open", "session_unknown")})
    lane = copy.copy(good)
    lane.salts = []
    assert found("verify", one(tmp_path / "b", world, lane)) == (2, {("open", "no_salts")})


def test_a_folder_without_a_manifest_is_an_error_of_input(tmp_path):
    assert audit("verify", tmp_path)[0] == 4
    (tmp_path / "manifest.json").write_text("{")
    assert audit("verify", tmp_path)[0] == 4
    (tmp_path / "manifest.json").write_text('{"version":1}')
    assert audit("verify", tmp_path)[0] == 4


def test_a_manifest_cannot_lead_out_of_its_folder(tmp_path, world, good):
    folder = one(tmp_path, world, good)
    manifest = json.loads((folder / "manifest.json").read_text())
    for path in ("../x", "/etc/passwd", "lanes/../../x", "a//b", ".", "lanes/./x", ""):
        manifest["files"][0]["path"] = path
        (folder / "manifest.json").write_text(json.dumps(manifest))
        assert ("local", "manifest") in found("verify", folder)[1], path


# --- session ---


def test_a_supplier_that_was_not_drawn_is_found(tmp_path, world):
    lane = world.lane(5, supplier_seed=world.stranger_seed)
    folder = audit_world.write(tmp_path, world, "gateway", [lane])
    assert found("verify", folder) == (0, set())
    assert found("session", folder) == (1, {("local", "not_member")})


def test_a_false_name_of_a_session_is_found(tmp_path, world, good):
    for changes, expected in [({"start": 30}, (1, {("local", "session_id")})),
                              ({"application": "00" * 32}, (1, {("local", "session_id")})),
                              ({"start": 21}, (1, {("local", "no_session")})),
                              ({"service": "btc"}, (1, {("local", "no_session")})),
                              ({"start": 60}, (2, {("open", "seed")}))]:
        lane = copy.copy(good)
        lane.sessions = [{**good.sessions[0], **changes}]
        folder = one(tmp_path / str(changes), world, lane)
        assert found("session", folder) == expected, changes


def test_more_than_the_allowance_is_found(tmp_path, world):
    """budget 2000, 2 suppliers a session, price 2: 500 CU."""
    for cu, expected in [(16, (0, set())), (17, (1, {("local", "allowance")}))]:
        lane = world.lane(0)
        for seq in range(32):
            lane.answer(seq, cu=cu if seq == 31 else (484 // 31 + (seq < 484 % 31)))
        lane.final_size = 32
        folder = one(tmp_path / str(cu), world, lane)
        assert found("session", folder) == expected


def test_a_revoked_grant_is_found(tmp_path, good):
    world = audit_world.World()
    grant = world.value["grants"][0]
    grant["gateway"] = "11" * 32
    folder = one(tmp_path, world, good)
    assert found("session", folder)[0] == 1  # its signature is of another gateway
    world = audit_world.World()
    world.value["applications"][0]["escrow"] = "10"
    folder = one(tmp_path / "b", world, good)
    assert found("session", folder) == (1, {("local", "grant")})


def test_a_registry_of_another_key_or_network_is_refused(tmp_path, world, good):
    folder = one(tmp_path, world, good)
    assert found("session", folder, "--registry-key", "00" * 31 + "01") == (
        1, {("local", "registry")})
    other = audit_world.World(2)
    path = tmp_path / "other.note"
    path.write_bytes(other.registry_file())
    assert found("session", folder, "--registry", path) == (1, {("local", "network")})
    path.write_bytes(world.registry_file())
    assert found("session", folder, "--registry", path, "--registry-key",
                 world.registry_key.hex()) == (0, set())
    assert audit("session", folder, "--registry", tmp_path / "none")[0] == 4


def test_another_method_table_than_the_registrys_is_found(tmp_path, good):
    world = audit_world.World()
    world.value["services"][0]["table"] = "22" * 32
    assert found("session", one(tmp_path, world, good)) == (1, {("local", "methods")})


# --- reconcile ---


def pair(tmp_path, world, gateway_lanes, supplier_lanes):
    gateway = audit_world.write(tmp_path / "gateway", world, "gateway", gateway_lanes)
    supplier = audit_world.write(tmp_path / "supplier", world, "supplier", supplier_lanes)
    return gateway, supplier


def cut(lane, count):
    made = copy.copy(lane)
    made.leaves, made.salts = list(lane.leaves), list(lane.salts)
    made.evidence = list(lane.evidence)
    return made.cut(count)


def test_two_halves_that_are_the_same(tmp_path, world, good):
    folders = pair(tmp_path, world, [good], [good])
    for order in (folders, folders[::-1]):
        status, said = audit_json("reconcile", *order)
        assert status == 0, said
        assert {k: v for k, v in said["counters"].items() if v and k != "files"} == {
            "lanes": 1, "same": 300}


def test_every_difference_has_its_name(tmp_path, world):
    tail, lost, gone, adopted = (world.lane(40) for _ in range(4))
    stranger = world.lane(3, supplier_seed=world.stranger_seed)
    tail.state, tail.final_size, tail.undelivered = "closed", 30, [[30, 40]]
    adopted.adopted = [[35, 40]]
    whole = copy.copy(adopted)
    whole.adopted = []
    lost.state = gone.state = "unclosed"
    folders = pair(tmp_path, world,
                   [cut(tail, 30), cut(lost, 25), gone, adopted, stranger],
                   [tail, lost, cut(gone, 33), whole])
    status, said = audit_json("reconcile", *folders)
    assert status == 0, said
    assert said["counters"] == {
        **said["counters"], "lanes": 4, "other_lanes": 1, "same": 30 + 25 + 33 + 40,
        "undelivered": 10, "absent_gateway": 15, "absent_supplier": 7, "adopted_gateway": 5,
        "adopted_supplier": 0}


def test_a_lane_that_one_side_does_not_have(tmp_path, world):
    never, only = world.lane(6), world.lane(4)
    never.final_size, never.state = 0, "unclosed"
    status, said = audit_json("reconcile", *pair(tmp_path, world, [only], [never]))
    assert status == 0
    assert said["counters"]["undelivered"] == 6 and said["counters"]["absent_supplier"] == 4


def test_different_leaves_convict_whoever_signed_both(tmp_path, world, good):
    other = cut(good, 300)
    other.change(7, latency_us=1)
    status, kinds = found("reconcile", *pair(tmp_path, world, [other], [good]))
    assert status == 1
    assert kinds == {("provable", "leaf_differs"), ("provable", "heads_differ")}
    forged = cut(good, 300)
    forged.checkpoint, forged.final = good.note(300, True), good.note(300, True)
    forged.change(7, latency_us=1)
    status, kinds = found("reconcile", *pair(tmp_path / "b", world, [forged], [good]))
    assert (status, kinds) == (1, {("local", "leaf_differs")})


def test_undelivered_leaves_that_are_cosigned_are_a_finding(tmp_path, world):
    lane = world.lane(20)
    paid = copy.copy(lane)
    paid.undelivered = [[10, 20]]
    lane.state = "unclosed"
    status, kinds = found("reconcile", *pair(tmp_path, world, [cut(lane, 10)], [paid]))
    assert (status, kinds) == (1, {("local", "undelivered_paid")})


def test_lanes_that_were_closed_at_different_sizes_are_a_finding(tmp_path, world):
    lane = world.lane(20)
    status, kinds = found("reconcile", *pair(tmp_path, world, [cut(lane, 15)], [lane]))
    assert (status, kinds) == (1, {("local", "final_differs")})


def test_folders_that_do_not_belong_together(tmp_path, world, good):
    gateway, supplier = pair(tmp_path, world, [good], [good])
    assert found("reconcile", gateway, gateway) == (1, {("local", "parties")})
    other = audit_world.World(3)
    alien = audit_world.write(tmp_path / "alien", other, "supplier", [other.lane(3)])
    assert found("reconcile", gateway, alien) == (1, {("local", "network")})


# --- prove and check ---


def prove(tmp_path, folder, lane, seq):
    done = subprocess.run([paths.AUDIT, "prove", folder, lane.id.hex(), str(seq)],
                          capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    path = tmp_path / f"{lane.id.hex()}-{seq}.json"
    path.write_bytes(done.stdout)
    return path


def test_proved_bundles_check_here_in_python_and_in_go(tmp_path, world, good):
    folder = one(tmp_path, world, good)
    made = [prove(tmp_path, folder, good, seq) for seq in (0, 1, 127, 255, 256, 299)]
    for path in made:
        assert found("check", path) == (0, set())
        parsed = bundle.parse(path.read_bytes())
        assert parsed.check() == [] and parsed.request and parsed.response
    assert found("check", *made) == (0, set())
    if gocheck.go() is not None:
        assert gocheck.check("bundle", *made)[0]


def test_go_accepts_a_right_folder_and_no_other(tmp_path, world, good):
    if gocheck.go() is None:
        pytest.skip("no Go: neither CF_GO nor one on PATH")
    fine, lines = gocheck.check("folder", one(tmp_path, world, good))
    assert fine and "size=300 cosigned=300 proofs=60" in lines[0], lines
    forged = cut(good, 300)
    forged.checkpoint, forged.final = good.note(300, True), good.note(300, True)
    forged.change(7, latency_us=1)
    assert not gocheck.check("folder", one(tmp_path / "b", world, forged))[0]


def test_a_proved_fault_convicts_and_a_forged_one_does_not(tmp_path, world, good):
    lane = cut(good, 300)
    lane.change(10, seq=8)
    path = prove(tmp_path, one(tmp_path, world, lane), lane, 10)
    assert found("check", path) == (1, {("provable", "seq")})
    members = json.loads(prove(tmp_path, one(tmp_path / "b", world, good), good, 10).read_text())
    forged = dataclasses.replace(good.leaves[10], seq=8).encode().hex()
    path.write_text(json.dumps({**members, "leaf": forged}))
    status, kinds = found("check", path)
    assert status == 2 and not any(weight == "provable" for weight, _ in kinds)


def test_the_table_convicts_when_it_is_given(tmp_path, world, good):
    lane = cut(good, 300)
    lane.change(10, cu=21)
    path = prove(tmp_path, one(tmp_path, world, lane), lane, 10)
    table = tmp_path / "eth.txt"
    table.write_bytes(audit_world.METHODS)
    assert found("check", path) == (0, set())
    assert found("check", "--methods", table, path) == (1, {("provable", "cu")})


def test_bundles_against_each_other(tmp_path, world, good):
    folder = one(tmp_path, world, good)
    first = prove(tmp_path, folder, good, 10)
    other = cut(good, 300)
    other.change(20, cu_before=5)
    second = prove(tmp_path, one(tmp_path / "b", world, other), other, 20)
    status, kinds = found("check", first, second)
    assert status == 1
    assert kinds == {("provable", "heads"), ("provable", "interval")}
    twin = cut(good, 300)
    twin.change(10, latency_us=9)
    third = prove(tmp_path / "b", one(tmp_path / "c", world, twin), twin, 10)
    assert ("provable", "two_leaves") in found("check", first, third)[1]


def test_the_parties_that_are_asked_for(tmp_path, world, good):
    path = prove(tmp_path, one(tmp_path, world, good), good, 10)
    right = ["--network", world.network.hex(), "--gateway", world.gateway.hex(), "--supplier",
             world.supplier.hex()]
    assert found("check", *right, path) == (0, set())
    for option in ("--network", "--gateway", "--supplier"):
        status, kinds = found("check", option, "11" * 32, path)
        assert (status, kinds) == (2, {("local", option[2:])})


def test_a_bundle_without_private_files_has_no_salt(tmp_path, world, good):
    lane = cut(good, 300)
    lane.salts = []
    lane.evidence = []
    path = prove(tmp_path, one(tmp_path, world, lane), lane, 10)
    assert "salt" not in json.loads(path.read_text())
    assert found("check", path) == (0, set())


def test_parts_of_a_stream_lead_to_the_next(tmp_path, world):
    lane = stream(world, [(0, 0), (1, 0), (2, 1)])
    folder = one(tmp_path, world, lane)
    nexts = [json.loads(prove(tmp_path, folder, lane, seq).read_text()).get("next")
             for seq in (2, 3, 4, 5)]
    assert nexts == [None, f"{lane.id.hex()}/4", f"{lane.id.hex()}/5", None]


# --- the command line ---


def test_usage_and_input_have_their_exit_codes(tmp_path, world, good):
    folder = one(tmp_path, world, good)
    for words in ([], ["nothing"], ["verify"], ["verify", folder, folder], ["verify", "--x", folder],
                  ["verify", "--registry", "x", folder], ["prove", folder, "00", "1"],
                  ["prove", folder, good.id.hex(), "-1"], ["check", "--supplier", "00", "x"],
                  ["check", "x", "--network"], ["session", folder, "--registry-key", "zz"]):
        assert audit(*words)[0] == 3, words
    assert audit("prove", folder, "00" * 16, "0")[0] == 4
    assert audit("prove", folder, good.id.hex(), "300")[0] == 4
    assert audit("check", tmp_path / "none.json")[0] == 4
    assert audit("verify", tmp_path / "none")[0] == 4
    status, text = audit("--help")
    assert status == 0 and "reconcile" in text
    assert audit("--version")[0] == 0


# --- stats ---

UPSTREAM, OVERLOAD = 32, 34  # wire codes (docs/errors.md)


def stats_folder(tmp_path, world):
    """Two suppliers at eth_getBalance: one answers 200 of 200, the other refuses 30 of 100."""
    fair, censor = world.lane(0), world.lane(0, supplier_seed=world.stranger_seed)
    for seq in range(200):
        fair.answer(seq)
    fair.answer(200, kind=2)                              # reverted: run, and charged
    fair.answer(201, kind=3, cu=0, status=OVERLOAD)       # no room: excused
    fair.answer(202, kind=4, stream=1)                    # a long answer, counted once
    fair.answer(203, kind=4, stream=1, part=1, flags=1)
    for seq in range(70):
        censor.answer(seq)
    for seq in range(70, 90):
        censor.answer(seq, kind=2, cu=0)
    for seq in range(90, 100):
        censor.answer(seq, kind=3, cu=0, status=UPSTREAM)
    censor.answer(100, method=2)
    for lane in (fair, censor):
        lane.final_size = len(lane.leaves)
    return fair, censor, audit_world.write(tmp_path / "stats", world, "gateway", [fair, censor])


def test_stats_names_who_refuses_with_bounds(tmp_path, world):
    fair, censor, folder = stats_folder(tmp_path, world)
    status, said = audit_json("stats", folder)
    assert status == 0 and said["report"]["status"] == "clean"
    rows = {(r["method"], r["supplier"]): r for r in said["rows"]}
    assert len(rows) == len(said["rows"]) == 3
    good, bad = (rows["eth_getBalance", x.supplier.hex()] for x in (fair, censor))
    assert (good["answers"], good["reverted"], good["errors"], good["refused"],
            good["excused"]) == (201, 1, 0, 0, 1)
    assert (good["judged"], good["unanswered"], good["apart"]) == (202, 0, False)
    assert (bad["answers"], bad["reverted"], bad["errors"], bad["refused"],
            bad["excused"]) == (70, 0, 20, 10, 0)
    assert (bad["judged"], bad["unanswered"], bad["apart"]) == (100, 30, True)
    assert bad["low"] == pytest.approx(0.2189, abs=1e-3)   # Wilson, 95 %
    assert bad["high"] == pytest.approx(0.3958, abs=1e-3)
    assert (bad["others_judged"], bad["others_unanswered"]) == (202, 0)
    alone = rows["eth_chainId", censor.supplier.hex()]
    assert alone["judged"] == 1 and not alone["apart"]


def test_stats_for_people_marks_the_same_row(tmp_path, world):
    fair, censor, folder = stats_folder(tmp_path, world)
    status, text = audit("stats", folder)
    marked = [line for line in text.splitlines() if line.startswith("!")]
    assert len(marked) == 1 and censor.supplier.hex() in marked[0] and "30.00 %" in marked[0]
    assert status == 0 and fair.supplier.hex() in text and "eth eth_getBalance" in text


def test_stats_of_an_empty_folder_is_empty(tmp_path, world):
    folder = audit_world.write(tmp_path / "none", world, "gateway", [])
    status, said = audit_json("stats", folder)
    assert status == 0 and said["rows"] == []
