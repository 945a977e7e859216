# SPDX-License-Identifier: Apache-2.0
"""Forged bundles against an honest supplier convict it never, and what it would really have done
convicts it every time ([G3] [T3] [N3] [N4] [N5] [R5] [R7])."""

import base64
import copy
import json
import struct
import subprocess

import pytest

from reference.counterfoil_ref import tree
from support import audit_world, paths
from support.counts import count
from support.forger import Forger, Honest

CHECK = paths.BUILD / "tests/support/check"


@pytest.fixture(scope="module", name="honest")
def fixture_honest():
    """Keys and lanes of the seed."""
    return Honest(count("seed"))


@pytest.fixture(scope="module", name="table")
def fixture_table(tmp_path_factory):
    """The method table, as a file."""
    path = tmp_path_factory.mktemp("table") / "eth.txt"
    path.write_bytes(audit_world.METHODS)
    return path


def judge(table, cases):
    """The line of each case: status and kinds."""
    data = b"".join(struct.pack(">I", len(case)) + b"".join(
        struct.pack(">I", len(one)) + one for one in case) for case in cases)
    done = subprocess.run([str(CHECK), str(table)], input=data, capture_output=True, timeout=600, check=False)
    lines = done.stdout.decode().splitlines()
    assert done.returncode == 0 and len(lines) == len(cases), done.stderr.decode()[-2000:]
    return lines


def encoded(*bundles):
    """As the gateway would give them."""
    return [json.dumps(one).encode() for one in bundles]


def test_right_bundles_are_clean(honest, table):
    """The forger begins with these; several of one lane agree with each other."""
    lines = judge(table, [encoded(*(honest.bundle() for _ in range(n))) for n in (1, 2, 5, 40) * 25])
    assert {line.split(" ")[0] for line in lines} == {"0"}, set(lines)


def test_forged_bundles_convict_nobody(honest, table):
    """Status 1 never; each trick was caught or harmless, and all of them were tried."""
    forger = Forger(honest)
    cases = [forger.case() for _ in range(count("forged_bundles"))]
    lines = judge(table, [case for _, case in cases])
    for (done, case), line in zip(cases, lines):
        assert line[0] in "024" and "*" not in line, (done, line, case)
    tried = {trick for done, _ in cases for trick in done}
    assert tried == {trick.__name__ for trick in forger.tricks}
    found = {kind for line in lines for kind in line.split(" ")[1:]}
    assert {"note", "supplier_signature", "gateway_signature", "inclusion", "size", "leaf", "seq",
            "request_hash", "response_hash", "status", "keys", "next", "format"} <= found


def test_forged_bundles_through_the_program(honest, table, tmp_path):
    """The same by counterfoil-audit itself."""
    forger = Forger(honest)
    for _ in range(count("forged_bundles_binary")):
        done, case = forger.case()
        names = []
        for at, one in enumerate(case):
            names.append(tmp_path / f"{at}.json")
            names[-1].write_bytes(one)
        status = subprocess.run([str(paths.AUDIT), "check", "--methods", str(table), *map(str, names)],
                                capture_output=True, check=False, timeout=60).returncode
        assert status in (0, 2, 4), (done, case)


def lied(honest, **changes):
    """A bundle of a lane in which the supplier itself signed a leaf with changes."""
    lane = copy.copy(honest.lanes[3])
    lane.leaves = list(lane.leaves)
    lane.change(20, **changes)
    hashes = tree.Tree(tree.leaf_hash(x.encode()) for x in lane.leaves)
    size = len(lane.leaves)
    return honest.bundle(3, 20, size) | {
        "leaf": lane.leaves[20].encode().hex(), "checkpoint": lane.note(size, True).decode(),
        "proof": [base64.b64encode(h).decode() for h in hashes.inclusion(20, size)]}


def test_a_gap_convicts_only_when_nothing_can_fill_it(honest, table):
    """All leaves ahead of it must be among the bundles [R7]."""
    lie = lied(honest, cu_before=honest.lanes[3].leaves[20].cu_before + 3)
    ahead = [honest.bundle(3, seq, 20) for seq in range(20)]
    without = [b for b in ahead if b["index"] != 7]
    lines = judge(table, [encoded(lie, *ahead), encoded(lie, *without), encoded(honest.bundle(3, 20, 64), *ahead)])
    assert [line.split(" ")[0] for line in lines] == ["1", "0", "0"], lines


@pytest.mark.parametrize("changes,kind", [
    ({"seq": 21}, "seq*"), ({"cu": 60}, "cu*"), ({"method": 98}, "method*"), ({"flags": 64}, "leaf*"),
    ({"kind": 0}, "leaf*"), ({"zero": 1}, "leaf*"), ({"time_ms": 1}, "two_leaves*"),
    ({"latency_us": 1}, "heads*"), ({"cu_before": 0}, "interval*")])
def test_what_it_signed_itself_convicts(honest, table, changes, kind):
    """The control: the same bundles with the supplier's own signature."""
    (line,) = judge(table, [encoded(lied(honest, **changes), honest.bundle(3, 20, 64),
                                    honest.bundle(3, 10, 64))])
    assert line[0] == "1" and kind in line.split(" ")
