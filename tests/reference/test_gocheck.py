# SPDX-License-Identifier: Apache-2.0
"""Bundles of the vectors under code that is not ours (protocol.md [N2] [N3] [N4] [T3])."""

import json
import pathlib
import random
import subprocess

import pytest

from support import gocheck, paths
from support.counts import count

VECTORS = pathlib.Path(__file__).resolve().parent.parent / "vectors"
# what notes and trees cannot know: these are about the leaf and the encodings
BEYOND = {"seq", "leaf", "request_hash", "response_hash", "status", "next"}

pytestmark = pytest.mark.skipif(gocheck.go() is None, reason="no Go: neither CF_GO nor one on PATH")


def test_go_accepts_and_refuses_the_same_bundles(tmp_path):
    cases = json.loads((VECTORS / "bundle.json").read_text())["cases"]
    accepted = 0
    for i, case in enumerate(cases):
        path = tmp_path / f"{i}.json"
        path.write_text(case["json"])
        fine, lines = gocheck.check("bundle", path)
        assert fine == (set(case["faults"]) <= BEYOND), (case["why"], lines)
        accepted += fine
    assert 0 < accepted < len(cases)


def trees(sizes):
    """What our trees of these sizes are, a line of JSON each."""
    seed = count("seed")
    done = subprocess.run([str(paths.BUILD / "tests/support/tree"), str(seed), *map(str, sizes)],
                          capture_output=True, text=True, timeout=600, check=True)
    return done.stdout


def test_go_makes_the_same_trees_proofs_and_tiles(tmp_path):
    """[T1] [T3] [T4] at the edges of subtrees and tiles, at sizes by chance, and beyond 256 tiles."""
    rng = random.Random(count("seed"))
    edges = [1, 2, 3, 4, 5, 7, 8, 9, 255, 256, 257, 511, 512, 513, 65535, 65536, 65537]
    some = [rng.randrange(1, 66000) for _ in range(count("tree_sizes"))]
    sizes = sorted({*edges, *some, 65536 + 3 * 256 + 1, rng.randrange(70000, 200000)})
    path = tmp_path / "trees.json"
    path.write_text(trees(sizes))
    fine, lines = gocheck.check("tree", path)
    assert fine and len(lines) == len(sizes), lines


def test_go_refuses_a_tree_with_one_hash_changed(tmp_path):
    """[T3] The comparison would notice: each part is changed in turn."""
    tree = json.loads(trees([300]))
    other = "A" * 43 + "="

    def changed(**parts):
        return {**tree, **parts}

    cases = [changed(root=other), changed(size=299), changed(seed=1),
             changed(tiles={**tree["tiles"], "tile/0/000": "0" * 64}),
             changed(tiles={k: v for k, v in tree["tiles"].items() if k != "tile/1/000.p/1"})]
    for name in ("inclusion", "consistency"):
        long = max(tree[name], key=lambda p: len(p["proof"]))
        for proof in ([other] + long["proof"][1:], long["proof"][:-1], long["proof"] + [other]):
            cases.append(changed(**{name: [{**long, "proof": proof}]}))
    for case in cases:
        path = tmp_path / "tree.json"
        path.write_text(json.dumps(case))
        assert not gocheck.check("tree", path)[0], case
