# SPDX-License-Identifier: Apache-2.0
"""Builds and runs tests/gocheck: receipts and exported folders checked by Go's sumdb packages and
transparency-dev's cosignature verifier, none of which is ours."""

import os
import pathlib
import shutil
import subprocess
import tempfile

SOURCE = pathlib.Path(__file__).resolve().parent.parent / "gocheck"
_built = None


def go():
    """The Go to use: the test runner's choice, else the one on PATH; None when there is none."""
    return os.environ.get("CF_GO") or shutil.which("go")


def build():
    """The path of the program, built once in a process.  Needs go() and its module proxy."""
    global _built
    if _built is None:
        path = pathlib.Path(tempfile.mkdtemp(prefix="cf-gocheck-")) / "gocheck"
        done = subprocess.run(
            [go(), "build", "-o", str(path), "."], cwd=SOURCE, capture_output=True, text=True,
            env={**os.environ, "GOTOOLCHAIN": "local", "GOFLAGS": "-buildvcs=false"})
        assert done.returncode == 0, done.stdout + done.stderr
        _built = path
    return _built


def check(what, *paths):
    """what: "bundle", "folder" or "tree".  Returns (all fine, the lines printed)."""
    done = subprocess.run([str(build()), what, *map(str, paths)], capture_output=True, text=True)
    assert done.returncode in (0, 1), done.stderr
    return done.returncode == 0, done.stdout.splitlines()
