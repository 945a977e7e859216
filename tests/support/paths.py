# SPDX-License-Identifier: Apache-2.0
"""Where the programs, the caches and the logs are."""

import os
import pathlib
import shutil

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("CF_BUILD", ROOT / "build")).resolve()
LOGS = pathlib.Path(os.environ.get("CF_LOGS", ROOT / "build" / "logs")).resolve()
CLIENTS = ROOT / "tests" / "clients"
ANVIL = CLIENTS / "node_modules/@foundry-rs/anvil-linux-amd64/bin/anvil"
GETH = ROOT / "tests/.cache/bin/geth"
ETHCLIENT = ROOT / "tests/.cache/bin/ethclient"
COUNTERFOIL = BUILD / "relay/cli/counterfoil"
AUDIT = BUILD / "relay/cli/counterfoil-audit"
SIMULATE = BUILD / "relay/sim/counterfoil-simulate"
BADDISK = BUILD / "tests/support/baddisk.so"
FAULTNODE = BUILD / "tests/support/faultnode"
MAKE_NETWORK = BUILD / "tests/support/make_network"


def sanitized():
    """True when the programs were built with sanitizers, which makes them slower."""
    return BUILD.name.endswith("san")


def go():
    """The go command that ./tests/run found, or the one on PATH; None without."""
    return os.environ.get("CF_GO") or shutil.which("go")
