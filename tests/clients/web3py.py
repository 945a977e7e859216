# SPDX-License-Identifier: Apache-2.0
"""A dApp with web3.py: python web3py.py URL.  Prints what record.mjs prints for the others."""

import base64
import json
import pathlib
import sys

import requests
from eth_account import Account
from web3 import HTTPProvider, Web3
from web3.exceptions import ContractCustomError, ContractLogicError, ContractPanicError, Web3RPCError

TILL = json.loads((pathlib.Path(__file__).parent / "contract/Till.json").read_text())
# The first key of anvil's public test mnemonic: worth nothing anywhere else.
TEST_KEY = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"
OTHER = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"
HEADERS = ("counterfoil-receipt", "counterfoil-supplier", "counterfoil-session", "content-type")

steps = []


def watch(response, *_args, **_kwargs):
    """A hook of requests: keeps the bytes of each exchange."""
    body = response.request.body or b""
    steps[-1]["exchanges"].append({
        "request": base64.b64encode(body.encode() if isinstance(body, str) else body).decode(),
        "response": base64.b64encode(response.content).decode(),
        "status": response.status_code,
        "headers": {name: response.headers.get(name) for name in HEADERS}})


def plain(value):
    """A value that JSON can hold."""
    return json.loads(Web3.to_json(value))


def step(name, action):
    """Runs one step; what it returns is compared between two runs of the script."""
    steps.append({"name": name, "exchanges": []})
    value = action()
    steps[-1]["value"] = plain(value) if not isinstance(value, int) else value
    return value


def refused(name, action, error_type):
    """A step that must fail with an error of that type."""
    steps.append({"name": name, "exchanges": []})
    try:
        value = action()
    except error_type as error:
        response = getattr(error, "rpc_response", None) or {}
        steps[-1]["value"] = {"type": type(error).__name__, "data": str(getattr(error, "data", "")),
                              "code": response.get("error", {}).get("code")}
        return
    raise AssertionError(f"{name}: was not refused but gave {value!r}")


def main():
    """The script."""
    session = requests.Session()
    session.hooks["response"].append(watch)
    w3 = Web3(HTTPProvider(sys.argv[1], session=session))
    account = Account.from_key(TEST_KEY)
    eth = w3.eth

    def send(fields):
        fields = {"from": account.address, "nonce": eth.get_transaction_count(account.address),
                  "chainId": eth.chain_id, **fields}
        if "gas" not in fields:
            fields["gas"] = eth.estimate_gas(fields)
        fields["gasPrice"] = eth.gas_price * 2
        return eth.send_raw_transaction(account.sign_transaction(fields).raw_transaction)

    def raw(method, params):
        answer = w3.provider.make_request(method, params)
        return answer["result"] if "result" in answer else answer["error"]

    step("connected", w3.is_connected)
    step("chain id", lambda: eth.chain_id)
    step("block number", lambda: eth.block_number)
    step("genesis block", lambda: eth.get_block(0).hash)
    step("balance", lambda: eth.get_balance(account.address))
    step("gas price", lambda: eth.gas_price)
    step("priority fee", lambda: eth.max_priority_fee)
    step("nonce", lambda: eth.get_transaction_count(account.address))
    till = eth.contract(abi=TILL["abi"], bytecode=TILL["bytecode"])
    deployed = step("deploy a contract", lambda: send(
        {"data": till.constructor(7).data_in_transaction, "value": 0}))
    receipt = step("wait for its receipt",
                   lambda: eth.wait_for_transaction_receipt(deployed, poll_latency=0.05))
    address = receipt.contractAddress
    contract = eth.contract(address=address, abi=TILL["abi"])
    step("code", lambda: eth.get_code(address))
    step("storage", lambda: eth.get_storage_at(address, 0))
    step("read the contract", contract.functions.amount().call)
    step("estimate gas", lambda: contract.functions.set(9).estimate_gas({"from": account.address}))
    sent = step("send a transaction", lambda: send(
        {"to": address, "data": contract.encode_abi("set", [9]), "value": 0}))
    receipt = step("its receipt", lambda: eth.wait_for_transaction_receipt(sent, poll_latency=0.05))
    step("read logs", lambda: contract.events.Changed.get_logs(from_block=0))
    step("logs of a block", lambda: eth.get_logs({"blockHash": receipt.blockHash}))
    step("transaction", lambda: eth.get_transaction(sent))
    step("transaction by index", lambda: eth.get_transaction_by_block(receipt.blockNumber, 0))
    step("transactions in a block", lambda: eth.get_block_transaction_count(receipt.blockNumber))
    step("block with transactions", lambda: eth.get_block(receipt.blockNumber, True))
    refused("a revert with its data", contract.functions.refuse(42, "closed").call, ContractCustomError)
    refused("a revert with a reason", contract.functions.complain().call, ContractLogicError)
    refused("a panic", contract.functions.panic(0).call, ContractPanicError)
    value = step("send value", lambda: send({"to": OTHER, "value": 10**17}))
    step("it is mined", lambda: eth.wait_for_transaction_receipt(value, poll_latency=0.05).status)
    step("balance after it", lambda: eth.get_balance(OTHER))

    def batch():
        with w3.batch_requests() as calls:
            calls.add(eth.get_balance(OTHER))
            calls.add(eth.get_block(0))
            calls.add(eth.get_transaction_receipt(sent))
            calls.add(contract.functions.amount())
            return [str(answer) for answer in calls.execute()]

    step("a batch", batch)
    step("a bad method", lambda: raw("eth_noSuchMethod", []))
    step("a bad parameter", lambda: raw("eth_getBalance", ["0x12", "latest"]))
    refused("a bad raw transaction", lambda: eth.send_raw_transaction("0x01"), Web3RPCError)
    step("fee history", lambda: eth.fee_history(2, "latest", [25, 75]))
    step("proof", lambda: eth.get_proof(address, ["0x" + "00" * 32]))
    step("syncing", lambda: eth.syncing)
    step("client version", lambda: w3.client_version)
    step("net version", lambda: w3.net.version)
    step("an answer of 200,000 bytes", lambda: len(contract.functions.blob(100000).call()))
    print(json.dumps(steps))


if __name__ == "__main__":
    main()
