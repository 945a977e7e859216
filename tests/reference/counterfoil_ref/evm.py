# SPDX-License-Identifier: Apache-2.0
"""Hashes of EVM blocks, from the Yellow Paper and the EIPs: RLP, tries, headers, transactions, receipts.

Keccak-256 is pycryptodome's; the rest is here, and shares no code with chains/evm.
"""

import hashlib

from Crypto.Hash import keccak as _keccak

EMPTY_ROOT = "0x56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421"


def keccak(data):
    return _keccak.new(digest_bits=256, data=data).digest()


def rlp(item):
    """Bytes, numbers, and lists of them."""
    if isinstance(item, int):
        item = item.to_bytes((item.bit_length() + 7) // 8, "big")
    if isinstance(item, (list, tuple)):
        return _with_head(b"".join(rlp(part) for part in item), 0xC0)
    if len(item) == 1 and item[0] < 0x80:
        return bytes(item)
    return _with_head(bytes(item), 0x80)


def _with_head(body, kind):
    if len(body) <= 55:
        return bytes([kind + len(body)]) + body
    length = len(body).to_bytes((len(body).bit_length() + 7) // 8, "big")
    return bytes([kind + 55 + len(length)]) + length + body


def unrlp(data):
    """What rlp() made: bytes and lists."""
    item, rest = _take(data)
    if rest:
        raise ValueError("bytes behind the item")
    return item


def _take(data):
    kind = data[0]
    if kind < 0x80:
        return data[:1], data[1:]
    base = 0x80 if kind < 0xC0 else 0xC0
    size, head = kind - base, 1
    if size > 55:
        head = 1 + size - 55
        size = int.from_bytes(data[1:head], "big")
    body, rest = data[head:head + size], data[head + size:]
    if base == 0x80:
        return body, rest
    items = []
    while body:
        item, body = _take(body)
        items.append(item)
    return items, rest


# --- tries ---

def trie_root(pairs):
    """The root of a mapping from bytes to bytes; no key is the beginning of another."""
    rows = sorted(([n for b in key for n in (b >> 4, b & 15)], value) for key, value in pairs.items())
    return keccak(rlp(_node(rows, 0))) if rows else keccak(rlp(b""))


def list_root(values):
    return trie_root({rlp(i): value for i, value in enumerate(values)})


def _path(nibbles, leaf):
    flag = 2 * leaf + len(nibbles) % 2
    nibbles = [flag] + ([] if len(nibbles) % 2 else [0]) + nibbles
    return bytes(nibbles[i] << 4 | nibbles[i + 1] for i in range(0, len(nibbles), 2))


def _node(rows, depth):
    first, last = rows[0][0], rows[-1][0]
    if len(rows) == 1:
        return [_path(first[depth:], True), rows[0][1]]
    common = depth
    while first[common] == last[common]:
        common += 1
    if common > depth:
        return [_path(first[depth:common], False), _reference(_node(rows, common))]
    children = []
    for nibble in range(16):
        below = [row for row in rows if row[0][depth] == nibble]
        children.append(_reference(_node(below, depth + 1)) if below else b"")
    return children + [b""]


def _reference(node):
    return node if len(rlp(node)) < 32 else keccak(rlp(node))


# --- what JSON-RPC shows, as the items that are hashed ---

def data(text):
    return bytes.fromhex(text[2:])


def number(text):
    return int(text, 16)


HEADER = [("parentHash", data), ("sha3Uncles", data), ("miner", data), ("stateRoot", data),
          ("transactionsRoot", data), ("receiptsRoot", data), ("logsBloom", data), ("difficulty", number),
          ("number", number), ("gasLimit", number), ("gasUsed", number), ("timestamp", number),
          ("extraData", data), ("mixHash", data), ("nonce", data)]
HEADER_LATER = [("baseFeePerGas", number), ("withdrawalsRoot", data), ("blobGasUsed", number),
                ("excessBlobGas", number), ("parentBeaconBlockRoot", data), ("requestsHash", data)]


def header_rlp(block):
    items = [read(block[name]) for name, read in HEADER]
    items += [read(block[name]) for name, read in HEADER_LATER if block.get(name) is not None]
    return rlp(items)


def header_hash(block):
    return keccak(header_rlp(block))


def _access_list(tx):
    return [[data(row["address"]), [data(key) for key in row["storageKeys"]]] for row in tx["accessList"]]


def _authorizations(tx):
    return [[number(row["chainId"]), data(row["address"]), number(row["nonce"]), number(row["yParity"]),
             number(row["r"]), number(row["s"])] for row in tx["authorizationList"]]


def transaction_bytes(tx):
    """The bytes that are hashed, and stand in the trie."""
    kind = number(tx.get("type", "0x0"))
    to = data(tx["to"]) if tx["to"] else b""
    body = [to, number(tx["value"]), data(tx["input"])]
    nonce, gas = number(tx["nonce"]), number(tx["gas"])
    signature = [number(tx.get("yParity", tx["v"])), number(tx["r"]), number(tx["s"])]
    if kind == 0:
        signature[0] = number(tx["v"])
        return rlp([nonce, number(tx["gasPrice"]), gas] + body + signature)
    items = [number(tx["chainId"]), nonce]
    if kind == 1:
        items += [number(tx["gasPrice"])]
    else:
        items += [number(tx["maxPriorityFeePerGas"]), number(tx["maxFeePerGas"])]
    items += [gas] + body + [_access_list(tx)]
    if kind == 3:
        items += [number(tx["maxFeePerBlobGas"]), [data(h) for h in tx["blobVersionedHashes"]]]
    if kind == 4:
        items += [_authorizations(tx)]
    return bytes([kind]) + rlp(items + signature)


def transactions_root(transactions):
    return list_root([transaction_bytes(tx) for tx in transactions])


def withdrawals_root(withdrawals):
    return list_root([rlp([number(w["index"]), number(w["validatorIndex"]), data(w["address"]),
                           number(w["amount"])]) for w in withdrawals])


def bloom(logs):
    bits = 0
    for log in logs:
        for item in [log["address"]] + log["topics"]:
            digest = keccak(data(item))
            for i in (0, 2, 4):
                bits |= 1 << (int.from_bytes(digest[i:i + 2], "big") & 2047)
    return bits.to_bytes(256, "big")


def receipt_bytes(receipt):
    kind = number(receipt.get("type", "0x0"))
    first = data(receipt["root"]) if "root" in receipt else number(receipt["status"])
    logs = [[data(log["address"]), [data(t) for t in log["topics"]], data(log["data"])]
            for log in receipt["logs"]]
    body = rlp([first, number(receipt["cumulativeGasUsed"]), data(receipt["logsBloom"]), logs])
    return (bytes([kind]) if kind else b"") + body


def receipts_root(receipts):
    return list_root([receipt_bytes(receipt) for receipt in receipts])


# --- and back: transactions and blocks as JSON-RPC shows them, from what consensus clients hold ---

def _q(value):
    return hex(int.from_bytes(value, "big"))


def _x(value):
    return "0x" + value.hex()


_TYPED = {
    1: ["chainId", "nonce", "gasPrice", "gas", "to", "value", "input", "accessList"],
    2: ["chainId", "nonce", "maxPriorityFeePerGas", "maxFeePerGas", "gas", "to", "value", "input", "accessList"],
}
_TYPED[3] = _TYPED[2] + ["maxFeePerBlobGas", "blobVersionedHashes"]
_TYPED[4] = _TYPED[2] + ["authorizationList"]


def _shown(name, item):
    if name == "to":
        return _x(item) if item else None
    if name == "input":
        return _x(item)
    if name == "accessList":
        return [{"address": _x(address), "storageKeys": [_x(key) for key in keys]} for address, keys in item]
    if name == "blobVersionedHashes":
        return [_x(entry) for entry in item]
    if name == "authorizationList":
        names = ("chainId", "address", "nonce", "yParity", "r", "s")
        return [{n: _x(v) if n == "address" else _q(v) for n, v in zip(names, row)} for row in item]
    return _q(item)


def transaction_of(raw):
    """Its fields, without those that take a recovery of keys."""
    if raw[0] >= 0xC0:
        names = ["nonce", "gasPrice", "gas", "to", "value", "input", "v", "r", "s"]
        items, tx = unrlp(raw), {"type": "0x0"}
    else:
        names = _TYPED[raw[0]] + ["yParity", "r", "s"]
        items, tx = unrlp(raw[1:]), {"type": hex(raw[0])}
    assert len(items) == len(names)
    tx.update((name, _shown(name, item)) for name, item in zip(names, items))
    if raw[0] < 0xC0:
        tx["v"] = tx["yParity"]
    tx["hash"] = _x(keccak(raw))
    return tx


# what a request holds, in order (EIP-6110, EIP-7002, EIP-7251); numbers are 8 bytes, little-endian
_REQUESTS = {
    "deposits": ["pubkey", "withdrawal_credentials", "amount", "signature", "index"],
    "withdrawals": ["source_address", "validator_pubkey", "amount"],
    "consolidations": ["source_address", "source_pubkey", "target_pubkey"],
}


def requests_hash(requests):
    """EIP-7685: of the lists of requests of a beacon block."""
    digests = []
    for kind, (name, fields) in enumerate(_REQUESTS.items()):
        items = b"".join(data(row[field]) if row[field].startswith("0x") else int(row[field]).to_bytes(8, "little")
                         for row in requests[name] for field in fields)
        if items:
            digests.append(hashlib.sha256(bytes([kind]) + items).digest())
    return hashlib.sha256(b"".join(digests)).digest()


def block_of(beacon):
    """The block that a beacon block carries (consensus-specs, ExecutionPayload).

    Its hash is the payload's own, so whoever recomputes it compares with what the network agreed on.
    """
    body = beacon["body"]
    payload = body["execution_payload"]
    transactions = [transaction_of(data(raw)) for raw in payload["transactions"]]
    for index, tx in enumerate(transactions):
        tx.update(blockHash=payload["block_hash"], blockNumber=hex(int(payload["block_number"])),
                  transactionIndex=hex(index))
    withdrawals = [{"index": hex(int(w["index"])), "validatorIndex": hex(int(w["validator_index"])),
                    "address": w["address"], "amount": hex(int(w["amount"]))} for w in payload["withdrawals"]]
    block = {
        "hash": payload["block_hash"], "parentHash": payload["parent_hash"],
        "sha3Uncles": _x(keccak(rlp([]))), "miner": payload["fee_recipient"],
        "stateRoot": payload["state_root"], "transactionsRoot": _x(transactions_root(transactions)),
        "receiptsRoot": payload["receipts_root"], "logsBloom": payload["logs_bloom"], "difficulty": "0x0",
        "number": hex(int(payload["block_number"])), "gasLimit": hex(int(payload["gas_limit"])),
        "gasUsed": hex(int(payload["gas_used"])), "timestamp": hex(int(payload["timestamp"])),
        "extraData": payload["extra_data"], "mixHash": payload["prev_randao"], "nonce": "0x" + 16 * "0",
        "baseFeePerGas": hex(int(payload["base_fee_per_gas"])),
        "withdrawalsRoot": _x(withdrawals_root(withdrawals)), "transactions": transactions,
        "withdrawals": withdrawals, "uncles": [],
    }
    if "blob_gas_used" in payload:
        block.update(blobGasUsed=hex(int(payload["blob_gas_used"])),
                     excessBlobGas=hex(int(payload["excess_blob_gas"])),
                     parentBeaconBlockRoot=beacon["parent_root"])
    if "execution_requests" in body:
        block.update(requestsHash=_x(requests_hash(body["execution_requests"])))
    return block
