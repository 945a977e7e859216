# SPDX-License-Identifier: Apache-2.0
"""The Python implementation of hashes of blocks: it reads back the vectors that the C tests read, and
what real networks agreed on."""

import json
import pathlib

import pytest

from reference.counterfoil_ref import evm
from support import beacon

TESTS = pathlib.Path(__file__).resolve().parent.parent


def test_vectors_of_digests_and_tries():
    vectors = json.loads((TESTS / "vectors/evm.json").read_text())
    for row in vectors["keccak"]:
        assert evm.keccak(bytes(7 * i % 256 for i in range(row["n"]))).hex() == row["digest"]
    for row in vectors["list_roots"]:
        values = [bytes([i % 256]) * (1 + i * row["step"] % row["most"]) for i in range(row["n"])]
        assert evm.list_root(values).hex() == row["root"]
    for row in vectors["key_roots"]:
        pairs = {bytes.fromhex(key): bytes.fromhex(value) for key, value in row["pairs"]}
        assert evm.trie_root(pairs).hex() == row["root"]


def test_a_mainnet_block_and_its_receipts():
    folder = TESTS / "data/mainnet-21925176"
    block = json.loads((folder / "block.json").read_text())
    receipts = json.loads((folder / "receipts.json").read_text())
    assert "0x" + evm.header_hash(block).hex() == block["hash"]
    assert "0x" + evm.withdrawals_root(block["withdrawals"]).hex() == block["withdrawalsRoot"]
    assert "0x" + evm.receipts_root(receipts).hex() == block["receiptsRoot"]
    for receipt in receipts:
        assert "0x" + evm.bloom(receipt["logs"]).hex() == receipt["logsBloom"]


@pytest.mark.parametrize("name", beacon.NAMES)
def test_blocks_that_consensus_clients_hold(name):
    block = beacon.block(name)
    assert "0x" + evm.header_hash(block).hex() == block["hash"]


def test_cases_of_the_specification():
    seen = 0
    for path in sorted((TESTS / "data/execution-apis").glob("eth_get*/*.io")):
        for line in path.read_text().splitlines():
            result = json.loads(line[3:]).get("result") if line.startswith("<< ") else None
            if path.parent.name.startswith("eth_getBlockBy") and result:
                assert "0x" + evm.header_hash(result).hex() == result["hash"], path
                seen += 1
            if path.parent.name == "eth_getTransactionByHash" and result:
                assert "0x" + evm.keccak(evm.transaction_bytes(result)).hex() == result["hash"], path
                seen += 1
    assert seen >= 15
