# SPDX-License-Identifier: Apache-2.0
"""Reorganisations under load, with all that could keep an answer turned on: the cache, shared calls, pins,
filters.  Clients of several kinds go on asking; from the moment at which one call has seen the new branch
no call that begins is answered from the dead one."""

import json
import threading
import time

import pytest

from support import net
from support.calls import own
from support.counts import count
from support.emitter import Emitter, topic_of
from support.process import PATIENCE_S, wait_for

ALICE = "0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266"
BOB = "0x" + "b0" * 20
DEEP = 12     # blocks that are asked about
ROUNDS = 3    # that each client makes after the new branch was seen
DEPTHS = range(1, count("reorg_depth") + 1, count("reorg_step"))


@pytest.fixture(scope="module", name="world")
def fixture_world(network_factory, anvil_factory):
    """(chain, emitter, network): three nodes in front of one chain, a gateway of two workers."""
    chain = anvil_factory()
    emitter = Emitter(chain.url)
    for n in range(DEEP):
        emitter.log_now(n)
    network = network_factory(upstreams=[chain.url], gateway={
        "workers": 2, "cache_bytes": "16 MiB", "cache_fresh": "1 h", "share": True, "head_interval": "100 ms"})
    return chain, emitter, network


def height_of(chain):
    """The chain's height."""
    return int(net.result(chain.url, "eth_blockNumber"), 16)


def questions(chain, emitter):
    """By the kind of client: (method, params) about the newest blocks as they are now."""
    top = height_of(chain)
    numbers, hashes = [], []
    for number in range(top - DEEP + 1, top + 1):
        block = net.result(chain.url, "eth_getBlockByNumber", hex(number), False)
        numbers += [("eth_getBlockByNumber", [hex(number), False]), ("eth_getBlockReceipts", [hex(number)]),
                    ("eth_getTransactionCount", [ALICE, hex(number)])]
        hashes += [("eth_getBlockByHash", [block["hash"], False]),
                   ("eth_getTransactionCount", [ALICE, {"blockHash": block["hash"], "requireCanonical": True}])]
        hashes += [(method, [tx]) for tx in block["transactions"]
                   for method in ("eth_getTransactionReceipt", "eth_getTransactionByHash")]
    return {
        "tags": [("eth_getTransactionCount", [ALICE, "latest"]), ("eth_getBlockByNumber", ["latest", False]),
                 ("eth_blockNumber", []), ("eth_getBlockReceipts", ["latest"])],
        "numbers": numbers,
        "hashes": hashes,
        "logs": [("eth_getLogs", [{"address": emitter.address, "fromBlock": hex(top - DEEP), "toBlock": end}])
                 for end in ("latest", hex(top), hex(top - 1))],
    }


class Client(threading.Thread):
    """Asks its questions round after round, one by one or all in a batch, and notes when and what came."""

    def __init__(self, url, asked, batch):
        super().__init__(daemon=True)
        self.url, self.asked, self.batch = url, asked, batch
        self.noted = []  # (when it was asked, method, params, answer)
        self.rounds = 0  # ended
        self.stops, self.fault = False, None

    def run(self):
        """Until it is told to stop."""
        client = net.Http(self.url)
        try:
            while not self.stops:
                self._round(client)
                self.rounds += 1
        except Exception as fault:  # pylint: disable=broad-exception-caught
            self.fault = fault
        finally:
            client.close()

    def _round(self, client):
        parts = [self.asked] if self.batch else [[one] for one in self.asked]
        for part in parts:
            body = [{"jsonrpc": "2.0", "id": n, "method": method, "params": params}
                    for n, (method, params) in enumerate(part)]
            begun = time.monotonic()
            status, _, data = client.post(json.dumps(body if self.batch else body[0]))
            assert status == 200, data
            answers = json.loads(data) if self.batch else [json.loads(data)]
            self.noted += [(begun, method, params, answer.get("result", "error"))
                           for (method, params), answer in zip(part, answers)]
            if self.stops:
                return


class Watcher(threading.Thread):
    """Polls a filter of logs and one of blocks, and keeps what is left of what they told."""

    def __init__(self, network, emitter):
        super().__init__(daemon=True)
        self.url = network.url
        self.logs = net.result(self.url, "eth_newFilter", {"address": emitter.address})
        self.blocks = net.result(self.url, "eth_newBlockFilter")
        self.held, self.hashes, self.removed = [], [], 0
        self.stops, self.fault = False, None

    def run(self):
        """Until it is told to stop."""
        try:
            while not self.stops:
                self.hashes += net.result(self.url, "eth_getFilterChanges", self.blocks)
                for log in net.result(self.url, "eth_getFilterChanges", self.logs):
                    self._take(log)
        except Exception as fault:  # pylint: disable=broad-exception-caught
            self.fault = fault

    def _take(self, log):
        if not log["removed"]:
            self.held.append(log)
            return
        gone = log | {"removed": False}
        assert gone in self.held, "what is removed was told before"
        self.held.remove(gone)
        self.removed += 1


def see(chain, network):
    """Waits until a call is pinned to the chain's newest block."""
    newest = net.result(chain.url, "eth_getBlockByNumber", "latest", False)["hash"]
    one = net.Http(network.url)
    wait_for("the gateway to see the head", lambda: one.call("eth_getBalance", BOB, "latest")[1].get(
        "counterfoil-pinned") == newest)
    one.close()


def await_rounds(clients, rounds):
    """Waits until each client has ended so many rounds more."""
    until = {client: client.rounds + rounds for client in clients}
    wait_for("the clients", lambda: all(client.fault or client.rounds >= until[client] for client in clients),
             timeout=3 * PATIENCE_S)
    for client in clients:
        assert client.fault is None, client.fault


@pytest.mark.parametrize("depth", DEPTHS)
def test_no_answer_of_a_dead_branch_is_given_once_the_new_one_was_seen(world, depth):
    """[G6] [G11] [F14]; filters say what is gone."""
    chain, emitter, network = world
    watcher = Watcher(network, emitter)
    fork = height_of(chain)
    for n in range(depth):
        emitter.log_now(100 + n)
    see(chain, network)
    asked = questions(chain, emitter)
    clients = [Client(network.url, part, batch) for part in asked.values() for batch in (False, True)]
    for thread in [*clients, watcher]:
        thread.start()
    await_rounds(clients, 2)
    wait_for("the logs to be told", lambda: watcher.fault or len(watcher.held) == depth)
    net.result(chain.url, "anvil_reorg", depth, [])
    if depth % 2 == 0:
        emitter.log_now(7)
    see(chain, network)
    seen = time.monotonic()
    await_rounds(clients, 1 + ROUNDS)
    now = net.result(chain.url, "eth_getLogs", {"address": emitter.address, "fromBlock": hex(fork + 1)})
    newest = net.result(chain.url, "eth_getBlockByNumber", "latest", False)["hash"]
    wait_for("what is left of the filters", lambda: watcher.fault or (
        watcher.held == now and watcher.hashes[-1] == newest))
    for thread in [*clients, watcher]:
        thread.stops = True
        thread.join()
        assert thread.fault is None, thread.fault
    assert watcher.removed == depth
    true = {}
    after = [note for client in clients for note in client.noted if note[0] > seen]
    assert len(after) > ROUNDS * sum(len(part) for part in asked.values())
    for _, method, params, answer in after:
        key = json.dumps([method, params])
        if key not in true:
            true[key] = own(chain, method, params)
        assert answer == true[key], (depth, method, params)
    assert topic_of(7) in json.dumps(now) or depth % 2 == 1
