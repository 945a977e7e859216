# SPDX-License-Identifier: Apache-2.0
"""What answers say of themselves: blocks, transactions, receipts and logs of real networks and of
anvil under each fork's rules are no faults, and each value that is changed makes one.  And what the
gateway makes of it, when suppliers lie ([G9])."""

import concurrent.futures
import json
import time

import pytest

from support import beacon, net, paths
from support.anvil import Anvil
from support.counts import count
from support.geth import Geth
from support.liar import Liar, altered, untrue
from support.mainnet import Mainnet, values
from support.process import wait_for
from support.verify import Verifier

FORKS = ("frontier", "homestead", "tangerine", "spuriousdragon", "byzantium", "constantinople", "petersburg",
         "istanbul", "muirglacier", "berlin", "london", "arrowglacier", "grayglacier", "paris", "shanghai",
         "cancun", "prague", "osaka")

# What no hash covers (chains/evm/*.h say why).  A transaction of another type may have other members,
# and is not judged then.
BLOCK = {"size", "totalDifficulty", "transactions.from", "transactions.gasPrice", "transactions.type",
         "transactions.blockTimestamp"}
RECEIPTS = {"transactionHash", "from", "to", "contractAddress", "effectiveGasPrice", "blobGasUsed",
            "blobGasPrice", "blockTimestamp", "logs.blockTimestamp", "authorizationList"}
LOGS = {"data", "transactionHash", "transactionIndex", "blockTimestamp"}

# Emits a log with two topics and one without, with the first word of its calldata.
EMITTER = "0x6015600c60003960156000f3" "600035600052" "6002600160206000a2" "60206000a0" "00"


@pytest.fixture
def verifier():
    one = Verifier()
    yield one
    assert one.close() == 0


def assert_covered(verifier, uncovered, method, params, result, stride=None):
    tried, unnoticed = verifier.unnoticed(method, params, result, stride or count("flips_stride"))
    assert tried > 0
    assert {path for path, _ in unnoticed} <= uncovered, (method, unnoticed)
    return tried


@pytest.mark.parametrize("name", beacon.NAMES)
def test_whole_blocks_of_real_networks(verifier, name):
    block = beacon.block(name)
    for method, param in (("eth_getBlockByHash", block["hash"]), ("eth_getBlockByNumber", block["number"])):
        assert verifier.verdict(method, [param, True], block) == "recomputed"
    # Each value of a part of them: a block of a megabyte is hashed anew for each.
    values = json.dumps(block).count('"0x')
    stride = 1 + 3 * values // count("flips_block")
    assert_covered(verifier, BLOCK, "eth_getBlockByNumber", [block["number"], True], block, stride)
    for tx in block["transactions"][:3] + block["transactions"][-3:]:
        assert verifier.verdict("eth_getTransactionByHash", [tx["hash"]], tx) == "recomputed"


def fill(url, fork):
    """Blocks with all that this fork has: transfers, creations, logs, lists of accesses, fees."""
    def call(method, *params):
        return net.result(url, method, *params)

    accounts = call("eth_accounts")
    call("evm_setAutomine", False)
    sender = {"from": accounts[0], "gas": "0x30000"}
    price = {"gasPrice": hex(10 ** 10)}
    fees = {"maxFeePerGas": hex(10 ** 10), "maxPriorityFeePerGas": hex(10 ** 9)}
    accesses = {"accessList": [{"address": accounts[1], "storageKeys": ["0x" + 64 * "1", "0x" + 64 * "0"]},
                               {"address": accounts[2], "storageKeys": []}]}
    call("eth_sendTransaction", {**sender, **price, "to": accounts[1], "value": "0x123456789"})
    created = call("eth_sendTransaction", {**sender, **price, "data": EMITTER})
    call("anvil_mine", "0x1")
    emitter = call("eth_getTransactionReceipt", created)["contractAddress"]
    later = FORKS.index(fork) >= FORKS.index("london")
    for i in range(3):
        word = "0x" + 63 * "0" + str(i)
        call("eth_sendTransaction", {**sender, **price, "to": emitter, "data": word})
        call("eth_sendTransaction", {**sender, **price, "from": accounts[3], "to": accounts[4], "value": "0x0"})
        if FORKS.index(fork) >= FORKS.index("berlin"):
            call("eth_sendTransaction", {**sender, **price, **accesses, "to": emitter, "data": word})
        if later:
            call("eth_sendTransaction", {**sender, **fees, "to": emitter, "data": word})
            call("eth_sendTransaction", {**sender, **fees, **accesses, "to": emitter, "data": word})
    call("anvil_mine", "0x2")


@pytest.mark.parametrize("fork", FORKS)
def test_blocks_of_anvil(tmp_path, verifier, fork):
    chain = Anvil(tmp_path, words=["--hardfork", fork]).start()
    try:
        fill(chain.url, fork)
        head = int(net.result(chain.url, "eth_blockNumber"), 16)
        assert head >= 3
        for number in range(head + 1):
            check_block(chain.url, verifier, hex(number))
        assert check_logs(chain.url, verifier) > 0
        for tag in ("latest", "pending", "earliest", "safe", "finalized"):
            block = net.result(chain.url, "eth_getBlockByNumber", tag, True)
            assert verifier.verdict("eth_getBlockByNumber", [tag, True], block).split()[0] in ("plain", "recomputed"), tag
    finally:
        chain.stop()


def check_block(url, verifier, number):
    """A block, its transactions and its receipts."""
    block = net.result(url, "eth_getBlockByNumber", number, True)
    verdict = verifier.verdict("eth_getBlockByNumber", [number, True], block)
    if "blobGasUsed" in block and "withdrawalsRoot" not in block:
        # anvil's first block under old rules: a later fork's fields without those between.  Which
        # field is which does not follow from its hash then.
        assert number == "0x0" and verdict == "plain"
        return
    # The headers of uncles are not in the answer, so their hashes are the supplier's word.
    assert verdict == ("plain" if block["uncles"] else "recomputed")
    assert_covered(verifier, BLOCK | ({"uncles"} if block["uncles"] else set()), "eth_getBlockByHash",
                   [block["hash"], True], block)
    short = net.result(url, "eth_getBlockByNumber", number, False)
    assert verifier.verdict("eth_getBlockByNumber", [number, False], short) == \
        ("plain" if block["transactions"] or block["uncles"] else "recomputed")
    receipts = net.result(url, "eth_getBlockReceipts", number)
    verdict = verifier.verdict("eth_getBlockReceipts", [number], receipts)
    assert verdict == ("recomputed" if receipts else "plain"), "nothing names the block of no receipts"
    if receipts:
        assert verifier.verdict("eth_getBlockReceipts", [block["hash"]], receipts) == "recomputed"
        assert verifier.verdict("eth_getBlockReceipts", [block["hash"]], receipts[:-1]).startswith("differs")
        assert_covered(verifier, RECEIPTS, "eth_getBlockReceipts", [number], receipts)
    for i, tx in enumerate(block["transactions"]):
        one = net.result(url, "eth_getTransactionByHash", tx["hash"])
        assert verifier.verdict("eth_getTransactionByHash", [tx["hash"]], one) == "recomputed"
        one = net.result(url, "eth_getTransactionByBlockNumberAndIndex", number, hex(i))
        assert verifier.verdict("eth_getTransactionByBlockNumberAndIndex", [number, hex(i)], one) == "plain"
        one = net.result(url, "eth_getTransactionReceipt", tx["hash"])
        assert verifier.verdict("eth_getTransactionReceipt", [tx["hash"]], one) == "plain"


def check_logs(url, verifier):
    """Filters of all kinds; returns how many logs there were."""
    everything = net.result(url, "eth_getLogs", {"fromBlock": "0x0", "toBlock": "latest"})
    one = max(everything, key=lambda log: len(log["topics"]))
    second = one["topics"][1] if len(one["topics"]) > 1 else None
    filters = [
        {"fromBlock": "0x1", "toBlock": "0x2"}, {"blockHash": one["blockHash"]},
        {"fromBlock": "earliest", "toBlock": "latest", "address": one["address"].upper().replace("0X", "0x")},
        {"fromBlock": "0x0", "address": [one["address"], "0x" + 40 * "1"], "topics": [one["topics"][0]]},
        {"fromBlock": "0x0", "topics": [None, [second, "0x" + 64 * "3"]] if second else [None]},
        {"fromBlock": "0x0", "topics": []}, {"fromBlock": "0x0", "topics": [[], None]},
        {"fromBlock": "0x0", "address": None, "topics": None},
    ]
    for asked in filters:
        logs = net.result(url, "eth_getLogs", asked)
        assert verifier.verdict("eth_getLogs", [asked], logs) == "plain", asked
    asked = {"blockHash": one["blockHash"], "address": one["address"], "topics": one["topics"]}
    logs = net.result(url, "eth_getLogs", asked)
    tried, unnoticed = verifier.unnoticed("eth_getLogs", [asked], logs)
    assert {path for path, _ in unnoticed} <= LOGS | {"logIndex"} and tried > 0
    return len(everything)


SPECIFICATION = paths.ROOT / "tests/data/execution-apis"  # its chain passes through every fork


def forks_of(config, block):
    """The fork of a block by the genesis' configuration, as the names of what has begun."""
    number, second = int(block["number"], 16), int(block["timestamp"], 16)
    return {name for name, start in config.items()
            if (name.endswith("Block") and number >= start) or (name.endswith("Time") and second >= start)}


def test_blocks_of_geth_under_each_forks_rules(tmp_path, verifier):
    genesis = json.loads((SPECIFICATION / "genesis.json").read_text())
    head = json.loads((SPECIFICATION / "headfcu.json").read_text())["params"][0]["headBlockHash"]
    chain = Geth(tmp_path, genesis=SPECIFICATION / "genesis.json", chain=SPECIFICATION / "chain.rlp").start()
    try:
        chain.set_head(head)
        forks, types = [], set()
        for number in range(int(net.result(chain.url, "eth_blockNumber"), 16) + 1):
            check_block(chain.url, verifier, hex(number))
            block = net.result(chain.url, "eth_getBlockByNumber", hex(number), True)
            types |= {tx["type"] for tx in block["transactions"]}
            if forks_of(genesis["config"], block) not in forks:
                forks.append(forks_of(genesis["config"], block))
        assert block["hash"] == head and types == {"0x0", "0x1", "0x2", "0x3", "0x4"}
        starts = {start for name, start in genesis["config"].items() if name.endswith(("Block", "Time"))}
        assert len(forks) == len(starts), "some forks begin together, and each has a block"
        assert check_logs(chain.url, verifier) > 0
    finally:
        chain.stop()


# --- the gateway ---

FRESH = {"Content-Type": "application/json", "Cache-Control": "no-cache"}  # [G6]


def lie(method, result):
    """What hash, filter or question tell, and a number where a QUANTITY should be."""
    return 12 if method == "eth_getBalance" else untrue(method, result)


def questions(url):
    """(method, parameters, what it is called when it is true)."""
    block = net.result(url, "eth_getBlockByNumber", "0x2", False)
    tx = block["transactions"][0]
    log = net.result(url, "eth_getLogs", {"fromBlock": "0x2", "toBlock": "0x2"})[0]
    return [("eth_getBlockByNumber", ["0x2", True], "recomputed"),
            ("eth_getBlockByNumber", ["0x2", False], "single"),
            ("eth_getBlockByHash", [block["hash"], True], "recomputed"),
            ("eth_getTransactionByHash", [tx], "recomputed"),
            ("eth_getTransactionReceipt", [tx], "single"),
            ("eth_getBlockReceipts", ["0x2"], "recomputed"),
            ("eth_getLogs", [{"fromBlock": "0x2", "toBlock": "0x2", "address": log["address"]}], "single"),
            ("eth_getBalance", [log["address"], "latest"], "single"),
            ("eth_chainId", [], "single")]


@pytest.fixture(scope="module")
def chain(anvil_factory):
    one = anvil_factory()
    fill(one.url, "prague")
    return one


@pytest.fixture
def liars(chain):
    """Starts liars that end with the test."""
    made = []

    def start(say=lie):
        made.append(Liar(chain.url, say))
        return made[-1]

    yield start
    for one in made:
        one.end()


def all_answer(client, suppliers):
    """Waits until each supplier has answered something that is true: there is another to ask then."""
    seen = set()
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "eth_chainId", "params": []})

    def every_one():
        seen.add(client.post(body, FRESH)[1].get("counterfoil-supplier"))
        return len(seen - {None}) == suppliers

    wait_for("all suppliers", every_one)


def test_what_cannot_be_true_is_asked_elsewhere(chain, liars, network_factory):  # [G9]
    liar = liars()
    honest = liars(lambda method, result: result)
    network = network_factory(upstreams=[liar.url, chain.url, honest.url])
    rounds = count("integrity_rounds")
    client = net.Http(network.url)
    all_answer(client, 3)
    for method, params, verified in questions(chain.url) * rounds:
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        status, headers, told = client.post(json.dumps(body), FRESH)
        assert status == 200
        assert json.loads(told).get("result") == net.result(chain.url, method, *params), (method, told)
        # The header that receipts are held against may not have come this way yet.
        assert headers["counterfoil-verified"] == verified or method == "eth_getBlockReceipts"
    client.close()
    assert liar.lies > 0  # and then it rests
    assert network.metric(network.gateway, "counterfoil_gateway_verified_total") > 0
    assert "gateway.untrue_answer" in network.gateway.log()
    network.settled()  # what was untrue is receipted like every answer


def test_who_lies_now_and_then_is_asked_again_when_nobody_else_is_there(chain, liars, network_factory):  # [G9]
    liar = liars()
    liar.every = 2
    network = network_factory(upstreams=[liar.url], stakes=(1,))
    client = net.Http(network.url)
    for method, params, _ in questions(chain.url) * 3:
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        told = json.loads(client.post(json.dumps(body), FRESH)[2])
        assert told.get("result") == net.result(chain.url, method, *params), (method, told)
    client.close()
    assert liar.lies > 0


def test_a_batch_says_how_each_call_was_verified(chain, network_factory):  # [G9]
    network = network_factory(upstreams=[chain.url])
    calls = [{"jsonrpc": "2.0", "id": i, "method": method, "params": params}
             for i, (method, params, _) in enumerate(questions(chain.url)[:4])]
    client = net.Http(network.url)
    status, headers, _ = client.post(json.dumps(calls))
    client.close()
    assert status == 200
    assert headers["counterfoil-verified"] == "recomputed, single, recomputed, recomputed"


def test_a_network_that_hashes_in_its_own_way_is_served(chain, liars, network_factory):  # [G9]
    """All its suppliers agree with each other, and no hash of theirs is that of its fields."""
    def own(method, result):
        if method == "eth_getBlockByNumber" and result:
            return result | {"extraData": result["extraData"] + "07"}
        return result

    network = network_factory(upstreams=[liars(own).url for _ in range(3)])
    client = net.Http(network.url)
    # Its transactions are hashed as they are elsewhere, which says nothing of its blocks.
    tx = net.result(chain.url, "eth_getBlockByNumber", "0x1", False)["transactions"][0]
    assert ask_fresh(client, "eth_getTransactionByHash", [tx])[0]["counterfoil-verified"] == "recomputed"
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "eth_getBlockByNumber", "params": ["0x1", False]})
    # Until two suppliers have been heard, one that differs may be a liar.
    wait_for("an answer", lambda: "result" in json.loads(client.post(body, FRESH)[2]))
    truth = own("eth_getBlockByNumber", net.result(chain.url, "eth_getBlockByNumber", "0x1", False))
    for _ in range(5):
        _, headers, told = client.post(body, FRESH)
        assert json.loads(told)["result"] == truth
        assert headers["counterfoil-verified"] == "single"
    client.close()


# --- answers of many parts ---

NO_HEADS = {"head_interval": "0 s"}  # what is recorded has no head


@pytest.fixture
def mainnet():
    """Starts backends that end with the test."""
    made = []

    def start():
        made.append(Mainnet())
        return made[-1]

    yield start
    for one in made:
        one.end()


def ask_fresh(client, method, params):
    """(headers, answer) by relays of its own."""
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    _, headers, told = client.post(json.dumps(body), FRESH)
    return headers, json.loads(told)


def knows_the_header(client, block):
    """Waits until the gateway has recomputed the header that the receipts are held against."""
    wait_for("the header", lambda: ask_fresh(client, "eth_getBlockByHash", [block["hash"], False])[1].get("result"))


def long_questions(backend):
    """(method, params, the answer of more than a part that is true, what of it nothing covers)."""
    block = backend.add_block("deneb")
    header = backend.result("eth_getBlockByNumber", ["0x14e8d38"])
    questions = [("eth_getBlockByNumber", [block["number"], True], block, BLOCK),
                 ("eth_getBlockReceipts", [header["number"]], backend.receipts, RECEIPTS)]
    assert all(len(json.dumps(result)) > 8 * 65536 for _, _, result, _ in questions)
    return header, questions


def test_no_long_answer_with_a_changed_value_reaches_a_client(mainnet, network_factory):  # [G9] [G5]
    backend = mainnet()
    header, questions = long_questions(backend)
    network = network_factory(upstreams=[backend.url], stakes=(1,), gateway=NO_HEADS)
    client = net.Http(network.url)
    knows_the_header(client, header)
    for method, params, result, uncovered in questions:
        headers, told = ask_fresh(client, method, params)
        assert told["result"] == result and headers["counterfoil-verified"] == "recomputed"
        assert "content-length" in headers and "transfer-encoding" not in headers
        places = [(node, key) for path, node, key in values(result) if path not in uncovered]
        for node, key in places[::len(places) // count("long_flips")]:
            before, lies = node[key], backend.lies
            node[key] = altered(before)
            backend.lie = lambda _, said: json.loads(json.dumps(said))  # the same, as a lie
            _, told = ask_fresh(client, method, params)
            assert "error" in told and backend.lies > lies, (method, key, before)
            node[key] = before
            backend.lie = lambda _, said: said
        headers, told = ask_fresh(client, method, params)
        assert told["result"] == result and headers["counterfoil-verified"] == "recomputed"
    client.close()
    assert network.metric(network.gateway, "counterfoil_gateway_held_bytes") == 0
    network.settled()


def test_a_long_answer_that_is_kept_back_is_everybodys(mainnet, network_factory):  # [G6] [G5]
    backend = mainnet()
    network = network_factory(upstreams=[backend.url], stakes=(1,), gateway=NO_HEADS | {"share": True})
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "eth_getBlockReceipts", "params": ["0x14e8d38"]})

    def ask(_):
        client = net.Http(network.url)
        _, headers, told = client.post(body)
        client.close()
        assert json.loads(told)["result"] == backend.receipts
        return headers.get("counterfoil-cache")

    def slow(_, result):
        time.sleep(0.5)
        return result

    backend.lie = slow
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        wait_for("an answer of another's relay", lambda: "shared" in list(pool.map(ask, range(4))))
    network.settled()


def test_a_long_answer_that_is_not_true_is_asked_elsewhere(mainnet, network_factory):  # [G9]
    backends = [mainnet() for _ in range(3)]
    header, questions = [long_questions(backend) for backend in backends][0]
    liar = backends[0]

    def shortened(method, result):
        if method == "eth_getBlockReceipts":
            return result[:-1]
        if method == "eth_getBlockByNumber":
            return result | {"transactions": result["transactions"][1:]}
        return result

    liar.lie = shortened
    network = network_factory(upstreams=[backend.url for backend in backends], gateway=NO_HEADS, failover=False)
    client = net.Http(network.url)
    all_answer(client, 3)
    knows_the_header(client, header)

    def lied_in_both():
        for method, params, result, _ in questions:
            headers, told = ask_fresh(client, method, params)
            assert told["result"] == result and headers["counterfoil-verified"] == "recomputed"
        return liar.lies > 1

    wait_for("two lies", lied_in_both)
    client.close()
    assert "gateway.untrue_answer" in network.gateway.log()
    network.settled()
