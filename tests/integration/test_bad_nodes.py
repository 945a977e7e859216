# SPDX-License-Identifier: Apache-2.0
"""Five suppliers of five owners, of whom none is good: one is killed, one is a black hole, one is 50 blocks
behind, one has errors and nulls, one lies in each tenth answer.  Each answer is compared with an untouched
chain at the block of its receipt.  ./tests/run --soak test_bad_nodes: 100,000 calls by wrk, 5,000 by viem."""

import os
import signal
import subprocess
import time

import pytest

from support import net, paths
from support.anvil import Anvil
from support.counts import count
from support.growing import Growing
from support.judge import Judge
from support.liar import Anywhere, Liar, Useless, untrue
from support.network import PATIENT
from support.process import wait_for
from support.proxy import Proxy

NODES = 5
BEHIND = 50
LIES_EVERY = 10
CONNECTIONS = 8
CALLS, VIEM_CALLS = count("bad_nodes_calls"), count("bad_nodes_viem")
TIMED = CALLS >= 10_000  # fewer say little about one in a hundred
SLOWER = 3  # times the p99 of the same network in good health
BLOCK_S = 1.0
HELD_UP = 0.1  # of the answers of the short run; see assert_good()

pytestmark = pytest.mark.timeout(600 + CALLS // 20)


class World:
    """The chain, its twin, the backends and the network."""

    def __init__(self, network_factory, folder, anvils):
        self.folder = folder
        self.growing = Growing(anvils, BEHIND, folder / "questions", BLOCK_S, count("seed"))
        url = self.growing.truth.url
        self.late = Proxy(url)
        self.useless = Useless(url, count("seed"))
        self.liar = Liar(url, lambda _, result: result, LIES_EVERY)
        self.backends = [Proxy(url), Proxy(url), self.late, self.useless, self.liar]
        self.network = network_factory(
            upstreams=[one.url for one in self.backends], stakes=(1,) * NODES, failover=False,
            session_blocks=100, limits={} if TIMED else PATIENT,
            gateway={"share": True, "cache_bytes": "64 MiB"})
        self.killed, self.hole = self.network.nodes[:2]
        self.judged = {}

    def judge(self, name, path):
        """What the answers are worth, kept under a name."""
        export = self.network.export(self.network.gateway)
        self.judged[name] = Judge(self.growing, export).all_of(path)
        return self.judged[name]

    def fall_behind(self):
        """One is 50 blocks behind from now on, and known to be."""
        self.late.behind = self.growing.late.url
        self.wait_for_heads(3)

    def wait_for_heads(self, blocks):
        """Calls for the head until so many blocks have come: all suppliers are asked for theirs each time."""
        top = self.growing.truth.height + blocks
        client = net.Http(self.network.url)

        def seen():
            answer, _ = client.call("eth_blockNumber")
            return int(answer["result"], 16) >= top

        wait_for("new heads", seen, interval=0.1)
        client.close()

    def spoil(self):
        """From now on nobody is good."""
        self.killed.kill()
        os.kill(self.hole.pid, signal.SIGSTOP)
        self.useless.useless = True
        self.liar.lie = untrue

    def by_wrk(self, name, calls, meanwhile=lambda: None):
        """So many calls by wrk, and what its answers are worth."""
        path = self.folder / f"{name}.answers"
        env = os.environ | {"CF_QUESTIONS": str(self.growing.folder / "questions"), "CF_ANSWERS": str(path),
                            "CF_CALLS": str(calls), "CF_SEED": str(count("seed"))}
        with subprocess.Popen(["wrk", "-t1", f"-c{CONNECTIONS}", "-d86400s", "--timeout", "60s", "-s",
                               paths.ROOT / "tests/support/traffic.lua", self.network.url],
                              env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as wrk:
            meanwhile()
            said, _ = wrk.communicate()
        assert wrk.returncode == 0 and '"failed":0' in said, said
        judged = self.judge(name, path)
        assert judged.words.total() == calls
        return judged

    def by_viem(self, name, calls):
        """The same by viem."""
        path = self.folder / f"{name}.answers"
        done = subprocess.run(["node", "mixed_viem.mjs", self.network.url, self.growing.folder / "questions",
                               str(calls), path], cwd=paths.CLIENTS, stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-4000:]
        judged = self.judge(name, path)
        assert judged.words.total() >= calls
        return judged


@pytest.fixture(scope="module", name="world")
def fixture_world(network_factory, folder):
    anvils = [Anvil(folder, name, ["--order", "fifo"]).start() for name in ("truth", "late")]
    world = World(network_factory, folder, anvils)
    with world.growing:
        yield world
    if world.hole.running():
        os.kill(world.hole.pid, signal.SIGCONT)
    for one in [*world.backends, *anvils]:
        one.end()


@pytest.fixture(name="say")
def fixture_say(capsys):
    """Prints into the log, also when the test passes."""
    def say(name, judged, *more):
        with capsys.disabled():
            print(f"\n    {name}: {dict(judged.words)}, p50 {judged.quantile_ms(0.5):.1f} ms, "
                  f"p99 {judged.quantile_ms(0.99):.1f} ms", *more)
    return say


def assert_good(judged, share=0.0):
    """No answer is wrong, no call failed, and no height was below one that was told before.  share: of
    the answers may be otherwise, on a machine that is held up for so long that the one supplier that is left
    counts as silent, too."""
    assert len(judged.complaints) <= share * judged.words.total(), judged.complaints[:20]
    assert share or judged.steps_back() == []


@pytest.fixture(scope="module", name="healthy")
def fixture_healthy(world):
    """What the network is like while all are good."""
    return world.by_wrk("healthy", CALLS // 3)


def test_all_is_right_while_all_are_good(healthy, say):
    say("healthy", healthy)
    assert_good(healthy)


def test_none_is_wrong_and_none_fails_while_none_is_good(world, healthy, say):
    world.fall_behind()
    bad = world.by_wrk("bad", CALLS, world.spoil)
    slower = bad.quantile_ms(0.99) / healthy.quantile_ms(0.99)
    say("bad", bad, f"({slower:.2f} times), {world.liar.lies} lies, {world.useless.asked} errors and nulls")
    assert_good(bad, 0 if TIMED else HELD_UP)
    assert world.liar.lies > 0 and world.useless.asked > 0
    assert not TIMED or slower <= SLOWER


def test_the_same_by_viem(world, say):
    judged = world.by_viem("viem", VIEM_CALLS)
    say("viem", judged)
    assert_good(judged, 0 if TIMED else HELD_UP)


def test_lies_anywhere_are_counted(world, say):
    """Of what no hash covers one supplier's word is taken: this is how much of it was wrong."""
    before, world.liar.lie = world.liar.lies, Anywhere(count("seed"))
    judged = world.by_wrk("anywhere", CALLS // 5)
    say("lies anywhere", judged, f"{world.liar.lies - before} lies")
    assert judged.words["right"] > judged.words.total() / 2
