# SPDX-License-Identifier: Apache-2.0
"""Heads that do not go backwards, calls that are pinned to them, and what becomes of a
reorganisation, a node that is behind and one that lies about heights."""

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
    """(good chain, late chain, liar, network): five nodes, of which one is 50 blocks behind and one
    lies about its height."""
    good, late = anvil_factory(), anvil_factory()
    for chain in (good, late):
        pay(chain)
        chain.mine(9)
    good.mine(BEHIND)
    liar = HeightLiar(good.url)
    honest = [HeightLiar(good.url), HeightLiar(good.url)]  # that never lie: other URLs
    network = network_factory(upstreams=[late.url, liar.url, good.url, *(one.url for one in honest)],
                              stakes=(1,) * 5, gateway=OFTEN)
    yield good, late, liar, network
    for proxy in [liar, *honest]:
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
    good, late, liar, network = crowd
    liar.lie = (lambda height: lie) if lie > 10**6 else (lambda height: max(0, height + lie))
    seen = heights(network, good, late, count("head_rounds"))
    top = int(net.result(good.url, "eth_blockNumber"), 16)
    assert all(seen), "each block that a call was pinned to is one of the chain"
    assert seen == sorted(seen)
    assert seen[-1] <= top + 3, "what is told is not far from what is true"
    assert seen[-1] >= top - 8


def test_a_block_by_its_number_is_not_asked_of_one_that_does_not_have_it(crowd):
    good, _, liar, network = crowd
    liar.lie = lambda height: height
    one = net.Http(network.url)
    wait_for("a head that is known", lambda: one.call("eth_getBalance", BOB, "latest")[0]["result"])
    top = int(net.result(good.url, "eth_blockNumber"), 16)
    for number in range(top - 20, top - 4):
        answer, _ = one.call("eth_getBlockByNumber", hex(number), False)
        assert answer["result"]["number"] == hex(number)
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
