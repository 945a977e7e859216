# SPDX-License-Identifier: Apache-2.0
"""What is earned is claimed, proved and paid, whatever dies in between: to the token, and once."""

import json
import subprocess
import time
from contextlib import ExitStack

import pytest

from reference.counterfoil_ref import leaf
from support import money, net, paths
from support.counts import count
from support.disk import disk_of, ledger_of
from support.load import Load
from support.process import wait_for
from support.recorded import SCRIPTS, every_answer, run_client
from support.rewards import POINTS, Rewards
from support.rewards_audit import audited, fates

CLIENTS = 2  # of each application at each gateway

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(name="rewards")
def fixture_rewards(tmp_path, anvil):
    """Makes networks that end with the test."""
    with ExitStack() as stack:
        def make(env=None, **options):
            network = Rewards(tmp_path / "network", [anvil.url], **options)
            stack.callback(network.end)
            for node in network.nodes:
                node.env.update(env or {})
            return network.start()
        yield make


def serve(network, relays, sessions=1):
    """So many relays at least, over so many sessions, of every application by every gateway."""
    with ExitStack() as stack:
        loads = [stack.enter_context(Load(url, clients=CLIENTS)) for url in network.urls()]
        wait_for("relays", lambda: sum(load.good for load in loads) >= relays and
                 all(len(load.sessions) >= sessions for load in loads), timeout=300)


def by_clients(urls, calls):
    """So many calls at least by ethers, viem and web3.py, unmodified, of every application by every gateway."""
    made, turn = 0, 0
    while made < calls or turn < len(SCRIPTS):
        name = sorted(SCRIPTS)[turn % len(SCRIPTS)]
        steps = run_client(name, urls[turn // len(SCRIPTS) % len(urls)])
        made += sum(1 for step in steps for _ in every_answer(step))
        turn += 1


def income(node):
    """What its books say of its only application."""
    args = [paths.COUNTERFOIL, "ledger", "totals", "--income", "--json", "--config", node.config]
    said = json.loads(subprocess.run(args, check=True, capture_output=True, text=True, timeout=60).stdout)
    return said[0] if said else None


def health(node):
    """What it says on /healthz."""
    return net.get(node.admin + "/healthz")[2]


@pytest.mark.timeout(1800)
def test_three_operators_are_paid_by_two_applications_at_two_gateways(rewards):
    """[C4] [C5] [C6] [C8] [C9] [C12]"""
    network = rewards(nodes=3, second=True, applications=2)
    by_clients(network.urls(), count("rewards_client_calls"))
    serve(network, count("rewards_relays"), count("rewards_sessions"))
    earned = network.all_is_paid()
    assert all(len(grants) == 4 and all(grants.values()) for grants in earned.values())
    for n in range(3):
        assert not network.lost(n)
        assert network.metric(network.nodes[n], "counterfoil_node_claim_risk") == 0
    said = audited(network)
    assert said["report"]["status"] == "clean" and set(fates(said)) <= {"paid", "undelivered"}


def test_a_node_that_dies_at_any_point_is_paid_once_for_everything(rewards):
    """Each node dies at a point of its own; a claim is carried on from there."""
    if b"COUNTERFOIL_KILL_AT" not in paths.COUNTERFOIL.read_bytes():
        pytest.skip("the points are in builds with -Dpoints=true")
    network = rewards(nodes=4)
    for first in range(0, count("rewards_points"), 4):
        points = POINTS[first:first + 4]
        for node, point in zip(network.nodes, points):
            node.stop()
            node.env["COUNTERFOIL_KILL_AT"] = point
            node.start()
            del node.env["COUNTERFOIL_KILL_AT"]
        with Load(network.url, clients=CLIENTS):
            for node, point in zip(network.nodes, points):
                wait_for(f"death at {point}", lambda node=node: not node.running(), timeout=120)
                assert node.child.returncode == -9, node.log()[-2000:]
                node.start()
        network.all_is_paid()
    # what was on its way to the gateway when the node died never got there, and is not owed
    assert all(set(network.lost(n)) <= {"undelivered"} for n in range(4))


def test_a_registry_that_is_away_for_half_a_window_costs_nothing(rewards):
    """Nodes claim over HTTP; what waits meanwhile is told, and claimed when it is back."""
    network = rewards(nodes=2, by_url=True, node={"claims.warn_percent": 1})
    with Load(network.url, clients=CLIENTS) as load:
        wait_for("relays", lambda: load.good >= count("rewards_away_relays"))
        network.keeper.kill()
        load.stop()
    wait_for("both to notice", lambda: all("claims.registry " in node.log() for node in network.nodes))
    wait_for("it to be said", lambda: b"the registry does not answer" in health(network.nodes[0]))
    time.sleep(count("rewards_away_s"))
    network.start_keeper()
    network.all_is_paid()
    for n, node in enumerate(network.nodes):
        assert "claims.registry_back" in node.log() and not network.lost(n)
        wait_for("all well", lambda node=node: health(node) == b"ok\n")


def test_a_gateway_that_vanishes_and_comes_back_late_has_cosigned_everything(rewards):
    """[L7] [L8]: nothing of what it took is lost, as long as it comes back within the window."""
    network = rewards(nodes=2, gateway={"cosign_interval": "1 min"})
    with Load(network.url, clients=CLIENTS) as load:
        wait_for("relays", lambda: load.good >= 50)
        network.gateway.kill()
    for n, node in enumerate(network.nodes):
        wait_for("it to be said", lambda node=node: b"lack the last cosigned head" in health(node))
        assert network.metric(node, "counterfoil_node_lanes_without_head") > 0
        assert not network.lost(n)
    network.gateway.start()
    earned = network.all_is_paid()
    assert sum(sum(grants.values()) for grants in earned.values()) >= 50


def test_a_gateway_that_never_comes_back_costs_what_it_had_not_cosigned(rewards):
    """[P5]: each unit is either paid or lost by name, and no more is lost than a node risks."""
    network = rewards(nodes=1, gateway={"cosign_interval": "300 ms"}, params={"claim_window": 120})
    with Load(network.url, clients=CLIENTS) as load:
        wait_for("relays", lambda: load.good >= 50)
        network.gateway.kill()
    node = network.nodes[0]
    export = network.export(node)
    served = sum(leaf.decode(data).cu for lane in export.lanes.values() for data in lane.leaves)
    tail = sum(money.unpaid(export).values())
    wait_for("an end", lambda: sum(network.paid()[network.node_keys[0]].values()) +
             sum(network.lost(0).values()) == served, timeout=120)
    lost = network.lost(0)
    assert lost["no_cosigned_head"] == tail
    assert set(lost) <= {"no_cosigned_head", "window_closed"}  # the other only where all is slow
    assert tail <= 10**6  # node.max_unpaid_cu
    assert node.running()
    told = fates(audited(network))
    assert told.get("paid", 0) == served - sum(lost.values()) and sum(told.values()) == served


def test_a_node_whose_ledger_goes_back_by_a_second_is_paid_once_for_everything(rewards):
    """A copy that is put back has neither the newest leaves nor the newest steps of its claims."""
    network = rewards(nodes=2, node={"claims.send_after": "2 s"})
    node = network.nodes[0]
    with Load(network.url, clients=CLIENTS):
        wait_for("a payment", lambda: any(row["state"] == 2 for row in network.claims()))
        for _ in range(count("rewards_set_back")):
            with disk_of(node) as restore:
                time.sleep(1.0)
                restore()
            node.start()
            node.ready(lambda: net.answers(node.admin + "/healthz"))
            wait_for("relays of its own", lambda: network.metric(node, "counterfoil_node_relays_total") >= 50)
            time.sleep(2.0)  # what it has got back by then is older than the second by which it goes back next
    network.all_is_paid()
    assert not network.lost(0) and not network.lost(1)
    assert set(fates(audited(network))) <= {"paid", "undelivered"}


@pytest.mark.parametrize("lost", ["claims.db*", "*.db*"])
def test_a_node_that_has_lost_its_books_finds_its_claims_at_the_registry(rewards, lost):
    """A claim of which the books know nothing any more is proved all the same, be it that its leaves have to come back
    from the gateway first."""
    if b"COUNTERFOIL_KILL_AT" not in paths.COUNTERFOIL.read_bytes():
        pytest.skip("the points are in builds with -Dpoints=true")
    network = rewards(nodes=1, by_url=True, env={"COUNTERFOIL_CLAIMS_ENABLED": "false"})
    node = network.nodes[0]
    serve(network, 10)
    network.earned()
    node.stop()
    assert not network.claims()
    del node.env["COUNTERFOIL_CLAIMS_ENABLED"]
    node.env["COUNTERFOIL_KILL_AT"] = "claims.recorded"
    node.start()
    wait_for("its death", lambda: not node.running(), timeout=120)
    del node.env["COUNTERFOIL_KILL_AT"]
    for file in ledger_of(node).glob(lost):
        file.unlink()
    node.start()
    serve(network, 10)
    network.all_is_paid()
    assert "claims.adopted" in node.log() and "claims.forfeited" not in node.log()
    paid = sum(network.paid()[network.node_keys[0]].values())
    said = wait_for("its books", lambda: (said := income(node)) and int(said["paid"]["value"]) == paid and said,
                    timeout=120, interval=0.5)
    assert said["unpriced_cu"] == 0 and set(said["lost_by_reason"]) <= {"undelivered"}
