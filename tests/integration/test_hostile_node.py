# SPDX-License-Identifier: Apache-2.0
"""Suppliers that break the rules in turn beside honest nodes (tests/hostile.toml): the dApp gets the
right answer from another, the liar is dropped for the session, log and metrics name it, and what
its own signatures prove is kept."""

import base64
import hashlib
import json
import re
import subprocess
import time

import pytest

from support import net, paths
from support.attacks_on_gateway import ATTACKS, ATTEMPT_S, WRONG
from support.export import Export, audit, audit_json, missing
from support.hostile import cases
from support.load import Load
from support.network import Network, run
from support.peer_lane import Book
from support.peer_supplier import Supplier
from support.process import Process, wait_for

CASES = cases("gateway")
HONEST_STAKE = 15
ATTEMPTS = 24  # the most there can be: a call that one liar after another spoils is still answered
CALLS = 500
RIGHT = "0x0"


class World:
    """Two honest nodes, and a supplier for each case."""

    def __init__(self, folder):
        port = net.free_port()
        self.backend = Process("backend", [paths.FAULTNODE, port], folder).start()
        self.suppliers = {name: Supplier(hashlib.sha256(name.encode()).digest(), ATTACKS[name](), RIGHT)
                          for name in ATTACKS}
        self.network = Network(
            folder / "network", [f"http://127.0.0.1:{port}"], stakes=(HONEST_STAKE, HONEST_STAKE),
            block_ms=200, session_blocks=15, session_suppliers=64,
            guests=[(s.me.hex, s.port, s.behaviour.stake) for s in self.suppliers.values()],
            gateway={"attempts": ATTEMPTS, "deadline": f"{ATTEMPTS * ATTEMPT_S} s",
                     "hedge_percent": 0, "head_interval": "0 s"})
        self.network.start_keeper()
        wait_for("the backend", lambda: net.answers(f"http://127.0.0.1:{port}/stats"))
        client = net.Http(f"http://127.0.0.1:{port}")
        client.request("PUT", "/script", json.dumps({"default": {"result": RIGHT}}).encode())
        client.close()
        self.book = Book(self.network)
        for supplier in self.suppliers.values():
            supplier.start(self.book)
        self.network.start()
        self.notebook = folder / "notebook"

    def play(self, timeout):
        """Calls until every supplier has had its chance and what followed, and CALLS at least."""
        def done():
            return load.good > CALLS and all(
                s.behaviour.at and time.monotonic() > s.behaviour.at + 1.0 for s in self.suppliers.values())
        with Load(self.network.url, clients=8, notebook=self.notebook) as load:
            self.load = load
            try:
                wait_for("every case to be played", done, timeout, 0.2)
            except AssertionError as error:
                left = [n for n, s in self.suppliers.items() if not s.behaviour.at]
                raise AssertionError(f"{error}: {load.good} calls, without {left}") from None
            time.sleep(1.5)

    def end(self):
        """Stops all."""
        for supplier in self.suppliers.values():
            supplier.stopping = True
        self.network.end()
        for supplier in self.suppliers.values():
            supplier.stop()
        self.backend.end()

    def metric(self, name, label):
        """One value of a metric of the gateway."""
        text = net.get(self.network.gateway.admin + "/metrics")[2].decode()
        return sum(float(line.rpartition(" ")[2]) for line in text.splitlines()
                   if line.startswith(name + "{") and label in line)

    def lines(self, event, supplier):
        """What the gateway's log says of an event with a supplier."""
        return [line for line in self.network.gateway.log().splitlines()
                if f" {event} " in line and f"supplier={supplier.me.hex}" in line]


@pytest.fixture(scope="module", name="world")
def fixture_world(folder):
    """All cases at once, while a dApp calls."""
    world = World(folder)
    try:
        world.play(300)
        yield world
    finally:
        world.end()


def reasons(lines):
    """The reason=... of log lines, but where the gateway left a link by itself: no session needed it."""
    found = [re.search(r"reason=(\w+)", line).group(1) for line in lines]
    return [reason for reason in found if reason != "local"]


def broken_off(supplier):
    """The ends of its links, but of those that no session needed any more."""
    return [end for end in supplier.ends if end[1] != "not_member"]


def followed(world, supplier, then):
    """True when what is to follow a lie is there to be looked at."""
    if then[0] == "fault":
        return world.lines("gateway.fault", supplier)
    if then[0] == "close" and not hasattr(supplier.behaviour, "changes"):
        return then[1] in reasons(world.lines("gateway.link_down", supplier))
    return then[0] != "close" or supplier.ends


@pytest.mark.parametrize("name", CASES)
def test_a_supplier_that_breaks_a_rule(world, name):
    """What `then` says, in log and metric."""
    supplier, then = world.suppliers[name], CASES[name]["then"].split()
    assert supplier.broken == []
    wait_for("what follows", lambda: followed(world, supplier, then))
    faults = world.lines("gateway.fault", supplier)
    if then[0] == "fault":
        assert len(faults) == 1 and f"kind={then[1]} " in faults[0], faults
        assert world.metric("counterfoil_gateway_faults_total", f'result="{then[2]}"') > 0
        assert dropped(supplier)
        return
    assert faults == []
    if then[0] == "close" and hasattr(supplier.behaviour, "changes"):
        assert supplier.ends[0][1] == then[1], supplier.ends[0]
        assert world.metric("counterfoil_link_closed_total", f'reason="{then[1]}"') > 0
    elif then[0] == "close":
        assert then[1] in reasons(world.lines("gateway.link_down", supplier))[:2]
        assert world.metric("counterfoil_link_closed_total", f'reason="{then[1]}"') > 0
    elif then[0] == "retry":
        assert world.metric("counterfoil_gateway_retries_total", f'result="{then[1]}"') > 0
        assert broken_off(supplier) == []
    else:
        assert then == ["ignored"] and broken_off(supplier) == []


def dropped(supplier):
    """True when no relay of that session came on a link after the one on which the lie was told."""
    lied = supplier.behaviour.lied
    return [r for r in supplier.relays if r.session == lied.session and r.link > lied.link] == []


def test_every_case_is_played():
    """The table and the attacks name the same."""
    assert set(CASES) == set(ATTACKS)


def test_the_dapp_got_the_right_answer_every_time(world):
    """[E5]: never the liars' 0xbad, and no call failed."""
    assert world.load.failed() == [] and len(world.load.answers) > CALLS


# --- what is kept, and what it proves ---

PROVES = {  # of provable faults: the finding that convicts
    "skipped_seq": "seq", "gap_in_an_interval": "interval", "overlap_of_an_interval": "interval",
    "cu_that_overflow": "leaf", "cu_above_the_table": "cu", "later_part_above_its_price": "cu"}
TWO_HEADS = "seq_that_is_used_twice"


def kept(world, name):
    """(lane, first) of the fault that was kept of a case; None."""
    (line,) = world.lines("gateway.fault", world.suppliers[name])
    found = re.search(r"lane=(\w+) first=(\d+) .* kept=1 ", line)
    return (found.group(1), int(found.group(2))) if found else None


@pytest.fixture(scope="module", name="folders")
def fixture_folders(world):
    """(the gateway's export, the one of its faults)."""
    network = world.network
    faults = network.folder / "faults"
    run("ledger", "export", "--config", network.gateway.config, "--faults", "--audit", faults)
    return network.export(network.gateway).folder, faults


def proved(folder, lane, seq, into):
    """The path of a bundle made from a folder."""
    done = subprocess.run([paths.AUDIT, "prove", folder, lane, str(seq)], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    into.write_bytes(done.stdout)
    return into


def faults_of(weight):
    """The cases whose batch came under a signed head."""
    return [name for name, case in CASES.items() if case["then"].startswith(f"fault {weight}")]


@pytest.mark.parametrize("name", faults_of("provable"))
def test_a_provable_fault_is_kept_and_convicts(world, folders, tmp_path, name):
    """`verify` of the folder and `check` of bundles: status 1, by what the supplier signed."""
    lane, first = kept(world, name)
    folder, faults = folders
    _, said = audit_json("verify", faults)
    found = {f["kind"] for f in said["findings"] if f["weight"] == "provable" and f.get("lane") == lane}
    kind = PROVES.get(name, "leaf")
    assert kind in found or name == TWO_HEADS, said
    bundles = [proved(faults, lane, first, tmp_path / "lie.json")]
    if kind == "interval":  # all that is ahead of it
        bundles += [proved(faults, lane, seq, tmp_path / f"{seq}.json") for seq in range(first)]
    if name == TWO_HEADS:
        bundles.append(proved(folder, lane, first, tmp_path / "before.json"))
        kind = "heads"
    status, said = audit_json("check", "--methods", faults / "methods/eth.txt", *bundles)
    assert status == 1 and kind in {f["kind"] for f in said["findings"]}, said


def test_a_local_fault_convicts_nobody(world, folders, tmp_path):
    """Status 2 at most, of the folder's lanes and of bundles with the bytes that came."""
    _, faults = folders
    _, said = audit_json("verify", faults)
    # That a part is missing between two that are signed shows in the lane, not in the batch alone.
    convicted = {f.get("lane") for f in said["findings"]
                 if f["weight"] == "provable" and f["kind"] != "stream"}
    judged = 0
    for name in faults_of("local"):
        place = kept(world, name)
        if place is None:
            continue  # nobody signed it
        assert place[0] not in convicted, name
        done = subprocess.run([paths.AUDIT, "prove", faults, place[0], str(place[1])],
                              capture_output=True, check=False)
        if done.returncode == 0:
            bundle = tmp_path / f"{name}.json"
            bundle.write_bytes(done.stdout)
            assert audit("check", "--methods", faults / "methods/eth.txt", bundle)[0] in (0, 2), name
            judged += 1
    assert judged > 10


def test_a_changed_answer_is_one_partys_word(world, folders, tmp_path):
    """The leaf is right; that other bytes came with it is the gateway's word [R3]."""
    _, faults = folders
    supplier = world.suppliers["answer_of_other_bytes"]
    lane, first = kept(world, "answer_of_other_bytes")
    bundle = json.loads(proved(faults, lane, first, tmp_path / "lie.json").read_text())
    bundle["salt"] = supplier.lanes[lane].salts[first].hex()
    bundle["response"] = base64.b64encode(WRONG).decode()
    (tmp_path / "lie.json").write_text(json.dumps(bundle))
    status, said = audit_json("check", tmp_path / "lie.json")
    assert status == 2 and [(f["weight"], f["kind"]) for f in said["findings"]] == [("local", "response_hash")]


def test_the_ordinary_export_is_clean(world, folders):
    """[L10]: what was not accepted is no part of any lane."""
    network = world.network
    assert network.metric(network.gateway, "counterfoil_gateway_faults_kept_total") > 20
    for verb in ("verify", "session"):
        status, said = audit(verb, folders[0])
        assert status == 0, said
    receipts = [line.split(" ")[0] for line in world.notebook.read_text().split("\n")[:-1]]
    assert len(receipts) > CALLS and missing(receipts, [Export(folders[0])]) == []
