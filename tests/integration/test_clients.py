# SPDX-License-Identifier: Apache-2.0
"""ethers v6, viem and web3.py, unmodified, through the gateway: each answer is the chain's own.

Two anvils are alike to the byte as long as they are asked alike.  One stands behind the network, the
other is called directly; each script runs against both, and what came over the wire is compared.
"""

import base64
import re

import pytest

from support import net
from support.counts import count
from support.recorded import SCRIPTS, answers_of, calls_of, every_answer, methods_of, run_client

RECEIPT = re.compile(r"[0-9a-f]{32}/\d+/[0-9a-f]{32}")
HEX_32 = re.compile(r"[0-9a-f]{64}")
DIFFERENT_CALLS = 20
# The libraries poll for these as often as time goes by, so two runs ask them at different moments, or
# one of them not at all: viem looks for a transaction only while it has no receipt.
ASKED_BY_TIMING = ("eth_chainId", "eth_blockNumber", "eth_getTransactionReceipt",
                   "eth_getTransactionByHash")


@pytest.fixture(scope="module")
def both_ways(network_factory, anvil_factory):
    """(URL of the gateway in front of one chain, URL of another chain that is its twin)."""
    behind, twin = anvil_factory(), anvil_factory()
    # A chain that mines at once may mine an empty block for the second copy of a transaction.
    network = network_factory(upstreams=[behind.url], gateway={"copies": 1})
    return network.url, twin.url


@pytest.fixture(scope="module", params=sorted(SCRIPTS))
def runs(request, both_ways):
    """(name, steps through the gateway, steps at the twin) of one client."""
    through, direct = both_ways
    for _ in range(count("client_rounds")):
        pair = (run_client(request.param, through), run_client(request.param, direct))
    return (request.param, *pair)


def told_by_chain_at_some_time(chain, method, params, told):
    """Whether a chain that only grew may have told this when it was polled."""
    if "error" in told:
        return False
    now = net.result(chain, method, *params)
    if method == "eth_blockNumber":
        return 0 <= int(told["result"], 16) <= int(now, 16)
    if method in ("eth_getTransactionReceipt", "eth_getTransactionByHash"):
        return told["result"] in (None, now)
    return told["result"] == now


def test_each_client_makes_at_least_twenty_different_calls(runs):
    _, through, _ = runs
    methods, calls = methods_of(through)
    assert len(methods) >= DIFFERENT_CALLS, methods
    assert len(calls) >= DIFFERENT_CALLS
    names = {step["name"] for step in through}
    assert {"deploy a contract", "send a transaction", "read logs", "a revert with its data",
            "a batch", "a bad method", "a bad parameter"} <= names


def test_every_result_and_error_is_the_chains_own(runs):
    name, through, direct = runs
    assert [s["name"] for s in through] == [s["name"] for s in direct]
    for ours, theirs in zip(through, direct):
        left, right = answers_of(ours), answers_of(theirs)
        for call in left.keys() | right.keys():
            if call.split(" ")[0] not in ASKED_BY_TIMING:
                assert left.get(call) == right.get(call), f"{name}: {ours['name']}: {call}"
        assert ours["value"] == theirs["value"], f"{name}: {ours['name']}"


def test_what_is_polled_for_is_the_chains_own(runs, both_ways):
    name, through, _ = runs
    polled = 0
    for step in through:
        for method, params, told in every_answer(step):
            if method in ASKED_BY_TIMING:
                polled += 1
                assert told_by_chain_at_some_time(both_ways[1], method, params, told), \
                    f"{name}: {step['name']}: {method} {params}: {told}"
    assert polled > 0


def test_every_answer_carries_its_receipt(runs):
    name, through, _ = runs
    for step in through:
        for exchange in step["exchanges"]:
            calls = len(calls_of(exchange))
            headers = exchange["headers"]
            assert exchange["status"] == 200 and headers["content-type"] == "application/json"
            where = f"{name}: {step['name']}: {headers}"
            for header, shape in (("counterfoil-receipt", RECEIPT), ("counterfoil-supplier", HEX_32),
                                  ("counterfoil-session", HEX_32)):
                values = [v.strip() for v in (headers[header] or "").split(",")]
                assert len(values) == calls, where
                assert all(shape.fullmatch(v) for v in values), where


def test_a_large_answer_arrives_whole(runs):
    _, through, _ = runs
    step = next(s for s in through if s["name"] == "an answer of 200,000 bytes")
    assert max(len(base64.b64decode(e["response"])) for e in step["exchanges"]) > 200000
