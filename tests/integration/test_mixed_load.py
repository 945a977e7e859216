# SPDX-License-Identifier: Apache-2.0
"""Mixed load while everything around it fails, by a seed: backends, nodes, gateway, registry, clients.

In the first third anything may be killed; after that the gateway and the first node live to the
end, so that what they hold can be looked at over time.  `./tests/run --soak test_mixed_load` takes
an hour; CF_COUNT_MIXED_LOAD_SECONDS and CF_COUNT_SEED run another one.
"""

import collections
import json
import time

import pytest

from support import paths
from support.backend import Backend
from support.counts import count
from support.export import audit_json, check_all, missing
from support.faults import RESPONSE_MAX, Faults
from support.mixed import SCRIPT, MixedLoad
from support.network import AS_SHIPPED, run
from support.process import wait_for
from support.watch import Watch

SECONDS = count("mixed_load_seconds")
CLIENTS = 12
# That a process may grow by, or MEMORY_SHARE of what it has.  The page caches of its ledger, 2,000 KiB
# for each connection to a file, fill as the files grow: by an hour, massif says, nothing else does.
MEMORY_KIB = 4 * 2000
MEMORY_SHARE = 0.08
FILES = 24  # kept connections to backends come and go by a dozen
LONG_S = 600  # a shorter run says nothing about memory: caches are filling

pytestmark = pytest.mark.timeout(SECONDS + 900)


class Mixed:
    """The whole run, and what is there at its end."""

    def __init__(self, network, backends):
        self.network = network
        self.load = MixedLoad(network.url, CLIENTS, count("seed"))
        self.faults = Faults(network, backends, count("seed"))
        self.lasting = [network.gateway, network.nodes[0]]

    def run(self):
        """Load and faults, then calm until every lane has its last cosignature."""
        begun = time.monotonic()
        self.load.start()
        self.faults.run(begun + SECONDS / 3)
        self.faults.spare(self.lasting)
        self.watch = Watch(self.lasting, max(0.25, SECONDS / 2000)).start()
        self.faults.run(begun + SECONDS)
        time.sleep(1.0)  # calls without a fault in sight
        self.watch.stop()
        self.load.stop()
        wait_for("every lane with its last head cosigned", self._rests, 120, 1.0)
        self.gateway, self.nodes = self.network.exports()
        return self

    def _rests(self):
        """True when nothing that was delivered waits for its cosignature."""
        lanes = [lane for node in self.network.nodes for lane in json.loads(
            run("ledger", "list", "--json", "--role", "node", "--config", node.config))]
        return all(lane["cosigned"] == lane["size"] - lane["undelivered"] for lane in lanes)


@pytest.fixture(scope="module", name="mixed")
def fixture_mixed(network_factory, folder):
    backends = [Backend(folder, f"backend{n}", SCRIPT).start() for n in range(3)]
    network = network_factory(upstreams=[b.url for b in backends], by_url=True, limits={},
                              gateway={"workers": 2, "copies": 1, **AS_SHIPPED},
                              node={"workers": 2, "response_max": f"{RESPONSE_MAX >> 20} MiB"})
    yield Mixed(network, backends).run()
    for backend in backends:
        backend.end()


@pytest.fixture(name="say")
def fixture_say(capsys):
    """Prints into the log, also when the test passes."""
    def say(*words):
        with capsys.disabled():
            print("\n   ", *words)
    return say


def test_each_answer_is_right_and_each_failure_has_its_fault(mixed, say):
    outcomes = mixed.load.outcomes()
    words = collections.Counter(o.word for o in outcomes)
    names = collections.Counter(name for _, _, name in mixed.faults.spans)
    say(f"{len(outcomes)} calls: {dict(words)}; {sum(names.values())} faults of {len(names)} kinds")
    assert words["ok"] > len(outcomes) / 2
    assert [str(o) for o in outcomes if o.word == "wrong"] == []
    assert [str(o) for o in outcomes
            if o.word != "ok" and not mixed.faults.explains(o.at, o.end)] == []
    # While the gateway lives each call gets an answer; one that has begun may break off with what is
    # behind it.
    assert [str(o) for o in outcomes if o.word == "cut" and o.kind not in ("slow", "leave")
            and not o.why.startswith("IncompleteRead") and not mixed.faults.explains_silence(o.at, o.end)] == []


def test_no_transaction_is_sent_twice(mixed):
    """Backends that were killed took their counts with them: there may be fewer, never more."""
    assert 0 < mixed.faults.sent() <= mixed.load.writes()


def test_each_receipt_is_in_both_ledgers_and_each_difference_has_a_name(mixed, say):
    """[L1] [L5] [L7] [L8] [L10]"""
    receipts = mixed.load.receipts()
    assert len(set(receipts)) == len(receipts) > 0
    assert missing(receipts, [mixed.gateway]) == []
    assert missing(receipts, mixed.nodes) == []
    check_all(mixed.gateway, mixed.nodes)
    for node in mixed.nodes:
        say(audit_json("reconcile", mixed.gateway.folder, node.folder)[1])


def test_neither_memory_nor_descriptors_grow(mixed, say):
    paths.LOGS.mkdir(parents=True, exist_ok=True)
    mixed.watch.keep(paths.LOGS)
    for process in mixed.lasting:
        memory, files = mixed.watch.memory(process), mixed.watch.files(process)
        say(f"{process.name}: {memory.first:.0f} -> {memory.last:.0f} KiB, "
            f"{files.first:.0f} -> {files.last:.0f} descriptors")
        assert files.growth <= FILES
        if SECONDS >= LONG_S and not paths.sanitized():
            assert memory.growth <= max(MEMORY_KIB, MEMORY_SHARE * memory.first)


def test_all_of_them_end_when_they_are_asked_to(mixed):
    """With 0; a build with a leak checker looks for leaks then."""
    mixed.network.stop()
