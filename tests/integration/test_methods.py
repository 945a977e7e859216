# SPDX-License-Identifier: Apache-2.0
"""What the tables of chains/methods say is what a real chain does: a call that is pinned says what it
said before, whatever has happened since; answers name their blocks; errors have their classes."""

import pytest

from support import net
from support.methods import Methods

# Stores its calldata's first word and emits it, with one topic; reverts without calldata.
CONTRACT = "0x601b600c600039601b6000f3" "36600857600080fd" "5b60003580600055600052" "600160206000a100"


@pytest.fixture
def methods():
    one = Methods()
    yield one
    assert one.close() == 0


def error_of(url, method, *params):
    one = net.Http(url)
    try:
        answer, _ = one.call(method, *params)
    finally:
        one.close()
    assert "error" in answer, answer
    return answer["error"]


class Chain:
    """A chain with a contract, and one word after the other sent to it."""

    def __init__(self, url):
        self.url = url
        self.accounts = self.call("eth_accounts")
        self.words = 0
        self.call("evm_setAutomine", False)
        self.contract = self.mined({"data": CONTRACT, "gas": "0x50000"})["contractAddress"]

    def call(self, method, *params):
        return net.result(self.url, method, *params)

    def mined(self, transaction):
        """Sends it, and makes a block of it; returns the receipt."""
        sent = self.call("eth_sendTransaction", {"from": self.accounts[0], **transaction})
        self.call("anvil_mine", "0x1")
        return self.call("eth_getTransactionReceipt", sent)

    def send(self):
        """One more word; returns the receipt."""
        self.words += 1
        return self.mined({"to": self.contract, "value": "0x0", "data": f"0x{self.words:064x}"})


@pytest.fixture
def chain(anvil_factory):
    return Chain(anvil_factory().url)


def calls_at_latest(chain):
    """(method, parameters) of calls whose answers change with each block."""
    send = {"from": chain.accounts[0], "to": chain.contract, "data": "0x" + 64 * "7"}
    sender = chain.accounts[0]
    return [
        ("eth_getBalance", [sender, "latest"]), ("eth_getTransactionCount", [sender, "latest"]),
        ("eth_getStorageAt", [chain.contract, "0x0", "latest"]), ("eth_getCode", [chain.contract, "latest"]),
        ("eth_getProof", [chain.contract, ["0x" + 64 * "0"], "latest"]), ("eth_getAccount", [chain.contract, "latest"]),
        ("eth_getAccountInfo", [chain.contract, "latest"]), ("eth_call", [send, "latest"]), ("eth_call", [send]),
        ("eth_estimateGas", [send, "latest"]), ("eth_estimateGas", [send]),
        ("eth_createAccessList", [send, "latest"]), ("debug_traceCall", [send, "latest", {}]),
        ("eth_simulateV1", [{"blockStateCalls": [{"calls": [send]}]}, "latest"]),
        ("eth_getBlockByNumber", ["latest", True]), ("eth_getBlockReceipts", ["latest"]),
        ("eth_getBlockTransactionCountByNumber", ["latest"]),
        ("eth_getTransactionByBlockNumberAndIndex", ["latest", "0x0"]), ("trace_block", ["latest"]),
        ("eth_feeHistory", ["0x2", "latest", [50]]), ("debug_traceBlockByNumber", ["latest", {}]),
        ("eth_getLogs", [{"fromBlock": "latest", "toBlock": "latest"}]), ("eth_getLogs", [{}]),
        ("eth_getLogs", [{"address": chain.contract}]),
    ]


def lasting(method, result):
    """A result without what anvil makes up anew each time."""
    if method == "eth_simulateV1":
        return [block["calls"] for block in result]  # their block has the time of the call
    if method == "eth_feeHistory":
        return {**result, "baseFeePerGas": result["baseFeePerGas"][:-1]}  # the next block's, as of now
    return result


def test_a_pinned_call_says_what_it_said_before(methods, chain):
    for _ in range(3):
        chain.send()
    block = chain.call("eth_getBlockByNumber", "latest", False)
    before = [(method, params, methods.pinned(method, params, block), lasting(method, chain.call(method, *params)))
              for method, params in calls_at_latest(chain)]
    for method, params, pinned, result in before:
        assert pinned and pinned != params, method
        assert lasting(method, chain.call(method, *pinned)) == result, (method, params)
    for _ in range(3):
        chain.send()
    changed = 0
    for method, params, pinned, result in before:
        assert lasting(method, chain.call(method, *pinned)) == result, (method, params)
        changed += lasting(method, chain.call(method, *params)) != result
    assert changed >= 12, "of latest, which has moved"


def test_a_block_that_was_replaced_is_not_answered_for(methods, chain):
    chain.send()
    block = chain.call("eth_getBlockByNumber", "latest", False)
    pinned = methods.pinned("eth_getStorageAt", [chain.contract, "0x0", "latest"], block)
    assert int(chain.call("eth_getStorageAt", *pinned), 16) == chain.words
    chain.call("anvil_reorg", 1, [])
    assert methods.error_class(error_of(chain.url, "eth_getStorageAt", *pinned)) == "missing"


def test_answers_name_their_blocks(methods, chain):
    receipt = chain.send()
    chain.call("anvil_mine", "0x3")
    block = chain.call("eth_getBlockByNumber", receipt["blockNumber"], False)
    number, digest, tx = block["number"], block["hash"], receipt["transactionHash"]
    for method, params, want in (
            ("eth_getBlockByNumber", [number, True], (number, digest)),
            ("eth_getBlockByHash", [digest, False], (number, digest)),
            ("eth_getTransactionByHash", [tx], (number, digest)),
            ("eth_getTransactionReceipt", [tx], (number, digest)),
            ("eth_getTransactionByBlockHashAndIndex", [digest, "0x0"], (number, digest)),
            ("eth_getBlockReceipts", [number], (number, digest)),
            ("eth_getLogs", [{"blockHash": digest}], (number, digest)),
            ("eth_getLogs", [{"fromBlock": number, "toBlock": number}], (number, digest)),
            ("eth_getLogs", [{"fromBlock": "0x0", "toBlock": "latest"}], (None, None)),
            ("trace_block", [number], (number, digest)),
            ("trace_transaction", [tx], (number, digest)),
            ("eth_getBalance", [chain.contract, number], (number, None)),
            ("eth_getBalance", [chain.contract, {"blockHash": digest}], (None, digest)),
            ("eth_getBalance", [chain.contract, "latest"], (None, None)),
            ("eth_blockNumber", [], (hex(int(number, 16) + 3), None)),
            ("eth_getBlockByNumber", ["pending", False], (None, None)),
            ("eth_getTransactionReceipt", ["0x" + 64 * "1"], (None, None))):
        assert methods.block(method, params, chain.call(method, *params)) == want, (method, params)


def test_errors_have_their_classes(methods, chain):
    poor = "0x" + 40 * "9"
    chain.call("anvil_impersonateAccount", poor)
    raw = chain.call("eth_signTransaction", {
        "from": chain.accounts[1], "to": poor, "value": "0x1", "nonce": "0x0", "gas": "0x5208",
        "gasPrice": "0x77359400"})
    chain.call("eth_sendRawTransaction", raw)
    cases = [
        ("execution", "eth_call", [{"to": chain.contract}, "latest"]),
        ("execution", "eth_estimateGas", [{"to": chain.contract}]),
        ("execution", "eth_call", [{"to": chain.contract, "data": "0x" + 64 * "1", "gas": "0x6000"}, "latest"]),
        ("known", "eth_sendRawTransaction", [raw]),
        ("rejected", "eth_sendTransaction", [{"from": poor, "to": poor, "value": "0x1"}]),
        ("missing", "eth_getBalance", [poor, "0xffff"]),
        ("missing", "eth_getBalance", [poor, {"blockHash": "0x" + 64 * "1"}]),
        ("missing", "eth_getLogs", [{"fromBlock": "0xffff", "toBlock": "0x10000"}]),
        ("unsupported", "eth_noSuchThing", []),
        ("client", "eth_getBalance", ["0x1", "latest"]),
        ("client", "eth_getBalance", []),
        ("client", "eth_sendRawTransaction", ["0x00"]),
    ]
    got = [(methods.error_class(error_of(chain.url, method, *params)), method, params) for _, method, params in cases]
    assert got == cases
    chain.call("anvil_mine", "0x1")
    assert methods.error_class(error_of(chain.url, "eth_sendRawTransaction", raw)) == "nonce"
