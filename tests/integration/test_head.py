# SPDX-License-Identifier: Apache-2.0
"""Heads that do not go backwards, calls that are pinned to them, and what becomes of a
reorganisation, a node that is behind and one that lies about heights."""

import json

import pytest

from support import net
from support.counts import count
from support.height_liar import HeightLiar
from support.process import wait_for

ALICE = "0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266"  # the first of anvil's accounts
BOB = "0x" + "b0" * 20
BEHIND = 50
# Small enough for a test that looks at each new block.
OFTEN = {"head_interval": "100 ms"}


def number_of(chain, block_hash):
    """The number of a block of this chain's own; None: it is no block of it (any more)."""
    block = net.result(chain.url, "eth_getBlockByHash", block_hash, False)
    return block and int(block["number"], 16)


def pay(chain, to=BOB):
    """One more wei to an account, in a block of its own."""
    net.result(chain.url, "eth_sendTransaction", {"from": ALICE, "to": to, "value": "0x1"})


@pytest.fixture(scope="module", name="crowd")
def fixture_crowd(network_factory, anvil_factory):
    """(good chain, late chain, proxies, network): five nodes, of which one is 50 blocks behind and the first
    proxy's lies about its height."""
    good, late = anvil_factory(), anvil_factory()
    for chain in (good, late):
        pay(chain)
        chain.mine(9)
    good.mine(BEHIND)
    proxies = [HeightLiar(good.url) for _ in range(3)]
    network = network_factory(upstreams=[late.url, good.url, *(one.url for one in proxies)],
                              stakes=(1,) * 5, gateway=OFTEN)
    yield good, late, proxies, network
    for proxy in proxies:
        proxy.end()


def heights(network, good, late, rounds):
    """What a client sees of the head in so many rounds, with a block between each two: heights of
    eth_blockNumber, of `latest` blocks, and of the blocks that calls were pinned to."""
    one = net.Http(network.url)
    seen = []
    for _ in range(rounds):
        good.mine()
        late.mine()
        answer, _ = one.call("eth_blockNumber")
        seen.append(int(answer["result"], 16))
        answer, _ = one.call("eth_getBlockByNumber", "latest", False)
        seen.append(int(answer["result"]["number"], 16))
        assert number_of(good, answer["result"]["hash"]) == seen[-1]
        answer, headers = one.call("eth_getBalance", BOB, "latest")
        assert answer["result"] == "0x1"
        if "counterfoil-pinned" in headers:
            seen.append(number_of(good, headers["counterfoil-pinned"]))
    one.close()
    return seen


@pytest.mark.parametrize("lie", [0, 2**64 - 1, 2**63, 10**6, 40, 4, 1, -1, -40])
def test_heads_rise_whatever_one_node_says_of_its_height(crowd, lie):
    """[G8]"""
    good, late, (liar, *_), network = crowd
    liar.lie = (lambda height: lie) if lie > 10**6 else (lambda height: max(0, height + lie))
    seen = heights(network, good, late, count("head_rounds"))
    top = int(net.result(good.url, "eth_blockNumber"), 16)
    assert all(seen), "each block that a call was pinned to is one of the chain"
    assert seen == sorted(seen)
    assert seen[-1] <= top + 3, "what is told is not far from what is true"
    assert seen[-1] >= top - 8


def test_a_block_by_its_number_is_not_asked_of_one_that_does_not_have_it(crowd):
    good, _, (liar, *_), network = crowd
    liar.lie = lambda height: height
    one = net.Http(network.url)
    wait_for("a head that is known", lambda: one.call("eth_getBalance", BOB, "latest")[0]["result"])
    top = int(net.result(good.url, "eth_blockNumber"), 16)
    for number in range(top - 20, top - 4):
        answer, _ = one.call("eth_getBlockByNumber", hex(number), False)
        assert answer["result"]["number"] == hex(number)
    one.close()


def test_a_block_under_the_head_is_there_whoever_says_that_it_is_not(crowd):
    """Three of five say so, and one does not have it yet.  A block that is nowhere is not looked for so far."""
    good, _, proxies, network = crowd
    one = net.Http(network.url)
    wait_for("a head that is known", lambda: one.call("eth_getBalance", BOB, "latest")[0]["result"])
    top = int(net.result(good.url, "eth_blockNumber"), 16)
    for proxy in proxies:
        proxy.lie, proxy.denies = lambda height: height, True
    try:
        for number in range(top - 40, top - 30):
            block = one.call("eth_getBlockByNumber", hex(number), True)[0]["result"]
            assert block and block["number"] == hex(number)
        assert one.call("eth_getBlockByNumber", hex(top + 1000), True)[0]["result"] is None
    finally:
        for proxy in proxies:
            proxy.denies = False
        one.close()


def test_what_a_receipt_showed_is_there_for_the_next_call(network_factory, anvil_factory):
    """Two calls of one client: the second sees no older chain than the first."""
    chain = anvil_factory()
    network = network_factory(upstreams=[chain.url], gateway={"head_interval": "1 h"})
    one = net.Http(network.url)
    account = "0x" + "c0" * 20
    for n in range(1, 11):
        one.call("eth_getBalance", account, "latest")  # pinned to the head of now
        sent = net.result(chain.url, "eth_sendTransaction",
                          {"from": ALICE, "to": account, "value": "0x1"})
        wait_for("the receipt", lambda: one.call("eth_getTransactionReceipt", sent)[0]["result"])
        answer, headers = one.call("eth_getBalance", account, "latest")
        assert answer["result"] == hex(n)
        assert number_of(chain, headers["counterfoil-pinned"]) == n
    one.close()


def test_state_at_the_number_of_the_head_is_that_of_the_served_branch(network_factory, anvil_factory):
    """[F14] [G11]: a dApp asks for the height, and then for state at it.  One of three suppliers is on another branch."""
    chain, other = anvil_factory(), anvil_factory()
    proxy = HeightLiar(chain.url)
    account = "0x" + "e0" * 20
    for _ in range(3):
        pay(chain, account)
    other.mine(3)
    network = network_factory(upstreams=[chain.url, proxy.url, other.url], stakes=(1,) * 3, failover=False,
                              gateway=OFTEN | {"cache_bytes": "0 B", "share": False})
    one = net.Http(network.url)
    seen = []

    def has_seen_enough():
        one.call("eth_getBalance", account, "latest")
        answer, headers = one.call("eth_getBalance", account, "0x3")
        if headers.get("counterfoil-pinned", "-") != "-":  # nobody told of the head for a while
            seen.append((answer.get("result"), number_of(chain, headers["counterfoil-pinned"])))
        return len(seen) == 20

    wait_for("pinned answers", has_seen_enough)
    assert set(seen) == {("0x3", 3)}
    one.close()
    proxy.end()


@pytest.mark.parametrize("depth", range(1, 11))
def test_after_a_reorganisation_nothing_of_the_dead_branch_is_given(reorganised, depth):
    """[F14] [G11]: from the first answer of the new branch on, and in calls that were pinned before."""
    chain, network = reorganised
    one = net.Http(network.url)
    account = f"0x{depth:02x}" + "d0" * 19
    chain.mine(12 - depth)
    for _ in range(depth):
        pay(chain, account)
    wait_for("all payments", lambda: one.call("eth_getBalance", account, "latest")[0]["result"] == hex(depth))
    net.result(chain.url, "anvil_reorg", depth, [])
    assert net.result(chain.url, "eth_getBalance", account, "latest") == "0x0"
    for _ in range(20):
        answer, headers = one.call("eth_getBalance", account, "latest")
        assert answer["result"] == "0x0"
        assert headers.get("counterfoil-pinned", "-") == "-" or \
            number_of(chain, headers["counterfoil-pinned"]) is not None
        answer, _ = one.call("eth_getBlockByNumber", "latest", False)
        assert number_of(chain, answer["result"]["hash"]) is not None
    one.close()


@pytest.fixture(scope="module", name="reorganised")
def fixture_reorganised(network_factory, anvil_factory):
    """(chain, network): three nodes in front of one chain."""
    chain = anvil_factory()
    return chain, network_factory(upstreams=[chain.url], gateway=OFTEN)


def test_pins_can_be_turned_off(network_factory, anvil):
    network = network_factory(upstreams=[anvil.url], gateway={"head_interval": "0 s"})
    answer, headers = net.Http(network.url).call("eth_getBalance", BOB, "latest")
    assert answer["result"] == "0x0" and "counterfoil-pinned" not in headers
    assert network.metric(network.gateway, "counterfoil_gateway_head_polls_total") == 0


def test_calls_do_not_wait_for_heads_that_nobody_tells(network_factory, anvil_factory):
    """Backends without blocks: answers are not pinned, and no call waits once it is known that rounds
    tell nothing.  When they do tell, calls are pinned."""
    chain = HeightLiar(anvil_factory().url)
    chain.mute = True
    network = network_factory(upstreams=[chain.url], stakes=(1, 1), gateway=OFTEN)
    one = net.Http(network.url)

    def waits():
        return network.metric(network.gateway, "counterfoil_gateway_head_waits_total")

    def waited():
        before = waits()
        answer, headers = one.call("eth_getBalance", BOB, "latest")
        assert answer["result"] == "0x0" and "counterfoil-pinned" not in headers
        return waits() > before

    wait_for("a call that does not wait", lambda: not waited())
    before = waits()
    for _ in range(50):
        assert one.call("eth_getBalance", BOB, "latest")[0]["result"] == "0x0"
        assert one.call("eth_blockNumber")[0]["result"] == "0x0"
    assert waits() == before
    chain.mute = False
    wait_for("a pin", lambda: "counterfoil-pinned" in one.call("eth_getBalance", BOB, "latest")[1])
    one.close()
    chain.end()


def suppliers_of(network):
    """/admin/suppliers: what the gateway's one worker says of each, by key."""
    page = json.loads(net.get(network.gateway.admin + "/admin/suppliers")[2])
    return {row["supplier"]: row["workers"][0] for row in page["suppliers"] if row["workers"]}


def test_a_supplier_that_is_behind_gets_no_pinned_call_and_the_page_says_why(network_factory, anvil_factory):
    """[F14]: two are at the head, one is 50 blocks behind."""
    good, late = anvil_factory(), anvil_factory()
    good.mine(BEHIND + 5)
    late.mine(5)
    network = network_factory(upstreams=[late.url, good.url, good.url], stakes=(1,) * 3,
                              failover=False, gateway=OFTEN | {"debug": True})
    one = net.Http(network.url)
    behind = network.node_keys[0]

    def is_known():
        one.call("eth_getBalance", BOB, "latest")
        row = suppliers_of(network).get(behind)
        return row and row["lag_blocks"] > BEHIND // 2 and row["penalties"]["lag"] > 5 and row["health"] < 64

    wait_for("the lag to show", is_known)
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "eth_getBalance", "params": [BOB, "latest"]})
    passed = 0
    for _ in range(60):
        _, headers, answer = one.request("POST", None, body.encode(), {
            "content-type": "application/json", "counterfoil-debug": "1"})
        assert json.loads(answer)["result"] == "0x0"
        if f"{behind[:16]}=1*0/behind" in headers["counterfoil-debug"]:
            passed += 1
            assert headers["counterfoil-supplier"] != behind
    assert passed > 30
    rows = suppliers_of(network)
    assert all(rows[key]["lag_blocks"] <= 5 for key in network.node_keys[1:])
    one.close()


def test_a_pruned_supplier_is_not_asked_for_older_state_while_another_has_it(network_factory, anvil_factory):
    """Breaks 8: what one does not have any more it is asked for once; what it has it is asked for on."""
    archive, pruned = anvil_factory(), anvil_factory("--prune-history", "5")
    for chain in (archive, pruned):
        pay(chain)
        chain.mine(99)
    network = network_factory(upstreams=[pruned.url, archive.url], stakes=(1, 1), failover=False,
                              gateway=OFTEN | {"hedge_percent": 0})
    one = net.Http(network.url)

    def lacks():
        return network.metric(network.gateway, "counterfoil_gateway_pruned_total")

    def balance(number):
        answer, headers = one.call("eth_getBalance", BOB, hex(number))
        assert answer["result"] == ("0x1" if number > 0 else "0x0")
        return headers["counterfoil-supplier"]

    def both_serve():
        serving.add(one.call("eth_chainId")[1].get("counterfoil-supplier"))
        return serving >= set(network.node_keys)

    def finds_out():
        one.call("eth_getBalance", BOB, "latest")
        balance(20)
        return lacks() > 0

    serving = set()
    wait_for("both to serve", both_serve)

    wait_for("the pruned one to be asked", finds_out)
    assert {balance(number) for number in range(20)} == {network.node_keys[1]}
    assert lacks() <= 3
    # Blocks it has still, and the state of new ones.
    for method, params in (("eth_getBlockByNumber", ["0x5", False]), ("eth_getBalance", [BOB, "0x63"])):
        wait_for(f"the pruned one to answer {method}", lambda m=method, p=params:
                 one.call(m, *p)[1]["counterfoil-supplier"] == network.node_keys[0])
    assert lacks() <= 3
    # When nobody else is there it is asked all the same, and its answer is the client's.
    network.nodes[1].stop()
    wait_for("its error", lambda: "BlockOutOfRange" in one.call("eth_getBalance", BOB, "0x1")[0].get("error", {}).get(
        "message", ""))
    one.close()


@pytest.fixture(scope="module", name="epochs")
def fixture_epochs(network_factory, anvil_factory):
    """(chains, liar, network): suppliers of three owners with epochs of four blocks: one at the head, one
    behind by less than an epoch, and one that can be made to lie."""
    chains = [anvil_factory("--slots-in-an-epoch", "4") for _ in range(2)]
    liar = HeightLiar(chains[0].url)
    network = network_factory(upstreams=[chains[0].url, chains[1].url, liar.url], stakes=(1,) * 3,
                              failover=False, gateway=OFTEN)
    for chain in chains:
        pay(chain)
        chain.mine(20)
    yield chains, liar, network
    liar.end()


@pytest.mark.parametrize("tag, depth", [("safe", 4), ("finalized", 8)])
@pytest.mark.parametrize("lie", [0, 1000, -1000])
def test_safe_and_finalized_rise_and_calls_are_pinned_to_them(epochs, tag, depth, lie):
    """Two suppliers are a block apart, the third lies: what is told never goes backwards, is a block of
    the chain, and not far from the chain's own."""
    (chain, late), liar, network = epochs
    liar.lie = lambda height: max(0, height + lie)
    one = net.Http(network.url)
    told, pinned = [], []
    for _ in range(count("head_rounds")):
        chain.mine()
        answer, headers = one.call("eth_getBlockByNumber", tag, False)
        told.append(int(answer["result"]["number"], 16))
        assert number_of(chain, answer["result"]["hash"]) == told[-1]
        answer, headers = one.call("eth_getBalance", BOB, tag)
        assert answer["result"] == "0x1"
        if headers.get("counterfoil-pinned", "-") != "-":
            pinned.append(number_of(chain, headers["counterfoil-pinned"]))
            told.append(pinned[-1])
        late.mine()
    assert told == sorted(told)
    assert pinned, "none was pinned"
    top = int(net.result(chain.url, "eth_blockNumber"), 16)
    assert told[-1] <= top - depth
    wait_for("the chain's own", lambda: one.call("eth_getBlockByNumber", tag, False)[0]["result"]
             == net.result(chain.url, "eth_getBlockByNumber", tag, False))

    def is_shown():
        height = int(one.call("eth_blockNumber")[0]["result"], 16)
        one.call("eth_getBlockByNumber", tag, False)
        return network.metric(network.gateway, "counterfoil_gateway_head") == height

    for _ in range(3):
        wait_for("the served height among the metrics", is_shown, interval=0.15)
    one.close()


def test_the_chain_does_not_stand_still_when_only_heads_are_not_told(network_factory, anvil_factory):
    """Soak only: it takes as long as calls are pinned to a block that nobody confirms."""
    for _ in range(count("head_silences")):
        chain = anvil_factory()
        proxy = HeightLiar(chain.url)
        network = network_factory(upstreams=[proxy.url], stakes=(1, 1), gateway=OFTEN)
        one = net.Http(network.url)
        chain.mine(20)
        wait_for("a pin", lambda: "counterfoil-pinned" in one.call("eth_getBalance", BOB, "latest")[1])
        proxy.mute = True
        pay(chain)
        chain.mine(20)
        wait_for("the payment", lambda: one.call("eth_getBalance", BOB, "latest")[0].get("result") == "0x1")
        wait_for("the height", lambda: one.call("eth_blockNumber")[0].get("result") == hex(41))
        one.close()
        proxy.end()
