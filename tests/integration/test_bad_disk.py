# SPDX-License-Identifier: Apache-2.0
"""A ledger on a disk that is slow, fails, is full, or is locked by somebody, under load.

A node in trouble costs the client nothing: another is asked.  A gateway in trouble says so by name,
and goes on by itself when the disk is well again.  At the end of each story all receipts that
clients hold are in both ledgers, every difference has a name, and no two heads of a lane differ.
"""

import threading
import time

import pytest

from support import net
from support.backend import Backend
from support.counts import count
from support.disk import (EIO, ENOSPC, SLOW_MS, BadDisk, SmallDisk, day_files, differing, eventually,
                          heads, ledger_of, locked)
from support.export import audit, missing
from support.load import Load
from support.network import Network
from support.process import PATIENCE_S, wait_for

TMPFS = 320 << 20
NODES = 2
LARGE_BYTES = 300_000
SCRIPT = {"default": {"result": "0x0"}, "methods": {"debug_traceTransaction": {"size": LARGE_BYTES}}}
QUEUE_MAX = 1 << 20
LEAVES = "counterfoil_ledger_leaves_total"
TURN_BYTES = 512 << 10  # [F7]: a queue is passed by at most one turn of each link


class Story:
    """A network of which one process, `victim`, has a disk that can be made bad."""

    def __init__(self, network, victim, notebook):
        self.network, self.victim, self.notebook = network, victim, notebook
        self.disk = BadDisk(victim)
        self.is_node = victim is not network.gateway

    def load(self):
        """Clients that write each receipt down, once nothing is left of the trouble before."""
        before = self.network.metric(self.victim, LEAVES)
        wait_for("calm", lambda: all(self._answers() for _ in range(20))
                 and self.network.metric(self.victim, LEAVES) > before, interval=0.1)
        return Load(self.network.url, clients=4, pause=0.005, notebook=self.notebook)

    def _answers(self):
        time.sleep(0.01)
        return "result" in net.Http(self.network.url).call("eth_chainId")[0]

    def check(self):
        """[L1] [L3] [L4] [L10]"""
        self.gateway, self.nodes = wait_for("every lane with its last head cosigned",
                                            self.network.settled, interval=0.5)
        receipts = [line.split(" ")[0] for line in self.notebook.read_text().splitlines()]
        assert len(set(receipts)) == len(receipts) > 0
        assert missing(receipts, [self.gateway]) == []
        assert missing(receipts, self.nodes) == []
        for one in (self.gateway, *self.nodes):
            status, said = audit("verify", one.folder)
            assert status == 0, said
        for node in self.nodes:
            status, said = audit("reconcile", self.gateway.folder, node.folder)
            assert status == 0, said
        assert differing(*(heads(ledger_of(p)) for p in self.network.processes())) == set()


@pytest.fixture(scope="module", params=["node", "gateway"], name="story")
def fixture_story(request, folder, tmp_path_factory):
    backend = Backend(folder, f"backend-{request.param}", SCRIPT).start()
    network = Network(folder / request.param, upstreams=[backend.url], stakes=(1,) * NODES,
                      gateway={"workers": 2, "link.backoff_max": "500 ms"})
    victim = network.gateway if request.param == "gateway" else network.nodes[0]
    story = Story(network, victim, folder / f"notebook-{request.param}")
    small = None
    if SmallDisk.why_not(tmp_path_factory.mktemp("probe") / "disk") is None:
        small = SmallDisk(ledger_of(victim), TMPFS)
    story.small = small
    text = victim.config.read_text()
    victim.config.write_text(text.replace("ledger:\n", f"ledger:\n  queue_max: {QUEUE_MAX >> 20} MiB\n"))
    try:
        network.start()
        yield story
    finally:
        network.end()
        backend.end()
        if small:
            small.end()


def bad_while(story, *rules, says="", seconds=0.8):
    """Load before, during and after the disk is bad, until the victim's log says so; the load."""
    with story.load() as load:
        eventually(load, 0.1, 10)
        with story.disk.rules(*rules):
            time.sleep(seconds)
            wait_for(says, lambda: says in story.victim.log())
        eventually(load, 0.2, 50)
    return load


def spared(story, load):
    """What a client may see of it: nothing of a node's, and a gateway's by name."""
    if story.is_node:
        assert load.failed() == []
    assert all('"data":{"error":"ledger' in why for why in load.failed()), load.failed()[:5]


def test_a_slow_disk_slows_callers_and_loses_nothing(story):
    load = bad_while(story, f"sync * {SLOW_MS} 0")
    assert load.failed() == []


def test_what_waits_for_a_slow_disk_is_bounded_and_none_of_it_is_lost(story):
    """ledger.queue_max: a gateway reads no further, a node takes no further turn."""
    answers, stopping = [], threading.Event()

    def ask():
        client = net.Http(story.network.url, 60)
        while not stopping.is_set():
            answers.append(client.call("debug_traceTransaction")[0].get("result"))

    threads = [threading.Thread(target=ask) for _ in range(12)]
    most = 0
    with story.disk.rules("write 0*.log 120 0"):
        for thread in threads:
            thread.start()
        begun = time.monotonic()
        while time.monotonic() < begun + 1.2 or (
                time.monotonic() < begun + PATIENCE_S and not (most and len(answers) >= len(threads))):
            most = max(most, story.network.metric(story.victim, "counterfoil_ledger_queue_size_bytes"))
            time.sleep(0.02)
        stopping.set()
        for thread in threads:
            thread.join()
    assert len(answers) >= len(threads) and set(answers) == {"x" * LARGE_BYTES}
    assert 0 < most <= QUEUE_MAX + 2 * NODES * TURN_BYTES
    if not story.is_node:
        assert story.network.metric(story.victim, "counterfoil_ledger_waits_total") > 0


@pytest.mark.parametrize("where", ["leaves-*.db-wal", "state.db-wal"])
def test_a_write_that_finds_no_room_fails_by_name(story, where):
    """[L3]: the lanes of that commit are dead, and new ones are opened."""
    load = bad_while(story, f"write {where} 0 {ENOSPC}", says="database or disk is full")
    spared(story, load)


@pytest.mark.parametrize("where", ["leaves-*.db-wal", "state.db-wal"])
def test_a_sync_that_fails_is_no_promise(story, where):
    """[L1] [L3]: what an fsync did not take is never told, and that WAL is not trusted again."""
    load = bad_while(story, f"sync {where} 0 {EIO}")
    spared(story, load)


def test_evidence_without_room_is_not_kept_and_stops_nothing(story):
    load = bad_while(story, f"write 0*.log 0 {ENOSPC}", says="ledger.evidence")
    assert load.failed() == []


def test_a_keeper_that_cannot_move_pages_stops_nothing(story):
    load = bad_while(story, f"write *.db 0 {ENOSPC}")
    assert load.failed() == []


@pytest.mark.parametrize("which", ["day", "state"])
def test_a_lock_of_somebody_else_is_waited_for(story, which):
    folder = ledger_of(story.victim)
    path = day_files(folder)[-1] if which == "day" else folder / "state.db"
    with story.load() as load:
        eventually(load, 0.2, 20)
        with locked(path):
            time.sleep(count("locked_ms") / 1000)
        eventually(load, 0.2, 50)
    spared(story, load)


def test_a_full_disk_refuses_by_name_and_goes_on(story):
    """All of it at once, so that the writer meets the end of the disk before anybody has measured."""
    if story.small is None:
        pytest.skip("no tmpfs can be mounted here")
    with story.load() as load:
        eventually(load, 0.1, 10)
        with story.small.full():
            wait_for("full", lambda: "ledger.full" in story.victim.log(), interval=0.1)
            wait_for("not ready", lambda: net.get(story.victim.admin + "/readyz")[0] == 503, interval=0.1)
            time.sleep(0.5)
        wait_for("room", lambda: "ledger.room" in story.victim.log(), interval=0.1)
        eventually(load, 0.2, 50)
    spared(story, load)


def test_all_is_accounted_for(story):
    story.check()


# -- the registry


def test_a_keeper_whose_disk_is_full_says_so_and_when_it_keeps_again(folder, anvil):
    network = Network(folder / "keeper", upstreams=[anvil.url], stakes=(1,))
    disk = BadDisk(network.keeper)
    try:
        network.start()
        with disk.rules(f"write registry.db* 0 {ENOSPC}"):
            wait_for("its error", lambda: "error registry.keeper " in network.keeper.log())
            assert net.answers(network.registry_url)
        assert "disk is full" in network.keeper.log()
        wait_for("its end", lambda: "registry.kept failed=" in network.keeper.log())
    finally:
        network.end()
