# SPDX-License-Identifier: Apache-2.0
"""Several workers in gateway and nodes: links are spread over them, and sessions roll over, nodes
restart and die while all of them are busy.  The `tsan` step runs this file too."""

import json
import os
import pathlib
import socket
import threading
import time

from support import net
from support.counts import count
from support.export import check_all, missing
from support.load import Load
from support.network import AS_SHIPPED
from support.process import wait_for
from support.watch import nothing_left_behind, opened

WORKERS = {"workers": 2}
UNPAID_MAX = 160000  # CU; of a gateway that has not cosigned yet 1/16 [P5]
BALANCE_CU = 20


def links_by_worker(network, node):
    """Links of each worker of a node."""
    text = net.get(node.admin + "/metrics")[2].decode()
    return [float(line.rpartition(" ")[2]) for line in text.splitlines()
            if line.startswith("counterfoil_node_worker_links{")]


def is_back(network, node):
    """True when a node that was started again has a link for each worker, none left over."""
    return (net.answers(node.admin + "/readyz") and links_by_worker(network, node) == [1, 1]
            and network.metric(node, "counterfoil_link_open") == 2)


def test_workers_share_sessions_restarts_and_crashes(network_factory, anvil):
    """[F1] [L7] [L8]"""
    network = network_factory(upstreams=[anvil.url], stakes=(1, 1), block_ms=100,
                              session_blocks=10, gateway=WORKERS, node=WORKERS)
    first, second = network.nodes
    for node in network.nodes:
        wait_for("a link for each worker", lambda node=node: is_back(network, node))
    sessions = count("workers_sessions")
    with Load(network.url, clients=8) as load:
        time.sleep(sessions / 2)
        wait_for("each client's connection", lambda: len(load.answered) == load.clients)
        sockets = opened(network.gateway.pid)["socket"]
        assert first.stop() == 0
        first.start()
        wait_for("it is back after a stop", lambda: is_back(network, first))
        second.kill()
        second.start()
        wait_for("it is back after a crash", lambda: is_back(network, second))
        time.sleep(sessions / 2)
        nothing_left_behind(network.gateway, sockets, WORKERS["workers"])
        wait_for("each of the sessions", lambda: len(load.sessions) >= sessions)
        for node in network.nodes:
            assert network.metric(node, "counterfoil_node_relays_total") > 0
    assert load.failed() == []
    def rest():
        gateway, nodes = network.exports()
        for lane in (lane for node in nodes for lane in node.lanes.values()):
            undelivered = sum(to - start for start, to in lane.undelivered)
            if lane.final_size() != len(lane.leaves) - undelivered:
                return False
        return gateway, nodes
    gateway, nodes = wait_for("every lane with its last head cosigned", rest, interval=1.0)
    receipts = [a.receipt for a in load.answers]
    assert len(set(receipts)) == len(receipts)
    assert missing(receipts, [gateway]) == []
    assert missing(receipts, nodes) == []
    check_all(gateway, nodes)
    network.stop()


def test_workers_cosign_before_their_node_refuses_what_they_owe_together(network_factory, anvil):
    """[P5]"""
    network = network_factory(upstreams=[anvil.url], stakes=(1,),
                              gateway={"workers": 4, "cosign_interval": "1 min"},
                              node={"max_unpaid_cu": UNPAID_MAX})
    clients = [net.Http(network.url) for _ in range(16)]
    for turn in range(2 * UNPAID_MAX // 16 // BALANCE_CU // len(clients)):
        for number, client in enumerate(clients):
            answer, _ = client.call("eth_getBalance", f"0x{turn:020x}{number:020x}", "latest")
            assert "error" not in answer, (turn, number, answer)
    network.stop()


def test_workers_give_the_same_kept_answers(network_factory, anvil):
    """[G6]: as it is shipped, while the chain grows and all ask the same at once."""
    network = network_factory(upstreams=[anvil.url], stakes=(1, 1), node=WORKERS,
                              gateway={**WORKERS, **AS_SHIPPED, "head_interval": "100 ms"})
    for _ in range(3):
        net.result(anvil.url, "anvil_mine", "0x2")
    blocks = [net.result(anvil.url, "eth_getBlockByNumber", hex(n), False) for n in range(1, 5)]
    asked = [("eth_chainId",), ("net_version",), *(("eth_getBlockByHash", b["hash"], False) for b in blocks),
             *(("eth_getBlockByNumber", b["number"], False) for b in blocks),
             *(("eth_getBalance", "0x" + "ab" * 20, {"blockHash": b["hash"]}) for b in blocks)]
    told = [net.result(anvil.url, *call) for call in asked]
    stopping, wrong = threading.Event(), []

    def ask(number):
        client, turn = net.Http(network.url, timeout=60), number
        while not stopping.is_set():
            turn += 1
            answer, _ = client.call(*asked[turn % len(asked)])
            if answer.get("result") != told[turn % len(asked)]:
                wrong.append((asked[turn % len(asked)], answer))
            client.call("eth_getBalance", "0x" + "cd" * 20, "latest")  # so that the head is known

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    hits = "counterfoil_gateway_cache_hits_total"
    for _ in range(5):
        before = network.metric(network.gateway, hits)
        net.result(anvil.url, "anvil_mine", "0x1")
        wait_for("kept answers under the new head", lambda before=before:
                 network.metric(network.gateway, hits) > before + 20)
    stopping.set()
    for thread in threads:
        thread.join()
    assert wrong == []
    network.stop()


def whole_page(network):
    """/admin/suppliers with the part of every worker; else None."""
    page = json.loads(net.get(network.gateway.admin + "/admin/suppliers")[2])
    return page if page["workers_silent"] == 0 else None


def answers_of(page):
    """All answers that a page tells of; None: it is not whole."""
    return page and sum(s["outcomes"]["answer"] for s in page["suppliers"])


def test_the_page_of_suppliers_adds_up_what_busy_workers_have_seen(network_factory, anvil):
    network = network_factory(upstreams=[anvil.url], node=WORKERS,
                              gateway=WORKERS | {"quality_window": "1 h"})
    with Load(network.url, clients=4):
        for _ in range(20):
            page = json.loads(net.get(network.gateway.admin + "/admin/suppliers")[2])
            assert page["workers"] == 2 and page["workers_silent"] <= 2
    page = wait_for("the part of each worker", lambda: whole_page(network))
    assert {s["supplier"] for s in page["suppliers"]} == set(network.node_keys)
    for supplier in page["suppliers"]:
        assert [w["worker"] for w in supplier["workers"]] == [0, 1]
        assert all(0 <= w["health"] <= 256 for w in supplier["workers"])
    # The gateway itself goes on asking for heads: page and metrics agree between two of these.
    wait_for("the sum of the metric", lambda: answers_of(whole_page(network)) == sum(
        float(line.rpartition(" ")[2])
        for line in net.get(network.gateway.admin + "/metrics")[2].decode().splitlines()
        if line.startswith("counterfoil_gateway_outcomes_total{") and 'outcome="answer"' in line))
    network.stop()


def test_workers_of_a_gateway_share_a_unix_socket(network_factory, anvil):
    path = pathlib.Path(f"/tmp/counterfoil-test-{os.getpid()}.sock")
    network = network_factory(upstreams=[anvil.url], stakes=(1,), start=False,
                              gateway={"workers": 3, "listen": f"unix:{path}"})
    for process in (network.keeper, *network.nodes, network.gateway):
        process.start()
    for process in network.processes():
        process.ready(lambda process=process: net.answers(process.admin + "/readyz"))
    listening = [line for line in pathlib.Path("/proc/net/unix").read_text().splitlines()
                 if line.endswith(str(path)) and line.split()[5] == "01"]
    assert len(listening) == 1, "one socket, that all workers listen on"
    for _ in range(12):
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
            body = b'{"jsonrpc":"2.0","id":1,"method":"eth_chainId"}'
            client.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b"
                           % (len(body), body))
            assert b'"0x7a69"' in client.recv(65536)
    network.stop()


def test_a_new_gateway_at_full_speed_is_slowed_and_not_refused(network_factory, anvil):
    """[P5]"""
    network = network_factory(upstreams=[anvil.url], stakes=(1,), gateway=WORKERS, node=WORKERS
                              | {"max_unpaid_cu": UNPAID_MAX})
    with Load(network.url, clients=32) as load:
        wait_for("more than it may owe at first", lambda: network.metric(
            network.nodes[0], "counterfoil_node_cu_total") > UNPAID_MAX // 2)
    assert load.failed() == []
