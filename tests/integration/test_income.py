# SPDX-License-Identifier: Apache-2.0
"""Income, as an operator sees it: the verbs, the metrics and the status page say what the registry paid."""

import json
import subprocess

import pytest

from support import net, paths
from support.load import Load
from support.process import wait_for
from support.rewards import PRICES, Rewards

RELAYS = 60
PARTS = ("free", "at_risk", "claimable", "claimed", "paid", "lost")

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module", name="network")
def fixture_network(tmp_path_factory, anvil):
    """Two operators who were paid for all that they served."""
    network = Rewards(tmp_path_factory.mktemp("income") / "network", [anvil.url], nodes=2).start()
    try:
        with Load(network.url, clients=2) as load:
            wait_for("relays", lambda: load.good >= RELAYS and
                     all(network.metric(node, "counterfoil_node_cu_total") > 0 for node in network.nodes))
        network.earnings = network.all_is_paid()
        yield network
    finally:
        network.end()


def run(node, *words, code=0):
    """What `counterfoil WORDS --config ...` prints."""
    done = subprocess.run([str(paths.COUNTERFOIL), *map(str, words), "--config", str(node.config)],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == code, f"exit {done.returncode}: {done.stdout}{done.stderr}"
    return done.stdout + (done.stderr if code else "")


def income(node):
    """{application: its line}, once the node has heard of every payment."""
    def all_settled():
        rows = json.loads(run(node, "ledger", "totals", "--income", "--json"))
        return rows and all(row["paid"]["cu"] == row["earned"]["cu"] for row in rows) and rows
    return {row["application"]: row for row in wait_for("the last payment to be heard of", all_settled, interval=0.3)}


def test_totals_are_what_the_registry_paid(network):
    """By application, to the token; every unit in one place."""
    for key, node, price in zip(network.node_keys, network.nodes, PRICES):
        paid = {}
        for (application, _), value in network.earnings[key].items():
            paid[application] = paid.get(application, 0) + value
        rows = income(node)
        assert {application: int(row["paid"]["value"]) for application, row in rows.items()} == paid
        for row in rows.values():
            assert row["paid"]["cu"] * price == int(row["paid"]["value"])
            for unit in ("cu", "value"):
                assert sum(int(row[part][unit]) for part in PARTS) == int(row["earned"][unit])
            assert row["unpriced_cu"] == 0 and row["lost_by_reason"] == {}
        assert "paid" in run(node, "ledger", "totals")


def test_claims_are_listed_with_their_heights_and_times(network):
    """Each as the registry has it."""
    rows = {row["id"].hex(): row for row in network.claims()}
    for key, node in zip(network.node_keys, network.nodes):
        income(node)
        listed = json.loads(run(node, "claim", "list", "--json"))
        assert not listed["earned"]
        claims = {claim["claim"]: claim for claim in listed["claims"]}
        assert set(claims) == {name for name, row in rows.items() if row["supplier"].hex() == key}
        for name, claim in claims.items():
            assert claim["state"] == "paid" and claim["recorded"] == rows[name]["recorded"]
            assert claim["from"] == rows[name]["from_height"] and claim["to"] == rows[name]["to_height"]
            assert claim["recorded"] < claim["challenge"] <= claim["due"] and claim["recorded"] < claim["closes"]
            assert claim["due_time"].endswith("Z") and claim["settled_time"].endswith("Z")
        text = run(node, "claim", "list")
        assert text.count(" paid ") == len(claims)
        name, claim = next(iter(claims.items()))
        shown = json.loads(run(node, "claim", "show", name[:20], "--json"))
        assert shown["claim"] == name and shown["supplier"] == key and shown["proof_bytes"] > 0
        assert sum(int(record["value"]) for record in shown["list"]) == int(claim["value"])
        assert f"value        {claim['value']} for" in run(node, "claim", "show", name)
        assert "nothing is lost" in run(node, "claim", "list", "--lost")


def test_metrics_and_the_status_page_tell_the_same(network):
    """counterfoil_claims_*, and /admin/status."""
    for node in network.nodes:
        rows = income(node).values()
        wait_for("gauges", lambda node=node, rows=rows: network.metric(node, "counterfoil_claims_open") == 0 and
                 f'counterfoil_claims_value{{service="eth",state="paid"}} {sum(int(r["paid"]["value"]) for r in rows)}\n'
                 in net.get(node.admin + "/metrics")[2].decode(), interval=0.5)
        page = json.loads(net.get(node.admin + "/admin/status")[2])
        assert {row["application"]: row["paid"] for row in page["income"]} == \
            {row["application"]: row["paid"] for row in rows}
        assert page["claims_open"] == 0 and page["next_close"] == 0


def test_what_there_is_none_of_is_named(network):
    """A gateway has no books; a claim that is not there; wrong words."""
    assert "earns nothing" in run(network.gateway, "claim", "list", code=1)
    assert "no such claim" in run(network.nodes[0], "claim", "show", "00" * 32, code=1)
    assert "hex digits" in run(network.nodes[0], "claim", "show", "xyz", code=3)
    assert "did you mean" in run(network.nodes[0], "claim", "lst", code=3)
