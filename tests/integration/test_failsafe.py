# SPDX-License-Identifier: Apache-2.0
"""Slow, failing and mistaken suppliers ([G10]): who else is asked, how often, and what the client gets."""

import base64
import itertools
import json
import time

import pytest
from eth_account import Account

from support import net
from support.backend import Backend
from support.process import wait_for

NODES = 4
ATTEMPTS = 3
SAVED = 10  # hedges that may follow on each other (session/patience.h)
PERCENT = 10
HASH = "0x" + "ab" * 32
RAW = "0x02f86b"  # of no chain: these backends take anything
LATE = {"result": HASH, "delay_ms": 1500}
KNOWN = {"error": {"code": -32000, "message": "already known"}}
BUSY = {"error": {"code": -32005, "message": "rate limit exceeded"}}


@pytest.fixture(scope="module", name="backends")
def fixture_backends(folder):
    """One for each node."""
    made = [Backend(folder, f"backend{n}").start() for n in range(NODES)]
    for one in made:
        one.ready(lambda b=one: net.answers(b.url + "/stats"))
    yield made
    for one in made:
        one.end()


@pytest.fixture(scope="module", name="network")
def fixture_network(network_factory, backends):
    """Each node has a backend of its own; a hedge is due at once, and nobody else is waited for in vain."""
    return network_factory(
        upstreams=[b.url for b in backends], stakes=[1] * NODES, failover=False, session_blocks=1200,
        gateway={"attempts": ATTEMPTS, "hedge_min": "20 ms", "hedge_max": "100 ms", "copies": 2,
                 "hedge_percent": PERCENT, "copies_wait": "30 s", "second_opinion_wait": "30 s",
                 "cooldown_min": "50 ms", "cooldown_max": "200 ms",
                 "head_interval": "0 s"})  # these backends have no blocks


@pytest.fixture(autouse=True)
def fixture_reset(backends):
    """Each test leaves backends that answer."""
    yield
    for one in backends:
        one.script()


def ask(network, method, *params):
    """(answer, headers)"""
    one = net.Http(network.url)
    try:
        return one.call(method, *params)
    finally:
        one.close()


def asked(backends, method):
    """How often the backends were asked for a method."""
    return sum(one.asked(method) for one in backends)


def gateway_metric(network, name):
    """One of the gateway's own."""
    return network.metric(network.gateway, f"counterfoil_gateway_{name}")


def response_of(network, headers):
    """What the relay's receipt is of."""
    lane, seq, salt = headers["counterfoil-receipt"].split("/")
    status, _, body = net.get(f"{network.url}.counterfoil/receipts/{lane}/{seq}?salt={salt}")
    assert status == 200
    return base64.b64decode(json.loads(body)["response"])


# --- hedges ---


def test_a_slow_supplier_is_raced_by_another_owner_who_wins(network, backends):
    slow = network.node_keys[0]
    for _ in range(100 // PERCENT + 1):  # they earn a hedge
        assert ask(network, "eth_gasPrice")[0]["result"] == "0x1"
    before = backends[0].asked("eth_gasPrice")
    backends[0].script(methods={"eth_gasPrice": {"result": "0xbad", "delay_ms": 25000}})
    suppliers = []

    def hedge_won():
        answer, headers = ask(network, "eth_gasPrice")
        assert answer["result"] == "0x1"
        suppliers.append(headers["counterfoil-supplier"])
        return gateway_metric(network, "hedges_won_total") > 0 and backends[0].asked("eth_gasPrice") > before

    wait_for("a hedge that wins", hedge_won)
    assert slow not in suppliers


def test_hedges_stay_within_their_share_when_all_are_slow(network, backends):
    calls, before = 60, gateway_metric(network, "hedges_total")
    for one in backends:
        one.script(default={"delay_ms": 1000})
    batch = [{"jsonrpc": "2.0", "id": n, "method": "eth_gasPrice", "params": []} for n in range(calls)]
    one = net.Http(network.url)
    _, _, body = one.post(json.dumps(batch).encode())
    one.close()
    assert [answer["result"] for answer in json.loads(body)] == ["0x1"] * calls
    assert gateway_metric(network, "hedges_total") - before <= SAVED + calls * PERCENT / 100
    assert gateway_metric(network, "hedges_spared_total") > 0


def test_what_is_not_idempotent_is_sent_once_however_slow(network, backends):
    for one in backends:
        one.script(default={"delay_ms": 1000, "result": HASH})
    before = gateway_metric(network, "hedges_total")
    answer, _ = ask(network, "eth_sendPrivateTransaction", {"tx": RAW})
    assert answer["result"] == HASH
    assert asked(backends, "eth_sendPrivateTransaction") == 1
    assert gateway_metric(network, "hedges_total") == before


# --- one budget, one deadline ---


def test_all_attempts_of_a_call_are_within_one_budget_when_all_fail(network, backends):
    for one in backends:
        one.script(default=BUSY)
    for n in range(1, 6):
        before = asked(backends, "eth_getBalance")
        answer, _ = ask(network, "eth_getBalance", f"0x{n:040x}", "latest")
        assert answer["error"] == BUSY["error"]
        assert asked(backends, "eth_getBalance") - before == ATTEMPTS


def test_all_attempts_of_a_call_end_at_one_deadline(network_factory, backends):
    network = network_factory(
        upstreams=[b.url for b in backends[:2]], stakes=(1, 1), failover=False, session_blocks=1200,
        gateway={"attempts": 2, "deadline": "1500 ms", "head_interval": "0 s", "hedge_percent": 100,
                 "hedge_min": "20 ms", "hedge_max": "20 ms"})
    for one in backends:
        one.script(default={"hang": True})
    before = asked(backends, "eth_gasPrice")
    answer, _ = ask(network, "eth_gasPrice")
    assert answer["error"]["data"] == {"error": "deadline"}
    assert 1 <= asked(backends, "eth_gasPrice") - before <= 2


# --- a supplier that fails rests, is tried, and is back ---


def states(network):
    """{supplier: state}"""
    page = json.loads(net.get(network.gateway.admin + "/admin/suppliers")[2])
    return {one["supplier"]: one["workers"][0]["state"] for one in page["suppliers"]}


def test_a_supplier_that_fails_rests_is_tried_and_comes_back(network, backends):
    """Each call is about another address: what one refuses again and again it is not asked for any more."""
    key = network.node_keys[1]
    addresses = (f"0x{n:040x}" for n in itertools.count(1 << 32))
    seen = set()

    def is_now(*wanted):
        assert ask(network, "eth_getBalance", next(addresses), "latest")[0]["result"] == "0x1"
        seen.add(states(network).get(key))
        return not seen.isdisjoint(wanted)

    backends[1].script(default={"status": 500, "body": "out of order"})
    wait_for("its rest", lambda: is_now("cooling"))
    backends[1].script()
    seen.clear()
    wait_for("its return", lambda: is_now("ramp", "ready"))
    seen.clear()
    wait_for("all of its share", lambda: is_now("ready"))


def test_a_gateway_whose_suppliers_all_rest_is_not_ready_and_says_of_which_service(network_factory, backends):
    """They are asked all the same, and the first answer ends it."""
    network = network_factory(upstreams=[b.url for b in backends[:2]], stakes=[1, 1], failover=False,
                              gateway={"cooldown_min": "10 min", "cooldown_max": "10 min", "head_interval": "0 s"})

    def is_ready():
        ask(network, "eth_gasPrice")
        status, _, text = net.get(network.gateway.admin + "/readyz")
        assert status == 200 or b"service eth: all suppliers" in text
        return status == 200

    assert is_ready()
    for one in backends[:2]:
        one.script(default={"status": 500, "body": "out of order"})
    wait_for("no readiness", lambda: not is_ready())
    for one in backends[:2]:
        one.script()
    wait_for("readiness", is_ready)


# --- signed transactions ---


def test_who_took_a_transaction_is_heard_though_another_knows_it_already(network, backends):
    """A copy that was quicker is why: the client gets a supplier's own word, and its receipt is of that."""
    for one in backends:
        one.script(methods={"eth_sendRawTransaction": KNOWN})
    backends[0].script(methods={"eth_sendRawTransaction": LATE})
    before = backends[0].asked("eth_sendRawTransaction")

    def asked_the_slow_one():
        answer, headers = ask(network, "eth_sendRawTransaction", RAW)
        return backends[0].asked("eth_sendRawTransaction") > before and (answer, headers)

    answer, headers = wait_for("a copy to the slow one", asked_the_slow_one)
    assert answer["result"] == HASH
    assert HASH.encode() in response_of(network, headers)


def test_the_copies_of_a_transaction_go_to_several_owners(network, backends):
    for one in backends:
        one.script(default={"result": HASH})
    before = [one.asked("eth_sendRawTransaction") for one in backends]
    answer, _ = ask(network, "eth_sendRawTransaction", RAW)
    assert answer["result"] == HASH
    wait_for("both copies", lambda: asked(backends, "eth_sendRawTransaction") == sum(before) + 2)
    assert max(one.asked("eth_sendRawTransaction") - n for one, n in zip(backends, before)) == 1


@pytest.fixture(scope="module", name="chain")
def fixture_chain(anvil_factory):
    """A chain that makes no blocks by itself."""
    chain = anvil_factory()
    net.result(chain.url, "evm_setAutomine", False)
    return chain


@pytest.fixture(scope="module", name="before_chain")
def fixture_before_chain(network_factory, chain):
    """Three nodes in front of it."""
    return network_factory(upstreams=[chain.url], stakes=(1, 1, 1), gateway={
        "copies_wait": "50 ms", "missing_memory": "1 h", "head_interval": "50 ms", "hedge_percent": 0,
        "second_opinion_wait": "30 s"})


def signed(chain, key, nonce, value):
    """(raw transaction, hash)"""
    made = Account.sign_transaction(
        {"to": "0x" + "11" * 20, "value": value, "gas": 21000, "nonce": nonce, "gasPrice": 10**11,
         "chainId": int(net.result(chain.url, "eth_chainId"), 16)}, key)
    return "0x" + made.raw_transaction.hex().removeprefix("0x"), "0x" + made.hash.hex().removeprefix("0x")


def test_a_transaction_that_the_chain_has_already_is_a_success_and_another_is_not(before_chain, chain):
    key = "0x" + "57" * 32
    net.result(chain.url, "anvil_setBalance", Account.from_key(key).address, hex(10**20))
    network = before_chain
    raw, name = signed(chain, key, 0, 1)
    for _ in range(2):  # the second time all know it
        assert ask(network, "eth_sendRawTransaction", raw)[0]["result"] == name
    net.result(chain.url, "anvil_mine", "0x1")
    for _ in range(2):  # its nonce is too low now
        assert ask(network, "eth_sendRawTransaction", raw)[0]["result"] == name
    other, _ = signed(chain, key, 0, 2)
    answer, headers = ask(network, "eth_sendRawTransaction", other)
    assert "nonce too low" in answer["error"]["message"]
    assert b"nonce too low" in response_of(network, headers)


# --- what is not there ---


def test_what_is_not_there_is_asked_for_twice_once_in_a_blocks_time(before_chain, chain):
    """The time is learned from the chain: with that of one of which nothing is known this takes too long."""
    def seven_blocks_are_over():
        net.result(chain.url, "anvil_mine", "0x1")
        assert "result" in ask(before_chain, "eth_blockNumber")[0]
        assert ask(before_chain, "eth_getTransactionReceipt", HASH)[0]["result"] is None
        return gateway_metric(before_chain, "set_aside_total") >= before + 7

    for _ in range(15):  # so that the pace is learned, most often
        net.result(chain.url, "anvil_mine", "0x1")
        assert "result" in ask(before_chain, "eth_blockNumber")[0]
        time.sleep(0.1)
    before = gateway_metric(before_chain, "set_aside_total")
    wait_for("seven second opinions", seven_blocks_are_over)


def test_a_block_that_is_about_to_come_is_waited_for_and_no_other(before_chain, chain):
    assert "result" in ask(before_chain, "eth_blockNumber")[0]  # the gateway knows the height
    head = int(net.result(chain.url, "eth_blockNumber"), 16)
    account = net.result(chain.url, "eth_accounts")[0]

    def waits(method, *params):
        before = gateway_metric(before_chain, "missing_waits_total")
        answer, _ = ask(before_chain, method, *params)
        assert "error" in answer or answer["result"] is None
        return gateway_metric(before_chain, "missing_waits_total") - before

    assert waits("eth_getBalance", account, hex(head + 1)) == 1
    assert waits("eth_getBalance", account, hex(head + 100)) == 0
    assert waits("eth_getBlockByNumber", hex(head + 1), False) == 0  # its client polls for it
    assert waits("eth_getTransactionReceipt", "0x" + "ef" * 32) == 0
