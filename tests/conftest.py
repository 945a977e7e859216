# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the integration tests: chains, networks, folders; logs of what failed."""

import shutil

import pytest

from support import paths
from support.anvil import Anvil
from support.network import Network

_failed = set()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """Remembers which module had a failure, so that its logs are kept."""
    outcome = yield
    if outcome.get_result().failed:
        _failed.add(item.module.__name__)


@pytest.fixture(scope="module")
def folder(request, tmp_path_factory):
    """A folder for a module's programs; its logs go to build/logs when a test of it failed."""
    made = tmp_path_factory.mktemp("cf")
    yield made
    if request.module.__name__ in _failed:
        kept = paths.LOGS / request.module.__name__.rpartition(".")[2]
        shutil.rmtree(kept, ignore_errors=True)
        kept.mkdir(parents=True)
        for log in made.rglob("*.log"):
            shutil.copy(log, kept / "-".join(log.relative_to(made).parts))
    shutil.rmtree(made, ignore_errors=True)


@pytest.fixture(scope="module")
def anvil_factory(folder):
    """Starts chains that end with the module; the arguments are words for anvil."""
    chains = []

    def start(*words):
        chains.append(Anvil(folder, f"anvil{len(chains)}", words).start())
        return chains[-1]

    yield start
    for chain in chains:
        chain.end()


@pytest.fixture(scope="module")
def anvil(anvil_factory):
    """One chain."""
    return anvil_factory()


@pytest.fixture(scope="module")
def network_factory(folder):
    """Starts networks that end with the module; the arguments are those of Network, and
    start=False for one that is only made."""
    networks = []

    def make(start=True, **arguments):
        networks.append(Network(folder / f"network{len(networks)}", **arguments))
        return networks[-1].start() if start else networks[-1]

    yield make
    for network in networks:
        network.end()
