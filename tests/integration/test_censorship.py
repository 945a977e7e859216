# SPDX-License-Identifier: Apache-2.0
"""Two of five suppliers refuse one address: no call fails, and both are named with their rates."""

import json
import subprocess
import time

import pytest

from support import net, paths
from support.backend import Backend
from support.counts import count
from support.export import audit_json
from support.process import wait_for

REFUSED = "0x" + "c0ffee" + "00" * 17
OTHERS = ["0x" + f"{n:02x}" * 20 for n in range(1, 6)]
NODES = 5


def suppliers(network):
    """The admin page."""
    status, _, body = net.get(network.gateway.admin + "/admin/suppliers")
    assert status == 200
    return json.loads(body)


@pytest.fixture(scope="module")
def network(network_factory, folder):
    """Node 0's backend has an error for whoever asks about the address, node 1's says nothing."""
    about = [{REFUSED[2:]: {"error": {"code": -32000, "message": "this address is not served"}}},
             {REFUSED[2:]: {"hang": True}}]
    backends = [Backend(folder, f"backend{n}", {"default": {"result": "0x2a"},
                                                "about": about[n] if n < len(about) else {}}).start()
                for n in range(NODES)]
    for backend in backends:
        backend.ready(lambda b=backend: net.answers(b.url + "/stats"))
    made = network_factory(upstreams=[b.url for b in backends], stakes=[1] * NODES, failover=False,
                           session_blocks=1200,
                           gateway={"deadline": "8 s", "attempts": 4, "debug": True,
                                    "head_interval": "0 s",  # these backends have no blocks
                                    "cooldown_min": "50 ms", "cooldown_max": "500 ms"})
    yield made
    for backend in backends:
        backend.end()


def refused(network):
    """{supplier: refusals} at that address; silence that another supplier ended is `late`."""
    return {r["supplier"]: r["refused"] + r["late"] for r in suppliers(network)["refusals"]
            if r["target"] == REFUSED}


@pytest.fixture(scope="module")
def asked(network):
    """The answers to calls about that address, and about others: so many at least, and until each
    of the two was asked three times; silence takes its time."""
    one = net.Http(network.url)
    answers = []

    def ask():
        for n in range(count("censored_calls")):
            for target in (REFUSED, OTHERS[n % len(OTHERS)]):
                call = [{"to": target, "data": "0x01"}, "latest"]
                answers.append(one.call("eth_call", *call)[0])
        counts = refused(network)
        return all(counts.get(key, 0) >= 3 for key in network.node_keys[:2])

    wait_for("three refusals of each", ask, interval=0.3)
    one.close()
    return answers


def test_no_call_fails(asked):
    assert len(asked) >= 2 * count("censored_calls")
    assert all(answer.get("result") == "0x2a" for answer in asked), asked


def test_both_are_named_with_their_rates(network, asked):
    page = suppliers(network)
    assert page["workers_silent"] == 0
    named = {r["supplier"]: r for r in page["refusals"] if r["target"] == REFUSED}
    for key in network.node_keys[:2]:
        row = named.pop(key)
        assert (row["service"], row["method"]) == ("eth", "eth_call")
        assert 3 <= row["refused"] + row["late"] == row["asked"], row
        assert row["rate"] == round(row["refused"] / row["asked"], 4)
        assert row["low"] <= row["rate"] <= row["high"]
    assert all(row["refused"] == 0 for row in named.values()), named
    others = [r for r in page["refusals"] if r["target"] != REFUSED and r["refused"] > 0]
    assert others == []


def test_they_are_asked_no_more_for_that_and_for_the_rest_as_before(network, asked):
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "eth_call",
                       "params": [{"to": REFUSED}, "latest"]})
    one = net.Http(network.url)
    debug = one.post(body, {"Content-Type": "application/json", "Counterfoil-Debug": "1"})[1]
    picks = debug["counterfoil-debug"]
    assert f" {network.node_keys[0][:16]}=1*0/shunned" in picks, picks
    # Each of the five is asked about other addresses, though one rests for a while after its silence.
    seen, end = set(), time.monotonic() + 120
    while len(seen) < NODES and time.monotonic() < end:
        seen.add(one.call("eth_call", {"to": OTHERS[0]}, "latest")[1]["counterfoil-supplier"])
    one.close()
    assert seen == set(network.node_keys)
    outcomes = {s["supplier"]: s["outcomes"] for s in suppliers(network)["suppliers"]}
    assert all(outcomes[key]["answer"] > 0 for key in network.node_keys), outcomes


def test_what_leaves_can_show_is_in_the_stats(network, asked):
    """An error has a leaf; silence has none: `stats` names the one, and cannot name the other."""
    status, said = audit_json("stats", network.export(network.gateway).folder)
    assert status == 0
    rows = {r["supplier"]: r for r in said["rows"] if r["method"] == "eth_call"}
    assert rows[network.node_keys[0]]["unanswered"] >= 3
    assert all(rows[key]["unanswered"] == 0 for key in network.node_keys[2:])


# --- what a dApp can do about a gateway ---

def balance(*urls):
    """What tests/clients/two_gateways.mjs reads of the refused address."""
    done = subprocess.run(["node", paths.CLIENTS / "two_gateways.mjs", *urls, REFUSED], cwd=paths.CLIENTS,
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.strip()


@pytest.fixture
def refusing(folder):
    """What stands at the URL of a gateway that serves all but one address."""
    gateway = Backend(folder, "refusing", {"default": {"result": "0x1"}}).start()
    gateway.ready(lambda: net.answers(gateway.url + "/stats"))
    yield gateway
    gateway.end()


@pytest.mark.parametrize("how", [
    {"error": {"code": -32000, "message": "not served here"}}, {"status": 403, "body": "no"}, {"hang": True}],
    ids=["an error", "HTTP 403", "silence"])
def test_a_dapp_with_two_gateways_is_not_shut_out_by_one(network, refusing, how):
    refusing.script(default={"result": "0x1"}, about={REFUSED[2:]: how})
    assert balance(refusing.url, network.url) == "42"
    assert refusing.asked("eth_getBalance") == 1


def test_a_dapp_with_its_own_gateway_asks_others_only_when_that_is_gone(network, refusing):
    """Its own first, a public one behind it."""
    assert balance(network.url, refusing.url) == "42"
    assert refusing.asked("eth_getBalance") == 0
    assert balance(f"http://127.0.0.1:{net.free_port()}", network.url) == "42"
