# SPDX-License-Identifier: Apache-2.0
"""`counterfoil status`: what it says is what the programs did, and a terminal is left as it was."""

import fcntl
import json
import os
import select
import signal
import subprocess
import termios
import time

import pytest

from support import net, paths
from support.network import AS_SHIPPED
from support.process import wait_for
from support.terminal import terminal

PRICES = [1, 2, 3]
CALLS = 60


@pytest.fixture(scope="module")
def network(network_factory, anvil):
    """A network of three prices that has answered some calls, half of them from what it kept."""
    made = network_factory(upstreams=[anvil.url], prices=PRICES, session_blocks=100000,
                           gateway=AS_SHIPPED)
    client = net.Http(made.url, 20)
    for number in range(CALLS):
        status, _, _ = client.post(json.dumps({"jsonrpc": "2.0", "id": number, "method": "eth_getBlockByNumber",
                                               "params": ["0x0", number % 2 == 1]}))
        assert status == 200
    for number in range(CALLS):
        client.post(json.dumps({"jsonrpc": "2.0", "id": number, "method": "eth_getBalance",
                                "params": [f"0x{number:040x}", "0x0"]}))
    wait_for("all cosigned", made.all_cosigned, interval=0.5)
    return made


def admins(network):
    """--admin of all programs."""
    return [word for url in network.admin_urls for word in ("--admin", url)]


def status(*words, code=0):
    """(stdout, stderr)."""
    done = subprocess.run([str(paths.COUNTERFOIL), "status", *words], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == code, f"exit {done.returncode}: {done.stdout}{done.stderr}"
    return done.stdout, done.stderr


def told(network):
    """(the gateway's page, those of the nodes)."""
    gateway, *nodes = json.loads(status(*admins(network), "--json")[0])["sources"]
    return gateway, nodes


def test_spending_is_what_the_nodes_served_at_their_prices(network):
    """The application's side and the suppliers' are of the same units."""
    gateway, nodes = told(network)
    assert gateway["role"] == "gateway" and gateway["ready"] and gateway["calls"] >= 2 * CALLS
    row, = gateway["spending"]["applications"]
    assert row["application"] == network.applications[0] and row["service"] == "eth"
    spent = {}
    for session in row["sessions"]:
        assert int(session["value"]) == sum(int(s["value"]) for s in session["suppliers"])
        assert session["cu"] == sum(s["cu"] for s in session["suppliers"])
        for one in session["suppliers"]:
            assert int(one["value"]) == one["cu"] * int(one["price"])
            cu, _ = spent.get(one["supplier"], (0, 0))
            spent[one["supplier"]] = (cu + one["cu"], int(one["price"]))
    for key, node, price in zip(network.node_keys, nodes, PRICES):
        assert node["role"] == "node" and node["key"] == key
        served = sum(s["cu"] for s in node["sessions"])
        assert spent.get(key, (0, price)) == (served, price)
        assert node["cu"] == served
    assert sum(node["relays"] for node in nodes) > 0


def test_escrow_lasts_as_long_as_it_carries_the_grants(network):
    """At the present rate, to the millisecond of what the page itself tells."""
    row, = told(network)[0]["spending"]["applications"]
    left = int(row["escrow"]) - int(row["needed"])
    assert left > 0 and int(row["budget"]) > 0 and int(row["session_rate"]) > 0
    sessions = left // int(row["session_rate"])
    assert row["lasts_ms"] == min(sessions * 100000, (2**63 - 1) // 100) * 100


def test_what_was_kept_is_told_as_saved(network):
    """Each repeated call saved its units, at the mean price of those that were paid."""
    gateway, _ = told(network)
    saved, = gateway["spending"]["saved"]
    row, = gateway["spending"]["applications"]
    cu = sum(s["cu"] for s in row["sessions"])
    value = sum(int(s["value"]) for s in row["sessions"])
    assert gateway["kept"] > 0 and saved["cu"] > 0
    assert abs(int(saved["value"]) - saved["cu"] * value / cu) <= saved["cu"]


def test_people_are_told_the_same(network):
    """--once, without a terminal."""
    said, _ = status(*admins(network), "--once")
    assert said.count("\nnode at ") == 3 and said.count("\ngateway at ") == 1
    for word in ("suppliers, in the last", "spending", network.applications[0], "saved by kept",
                 ", open: ", "relays", "lasts"):
        assert word in said


def test_who_is_down_is_named_and_nobody_at_all_is_an_error(network):
    """Exit 1 only when nobody answered."""
    nowhere = f"127.0.0.1:{net.free_port()}"
    said, _ = status("--admin", nowhere, *admins(network)[:2], "--once")
    assert f"{nowhere}  DOWN" in said and "gateway at" in said
    assert "DOWN" in status("--admin", nowhere, "--once", code=1)[0]
    down, = json.loads(status("--admin", nowhere, "--json", code=1)[0])["sources"]
    assert down["admin"] == nowhere and down["error"]
    assert "milliseconds" in status("--every", "5", code=3)[1]


def read_until(master, word, seconds=60):
    """What comes on the terminal up to the word."""
    seen, until = b"", time.monotonic() + seconds
    while word not in seen and time.monotonic() < until:
        if select.select([master], [], [], 0.5)[0]:
            try:
                seen += os.read(master, 65536)
            except OSError:
                break
    assert word in seen, seen[-2000:]
    return seen


@pytest.mark.parametrize("end", ["ctrl-c", "q", "terminated"])
def test_a_terminal_is_left_as_it_was(network, tmp_path, end):
    """Ctrl-C, q and SIGTERM: the screen, the cursor and the keys come back."""
    with terminal(tmp_path / "pts") as (master, slave):
        before = termios.tcgetattr(slave)
        child = subprocess.Popen([str(paths.COUNTERFOIL), "status", *admins(network), "--every", "200"],
                                 stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
                                 preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
        try:
            seen = read_until(master, b"gateway at")
            assert b"\x1b[?1049h" in seen and b"\x1b[?25l" in seen
            read_until(master, b"\x1b[H")  # it goes on
            if end == "terminated":
                child.send_signal(signal.SIGTERM)
            else:
                os.write(master, b"\x03" if end == "ctrl-c" else b"q")
            assert b"\x1b[?25h" in read_until(master, b"\x1b[?1049l")
            assert child.wait(60) == 0
            assert termios.tcgetattr(slave) == before
        finally:
            child.kill()
            child.wait()
