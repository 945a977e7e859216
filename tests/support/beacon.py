# SPDX-License-Identifier: Apache-2.0
"""Real blocks as consensus clients hold them: test data of the go-ethereum module.

Its licence is the LGPL, so they are read where Go keeps the module and are not copied into this tree.
"""

import functools
import json
import os
import pathlib
import re
import subprocess
import tempfile

import pytest

from reference.counterfoil_ref import evm
from support import paths

MODULE = "github.com/ethereum/go-ethereum"
FETCH_S = 180
# mainnet's Capella and Deneb; three of a test network's Electra
NAMES = ("capella", "deneb", "electra_consolidations", "electra_deposits", "electra_withdrawals")


def pinned():
    """Version and sum of the module: those of tests/ethclient."""
    sums = (paths.ROOT / "tests/ethclient/go.sum").read_text()
    return re.search(rf"^{re.escape(MODULE)} (v\S+) (h1:\S+)$", sums, re.MULTILINE).groups()


@functools.cache
def folder():
    """Where the files are, fetched when they are not; None without Go or its module proxy."""
    if paths.go() is None:
        return None
    version, checksum = pinned()
    with tempfile.TemporaryDirectory() as empty:
        (pathlib.Path(empty) / "go.mod").write_text("module counterfoil.invalid/none\n\ngo 1.24.0\n")
        try:
            done = subprocess.run([paths.go(), "mod", "download", "-json", f"{MODULE}@{version}"], cwd=empty,
                                  check=True, capture_output=True, text=True, timeout=FETCH_S,
                                  env={**os.environ, "GOTOOLCHAIN": "local"})
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
            return None
    module = json.loads(done.stdout)
    assert module["Sum"] == checksum
    return pathlib.Path(module["Dir"]) / "beacon/types/testdata"


def block(name):
    """One block as JSON-RPC shows it, with whole transactions; the test that wants it fails without."""
    if folder() is None:
        pytest.fail("no go-ethereum module: no Go, or no module proxy")
    return evm.block_of(json.loads((folder() / f"block_{name}.json").read_text()))
