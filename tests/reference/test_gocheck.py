# SPDX-License-Identifier: Apache-2.0
"""Bundles of the vectors under code that is not ours (protocol.md [N2] [N3] [N4] [T3])."""

import json
import pathlib

import pytest

from support import gocheck

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
