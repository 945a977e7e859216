# SPDX-License-Identifier: Apache-2.0
"""The frames of tests/vectors/frames.json, read and written by the Python codec."""

import json
import pathlib

import pytest

from reference.counterfoil_ref import frames

TESTS = pathlib.Path(__file__).resolve().parent.parent
VECTORS = json.loads((TESTS / "vectors" / "frames.json").read_text())


@pytest.mark.parametrize("row", VECTORS["good"], ids=lambda r: r["name"])
def test_a_good_frame_is_read_and_written_again(row):
    data = bytes.fromhex(row["hex"])
    assert frames.decode(data) == (row["name"], row["stream"], row["flags"], row["fields"])
    assert frames.encode(row["name"], row["fields"], row["stream"], row["flags"]) == data


@pytest.mark.parametrize("row", VECTORS["bad"], ids=lambda r: r["why"])
def test_a_bad_frame_is_refused(row):
    with pytest.raises(frames.Refused):
        frames.decode(bytes.fromhex(row["hex"]))


def test_frames_are_split_where_they_end():
    data = b"".join(bytes.fromhex(r["hex"]) for r in VECTORS["good"])
    found, rest = frames.split(data + b"\0\0")
    assert [f.hex() for f in found] == [r["hex"] for r in VECTORS["good"]]
    assert rest == b"\0\0"
