# SPDX-License-Identifier: Apache-2.0
"""`counterfoil ledger`, beside the running program and on a stopped one."""

import json
import os
import signal
import subprocess

import pytest

from support import net, paths
from support.export import Export, audit
from support.process import wait_for

CALLS = 40


@pytest.fixture(scope="module")
def network(network_factory, anvil):
    """A network that has answered some calls, all of them cosigned."""
    made = network_factory(upstreams=[anvil.url])
    made.receipts = []
    client = net.Http(made.url, 20)
    for number in range(CALLS):
        _, headers, _ = client.post(json.dumps(
            {"jsonrpc": "2.0", "id": number, "method": "eth_getBalance",
             "params": [f"0x{number:040x}", "latest"]}))
        made.receipts.append(headers["counterfoil-receipt"])
    wait_for("all cosigned", made.all_cosigned, interval=0.5)
    return made


def ledger(process, *words, status=0):
    """What `counterfoil ledger WORDS --config ...` prints; (stdout, stderr)."""
    done = subprocess.run([str(paths.COUNTERFOIL), "ledger", *map(str, words), "--config",
                           str(process.config)], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, check=False, timeout=60)
    assert done.returncode == status, f"exit {done.returncode}: {done.stdout}{done.stderr}"
    return done.stdout, done.stderr


def test_lists_and_totals_of_both_sides_agree(network):
    """Each node's totals are the gateway's with that node."""
    lanes = {lane["lane"]: lane for lane in json.loads(ledger(network.gateway, "list", "--json")[0])}
    totals = {t["supplier"]: t for t in json.loads(ledger(network.gateway, "totals", "--json")[0])}
    for node, key in zip(network.nodes, network.node_keys):
        for lane in json.loads(ledger(node, "list", "--json")[0]):
            assert lanes[lane["lane"]]["size"] == lane["size"] == lane["cosigned"]
        mine = json.loads(ledger(node, "totals", "--json")[0])
        assert [t["service"] for t in mine] in ([], ["eth"])
        for total in mine:
            assert total["uncosigned_cu"] == 0 and total["cu"] > 0
            assert {k: totals[key][k] for k in ("leaves", "cu")} == \
                {k: total[k] for k in ("leaves", "cu")}
    assert sum(t["leaves"] for t in totals.values()) >= CALLS


def test_show_takes_the_receipt_header_and_never_prints_the_salt(network):
    """[R4]"""
    receipt = network.receipts[3]
    text = "".join(ledger(network.gateway, "show", receipt))
    assert "evidence    kept" in text and "cosigned" in text
    assert receipt.split("/")[2] not in text
    shown = json.loads(ledger(network.gateway, "show", receipt, "--json")[0])
    assert shown["lane"] == receipt.split("/")[0] and shown["seq"] == int(receipt.split("/")[1])


@pytest.mark.parametrize("words, says", [
    (("show", "beef"), "32 hex digits"),
    (("show", "00" * 16), "no such lane"),
    (("lost",), "did you mean `list'"),
    (("export",), "--audit DIR"),
    (("list", "--role", "king"), "gateway or node"),
])
def test_wrong_words_are_named(network, words, says):
    """Usage is exit 3, what is not there exit 1."""
    status = 1 if says == "no such lane" else 3
    assert says in ledger(network.gateway, *words, status=status)[1]


def test_an_export_holds_private_files_only_when_asked(network):
    """[R4]: and it verifies all the same."""
    into = network.folder / "public"
    ledger(network.gateway, "export", "--audit", into)
    private = {"salts.bin", "evidence.bin", "evidence.idx"}
    assert not private & {path.name for path in into.rglob("*")}
    everything = b"".join(p.read_bytes() for p in into.rglob("*") if p.is_file())
    for receipt in network.receipts:
        salt = receipt.split("/")[2]
        assert bytes.fromhex(salt) not in everything and salt.encode() not in everything
    status, said = audit("verify", into)
    assert status == 0, said
    whole = network.folder / "private"
    ledger(network.gateway, "export", "--private", "--audit", whole)
    assert private <= {path.name for path in whole.rglob("*")}


def test_an_export_never_touches_a_folder_that_is_not_empty(network):
    """The place is taken only when it is free."""
    into = network.folder / "taken"
    into.mkdir()
    (into / "mine").write_text("kept")
    assert "is not empty" in ledger(network.gateway, "export", "--audit", into, status=1)[1]
    assert (into / "mine").read_text() == "kept"


def test_an_interrupted_export_leaves_nothing_at_its_place(network):
    """Killed at any moment, the place holds nothing or all of it."""
    for delay in (0.0, 0.005, 0.02, 0.05):
        into = network.folder / f"cut-{delay}"
        child = subprocess.Popen([str(paths.COUNTERFOIL), "ledger", "export", "--config",
                                  str(network.gateway.config), "--audit", str(into)],
                                 stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                 stderr=subprocess.DEVNULL)
        try:
            child.wait(delay)
        except subprocess.TimeoutExpired:
            os.kill(child.pid, signal.SIGKILL)
            child.wait()
        if into.exists():
            status, said = audit("verify", into)
            assert status == 0, said


def test_a_stopped_ledger_says_the_same(network):
    """Nothing of it needs the program."""
    before = [ledger(network.gateway, word, "--json")[0] for word in ("list", "totals")]
    network.stop()
    assert [ledger(network.gateway, word, "--json")[0] for word in ("list", "totals")] == before
    assert Export(network.export(network.gateway).folder).count() >= CALLS
