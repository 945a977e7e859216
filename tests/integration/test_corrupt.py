# SPDX-License-Identifier: Apache-2.0
"""Bytes of a ledger that a disk has changed, while its program stood still or ran, by a seed.

Whatever they are, the program starts and serves, or ends with the ledger's name for it; it never
crashes, never says anything that its peers would take for a lie, and a node's trouble costs no call.
Then an older copy is put back, as an operator would, and the peers give back what it lacks.
"""

import random
import shutil
import signal

import pytest

from support import net
from support.counts import count
from support.disk import day_files, differing, eventually, heads, ledger_of
from support.export import audit_json
from support.load import Load
from support.process import wait_for

pytestmark = pytest.mark.timeout(300 + 20 * count("corrupt_rounds"))
FLIPPED = 24  # bytes, from a random place on
# A gateway that forgot a cosignature of its own agreed to a smaller end of that lane; the copy that was
# put back remembers it.  That is said by name, and convicts nobody.
FORGOTTEN = {"undelivered", "undelivered_paid", "final_differs"}


@pytest.fixture(scope="module", name="network")
def fixture_network(network_factory, anvil):
    return network_factory(upstreams=[anvil.url], stakes=(1, 1))


def targets(folder):
    """The files that a disk may change: databases and their WALs."""
    return [path for base in (*day_files(folder), folder / "state.db")
            for path in (base, base.with_name(base.name + "-wal"))
            if path.exists() and path.stat().st_size > 0]


def flip(dice, folder):
    """Changes some bytes of one file; says where."""
    path = dice.choice(targets(folder))
    at = dice.randrange(path.stat().st_size)
    with open(path, "r+b") as file:
        file.seek(at)
        old = file.read(FLIPPED)
        file.seek(at)
        file.write(bytes(byte ^ dice.randrange(1, 256) for byte in old))
    return f"{path.name} at {at}"


def comes_up(process):
    """True when it serves, False when it ended by name; AssertionError when it crashed."""
    def state():
        if not process.running():
            return "ended"
        return "serves" if net.answers(process.admin + "/healthz") else None
    if wait_for(f"{process.name} to serve or to end", state) == "serves":
        return True
    assert process.child.returncode > 0 and "ledger" in process.log().splitlines()[-1], \
        f"{process.name}: {process.child.returncode}\n{process.log()[-2000:]}"
    return False


def serve_a_while(network, victim):
    """Load over whatever is left of the victim's ledger."""
    with Load(network.url, clients=3, pause=0.005) as load:
        if victim is network.gateway:
            wait_for("some calls", lambda: load.good > 20 or len(load.answers) == 0, interval=0.1)
            net.answers(victim.admin + "/healthz")
        else:
            eventually(load, 0.3, 30)
    return load


@pytest.mark.parametrize("who", ["node", "gateway"])
def test_changed_bytes_are_named_or_harmless_and_a_copy_heals_them(network, who):
    """[L3] [L4] [L7] [L8]"""
    dice = random.Random(f"{count('seed')} corrupt {who}")
    victim = network.gateway if who == "gateway" else network.nodes[0]
    copy = victim.folder / f"{victim.name}.copy"
    for number in range(count("corrupt_rounds")):
        serve_a_while(network, network.nodes[0])
        running = number % 2 == 1
        if running:
            victim.child.send_signal(signal.SIGSTOP)
        else:
            victim.kill()
        shutil.copytree(ledger_of(victim), copy)
        where = flip(dice, ledger_of(victim))
        if running:
            victim.child.send_signal(signal.SIGCONT)
        else:
            victim.start()
        up = comes_up(victim)
        if up or who == "node":
            load = serve_a_while(network, victim)
            if who == "node":
                assert load.failed() == [], where
            else:
                assert all('"data":{"error":"ledger' in why for why in load.failed()), where
        if up:
            assert victim.running(), f"{where}: {victim.log()[-2000:]}"
        victim.kill()
        shutil.rmtree(ledger_of(victim))
        copy.rename(ledger_of(victim))
        victim.start()
        network.wait_ready(60)


def findings(verb, *exports):
    """What the auditor says of exported folders."""
    status, report = audit_json(verb, *(export.folder for export in exports))
    assert status in (0, 1), report
    return report["findings"]


def test_in_the_end_every_difference_has_a_name(network):
    """[L10]"""
    gateway, nodes = wait_for("every lane with its last head cosigned", network.settled, interval=1.0)
    found = [finding for one in (gateway, *nodes) for finding in findings("verify", one)]
    for node in nodes:
        found += findings("reconcile", gateway, node)
    assert [f for f in found if f["weight"] != "local" or f["kind"] not in FORGOTTEN] == []
    assert differing(*(heads(ledger_of(p)) for p in network.processes())) == set()
