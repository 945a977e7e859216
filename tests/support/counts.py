# SPDX-License-Identifier: Apache-2.0
"""The counts and seeds of tests/counts.toml in the tier that runs."""

import os
import pathlib
import tomllib

_ALL = tomllib.loads((pathlib.Path(__file__).parents[1] / "counts.toml").read_text())


def count(name):
    """The count called NAME; CF_COUNT_NAME in the environment goes first."""
    column = 1 if os.environ.get("CF_SOAK") == "1" else 0
    return int(os.environ.get("CF_COUNT_" + name.upper(), _ALL[name][column]))
