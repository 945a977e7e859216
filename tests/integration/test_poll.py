# SPDX-License-Identifier: Apache-2.0
"""Filters are the gateway's own: they outlive nodes and sessions, and tell what a reorganisation removes."""

import json
import re
import subprocess
import sys
from concurrent import futures

import pytest
from web3 import HTTPProvider, Web3

from support import net, paths
from support.emitter import Emitter, mine, topic_of
from support.network import Network
from support.process import PATIENCE_S, wait_for

RECEIPT = re.compile(r"[0-9a-f]{32}/\d+/[0-9a-f]{32}")
WATCHERS = {"viem": ["node", "watch_viem.mjs"], "ethers": ["node", "watch_ethers.mjs"],
            "web3.py": [sys.executable, "watch_web3py.py"]}


@pytest.fixture(scope="module", name="world")
def fixture_world(folder, anvil_factory):
    """(chain, emitter, network) of three nodes and a gateway of two workers."""
    chain = anvil_factory()
    emitter = Emitter(chain.url)
    network = Network(folder / "net", [chain.url], block_ms=100, session_blocks=20, gateway={
        "workers": 2, "filter_bytes_max": "16 KiB"})
    network.start()
    yield chain, emitter, network
    try:
        network.stop()  # a leak would be an exit of its own
    finally:
        network.end()


@pytest.fixture(autouse=True)
def fixture_automine(world):
    """Each transaction is a block."""
    net.result(world[0].url, "evm_setAutomine", True)


def ask(url, method, *params):
    """(answer, headers), on a connection of its own: any worker may get it."""
    client = net.Http(url)
    try:
        return client.call(method, *params)
    finally:
        client.close()


def told(network, filter_id):
    """What a filter has new."""
    return net.result(network.url, "eth_getFilterChanges", filter_id)


def logs(chain, first, last, **more):
    """The chain's own."""
    return net.result(chain.url, "eth_getLogs",
                      {"fromBlock": hex(first), "toBlock": hex(last)} | more)


def filters(network):
    """How many there are."""
    return network.metric(network.gateway, "counterfoil_gateway_filters")


def head(chain):
    """Its height."""
    return int(net.result(chain.url, "eth_blockNumber"), 16)


def test_logs_are_told_once_as_the_chain_has_them_whoever_is_asked(world):
    """[G7]"""
    chain, emitter, network = world
    made, headers = ask(network.url, "eth_newFilter", {"address": emitter.address})
    watched = made["result"]
    assert re.fullmatch(r"0x[1-9a-f][0-9a-f]{31}", watched)
    assert RECEIPT.fullmatch(headers["counterfoil-receipt"])
    assert told(network, watched) == []
    for blocks in (1, 1, 3, 7):
        before = head(chain)
        for n in range(blocks):
            emitter.log_now(n)
        answer, headers = ask(network.url, "eth_getFilterChanges", watched)
        assert answer["result"] == logs(chain, before + 1, head(chain), address=emitter.address)
        assert len(answer["result"]) == blocks
        assert all(RECEIPT.fullmatch(entry) for entry in
                   headers["counterfoil-receipt"].split("+"))
        assert told(network, watched) == []
    mine(chain.url, 5)
    assert told(network, watched) == []
    assert net.result(network.url, "eth_uninstallFilter", watched) is True
    assert net.result(network.url, "eth_uninstallFilter", watched) is False
    gone, _ = ask(network.url, "eth_getFilterChanges", watched)
    assert gone["error"] == {"code": -32000, "message": "filter not found",
                             "data": {"error": "filter"}}


def test_a_filter_tells_only_what_it_asks_for(world):
    chain, emitter, network = world
    other = Emitter(chain.url)
    topic = net.result(network.url, "eth_newFilter",
                       {"address": [emitter.address, other.address], "topics": [topic_of(5)]})
    later = net.result(network.url, "eth_newFilter",
                       {"address": other.address, "fromBlock": hex(head(chain) + 3)})
    for n in (5, 6):
        emitter.log_now(n)
        other.log_now(n)
    got = told(network, topic)
    assert [log["topics"][0] for log in got] == [topic_of(5)] * 2
    assert [log["topics"][0] for log in told(network, later)] == [topic_of(6)]


def test_all_logs_of_a_filter_are_those_of_its_range(world):
    chain, emitter, network = world
    emitter.log_now(1)
    first = head(chain) - 3
    wanted = {"address": emitter.address, "fromBlock": hex(first)}
    watched = net.result(network.url, "eth_newFilter", wanted)
    emitter.log_now(2)
    assert net.result(network.url, "eth_getFilterLogs", watched) == logs(
        chain, first, head(chain), address=emitter.address)
    # It has told nothing of them as a change.
    assert len(told(network, watched)) == 1


def test_blocks_are_told_in_order(world):
    chain, _, network = world
    watched = net.result(network.url, "eth_newBlockFilter")
    assert told(network, watched) == []
    for count in (1, 2, 5, 70):
        before = head(chain)
        mine(chain.url, count)
        got = told(network, watched)
        if count > 64:
            got += told(network, watched)
        assert got == [net.result(chain.url, "eth_getBlockByNumber", hex(n), False)["hash"]
                       for n in range(before + 1, head(chain) + 1)]
    answer, _ = ask(network.url, "eth_getFilterLogs", watched)
    assert answer["error"]["data"] == {"error": "filter"}


@pytest.mark.parametrize("depth", range(1, 11))
def test_logs_of_a_branch_that_is_gone_are_told_as_removed(world, depth):
    chain, emitter, network = world
    mine(chain.url)
    watched = net.result(network.url, "eth_newFilter", {"address": emitter.address})
    blocks = net.result(network.url, "eth_newBlockFilter")
    seen = []
    for n in range(depth):
        emitter.log_now(100 + n)
        if n % 3 == 0:
            seen += told(network, watched)
    seen += told(network, watched)
    assert len(seen) == depth
    assert len(told(network, blocks)) == depth
    before = head(chain)
    net.result(chain.url, "anvil_reorg", depth, [])
    emitter.log_now(7)
    got = told(network, watched)
    removed = [log for log in got if log["removed"]]
    assert got[:len(removed)] == removed
    want = sorted(seen, key=lambda log: -int(log["blockNumber"], 16))
    assert removed == [log | {"removed": True} for log in want]
    assert got[len(removed):] == logs(chain, before - depth + 1, head(chain), address=emitter.address)
    assert told(network, blocks) == [
        net.result(chain.url, "eth_getBlockByNumber", hex(n), False)["hash"]
        for n in range(before - depth + 1, head(chain) + 1)]
    assert told(network, watched) == []


def test_polls_side_by_side_tell_each_log_once(world):
    chain, emitter, network = world
    watched = net.result(network.url, "eth_newFilter", {"address": emitter.address})
    first, seen = head(chain) + 1, []

    def poll(_):
        return told(network, watched)

    def all_there():
        for got in pool.map(poll, range(4)):
            seen.extend(got)
        return len(seen) >= 12

    with futures.ThreadPoolExecutor(5) as pool:
        sending = pool.submit(lambda: [emitter.log_now(n) for n in range(12)])
        wait_for("all of them", all_there)
        sending.result()
    assert sorted(log["blockNumber"] for log in seen) == sorted(
        log["blockNumber"] for log in logs(chain, first, head(chain), address=emitter.address))
    assert net.result(network.url, "eth_getFilterLogs", watched) == logs(
        chain, head(chain), head(chain), address=emitter.address)


def test_a_filter_outlives_a_node_and_its_session(world):
    chain, emitter, network = world
    watched = net.result(network.url, "eth_newFilter", {"address": emitter.address})
    total = 0
    for node in network.nodes:
        before = network.metric(network.gateway, "counterfoil_gateway_rollovers_total")
        node.kill()
        emitter.log_now(1)
        total += len(told(network, watched))
        node.start()
        wait_for("another session", lambda b=before: b < network.metric(
            network.gateway, "counterfoil_gateway_rollovers_total"))
        emitter.log_now(2)
        total += len(told(network, watched))
        network.wait_ready()
    assert total == 6


def test_calls_about_filters_may_be_in_a_batch(world):
    chain, emitter, network = world
    watched = [net.result(network.url, "eth_newFilter", {"address": emitter.address})
               for _ in range(3)]
    emitter.log_now(3)
    batch = [{"jsonrpc": "2.0", "id": n, "method": "eth_getFilterChanges", "params": [one]}
             for n, one in enumerate(watched)]
    client = net.Http(network.url)
    _, headers, answer = client.post(json.dumps(batch).encode())
    client.close()
    want = logs(chain, head(chain), head(chain), address=emitter.address)
    assert [one["result"] for one in json.loads(answer)] == [want] * 3
    assert len(headers["counterfoil-receipt"].split(", ")) == 3


def test_what_is_no_filter_is_refused_by_name(world):
    _, _, network = world
    for params in ([], [{"fromBlock": "pending"}], [{"toBlock": "safe"}], [{"fromBlock": 1}],
                   [{"blockHash": topic_of(1)}], [{}, {}], ["x"]):
        answer, _ = ask(network.url, "eth_newFilter", *params)
        assert answer["error"]["code"] == -32602, params
    for method in ("eth_getFilterChanges", "eth_getFilterLogs"):
        for params in ([], ["0x1"], [1], [topic_of(1)], [None]):
            answer, _ = ask(network.url, method, *params)
            assert answer["error"]["code"] == -32000, params
            assert answer["error"]["message"] == "filter not found"
    answer, _ = ask(network.url, "eth_newPendingTransactionFilter")
    assert answer["error"]["code"] == -32601


def test_parameters_over_the_limit_are_refused(world):
    _, _, network = world
    answer, _ = ask(network.url, "eth_newFilter", {"topics": [[topic_of(n) for n in range(300)]]})
    assert answer["error"]["data"] == {"error": "params"}


def test_a_filter_that_is_not_polled_is_forgotten(world, folder):
    network = Network(folder / "few", [world[0].url], stakes=(1,), gateway={
        "filter_timeout": "1 s"})
    network.start()
    try:
        watched = net.result(network.url, "eth_newBlockFilter")
        wait_for("none", lambda: not filters(network))
        answer, _ = ask(network.url, "eth_getFilterChanges", watched)
        assert answer["error"]["message"] == "filter not found"
    finally:
        network.end()


def watcher(name, network, address):
    """A client that ends after three events."""
    program, script = WATCHERS[name]
    return subprocess.Popen([program, paths.CLIENTS / script, network.url, address, "3"],
                            cwd=paths.CLIENTS, stdout=subprocess.PIPE, text=True)


def test_each_client_watches_a_contract(world):
    chain, _, network = world
    w3 = Web3(HTTPProvider(chain.url))
    till = json.loads((paths.CLIENTS / "contract/Till.json").read_text())
    account = w3.eth.accounts[0]
    made = w3.eth.contract(abi=till["abi"], bytecode=till["bytecode"]).constructor(7).transact(
        {"from": account})
    address = w3.eth.wait_for_transaction_receipt(made)["contractAddress"]
    contract = w3.eth.contract(address=address, abi=till["abi"])
    before = filters(network)
    watchers = {name: watcher(name, network, address) for name in WATCHERS}

    def all_ended():
        """ethers asks for logs when it hears of a block, but not while it asks: blocks go on coming."""
        mine(chain.url)
        return all(one.poll() is not None for one in watchers.values())

    try:
        wait_for("their filters", lambda: filters(network) >= before + len(watchers))
        sent = [contract.functions.set(n).transact({"from": account}) for n in (9, 10, 11)]
        wait_for("three events each", all_ended, 3 * PATIENCE_S, 0.2)
        lines = {name: one.communicate()[0] for name, one in watchers.items()}
    finally:
        for one in watchers.values():
            one.kill()
            one.wait()
    blocks = [w3.eth.wait_for_transaction_receipt(one)["blockNumber"] for one in sent]
    want = [f"event {block} 0x{one.hex().removeprefix('0x')}" for block, one in zip(blocks, sent)]
    assert {name: text.splitlines() for name, text in lines.items()} == dict.fromkeys(WATCHERS, want)
    assert [one.returncode for one in watchers.values()] == [0] * len(watchers)
