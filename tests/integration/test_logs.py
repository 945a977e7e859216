# SPDX-License-Identifier: Apache-2.0
"""eth_getLogs asked in parts: the same answer as the chain's own, whatever backends take at a time."""

import base64
import json
import re
from concurrent import futures

import pytest

from support import net, paths
from support.emitter import LONG, Emitter, mine, topic_of
from support.network import Network
from support.picky import Picky
from support.process import wait_for

CHUNK = 100
RECEIPT = re.compile(r"[0-9a-f]{32}/\d+/[0-9a-f]{32}")


def texts(error_class):
    """The vendors' texts of a class, with what stands for any text filled in."""
    rows = (paths.ROOT / "chains/methods/evm_errors.def").read_text()
    found = re.findall(rf'^TEXT\("([^"]+)", {error_class}\)', rows, re.MULTILINE)
    return [text.replace("*", "10") for text in found]


@pytest.fixture(scope="module", name="world")
def fixture_world(folder, anvil_factory):
    """(chain, backend, network, emitters): logs of three contracts in some of 450 blocks."""
    chain = anvil_factory()
    emitters = [Emitter(chain.url), Emitter(chain.url), Emitter(chain.url, LONG)]
    net.result(chain.url, "evm_setAutomine", False)
    for n in range(40):
        for topic, emitter in enumerate((emitters[0], emitters[1], emitters[0], emitters[1])):
            emitter.log(topic + n % 3)
        mine(chain.url)
        mine(chain.url, 10)
    for _ in range(40):
        emitters[2].log(9)
    mine(chain.url, 20)
    backend = Picky(chain.url)
    network = Network(folder / "net", [backend.url], applications=21, gateway={
        "hedge_percent": 0,  # no part is asked for twice because it was slow
        "logs_chunk": CHUNK, "logs_blocks_max": 1000, "logs_parts_max": 64, "gather_max": "256 KiB",
        "gather_bytes_max": "300 KiB", "logs_parallel": 10})
    network.start()
    yield chain, backend, network, emitters
    try:
        network.stop()  # a leak would be an exit of its own
    finally:
        network.end()
        backend.end()


@pytest.fixture(autouse=True)
def fixture_reset(world):
    """Each test begins with a backend that takes all."""
    world[1].reset()


def ask(url, **wanted):
    """(answer as bytes with the id cut off, headers)."""
    client = net.Http(url)
    body = {"jsonrpc": "2.0", "id": 7, "method": "eth_getLogs", "params": [wanted]}
    _, headers, answer = client.post(json.dumps(body).encode())
    client.close()
    return json.loads(answer), headers


def receipts_of(headers):
    """Of the one call."""
    return headers["counterfoil-receipt"].split("+")


def assert_same(world, url=None, **wanted):
    """The gateway's answer is the chain's; its headers."""
    chain, _, network, _ = world
    want, _ = ask(chain.url, **wanted)
    got, headers = ask(url or network.url, **wanted)
    assert got == want
    return headers


def test_parts_are_not_asked_of_one_that_has_pruned_their_blocks(network_factory, world):
    """But for the first, by which it shows."""
    chain, archive, _, _ = world
    pruned = Picky(chain.url)
    pruned.oldest = 300
    network = network_factory(upstreams=[pruned.url, archive.url], stakes=(1, 1), failover=False, gateway={
        "hedge_percent": 0, "logs_chunk": CHUNK, "logs_parallel": 1, "cache_bytes": "0 B", "head_interval": "100 ms"})
    client = net.Http(network.url)
    try:
        wait_for("a head", lambda: client.call("eth_getBalance", "0x" + "00" * 20, "latest")[1].get(
            "counterfoil-pinned", "-") != "-")

        def has_shown():
            assert_same(world, network.url, fromBlock="0x1", toBlock=hex(250))
            return pruned.spans

        wait_for("a part that it does not have", has_shown)
        asked = len(pruned.spans)
        for _ in range(10):
            assert_same(world, network.url, fromBlock="0x1", toBlock=hex(250))
        assert len(pruned.spans) <= asked + 2  # once for each part, from the oldest on
    finally:
        client.close()
        pruned.end()


def test_a_range_over_the_chunk_is_asked_in_parts_that_tile_it_each_with_its_receipt(world):
    """[G7]"""
    _, backend, network, _ = world
    headers = assert_same(world, fromBlock="0x1", toBlock=hex(430))
    spans = sorted(backend.spans)
    assert len(spans) == 5 and spans[0][0] == 1 and spans[-1][1] == 430
    assert all(a[1] + 1 == b[0] for a, b in zip(spans, spans[1:]))
    receipts = receipts_of(headers)
    assert len(receipts) == len(set(receipts)) == 5
    assert all(RECEIPT.fullmatch(receipt) for receipt in receipts)
    assert len(headers["counterfoil-supplier"].split("+")) == 5
    assert len(headers["counterfoil-session"].split("+")) == 5
    for receipt, span in zip(receipts, spans):
        lane, seq, salt = receipt.split("/")
        status, _, body = net.get(f"{network.url}.counterfoil/receipts/{lane}/{seq}?salt={salt}")
        assert status == 200
        bundle = json.loads(body)
        request = base64.b64decode(bundle["request"])
        assert f'"fromBlock": "{hex(span[0])}", "toBlock": "{hex(span[1])}"'.encode() in request


def test_a_range_within_the_chunk_is_one_relay(world):
    headers = assert_same(world, fromBlock=hex(100), toBlock=hex(199))
    assert len(receipts_of(headers)) == 1 and len(world[1].spans) == 1


@pytest.mark.parametrize("text", texts("TOO_LARGE"))
def test_too_large_in_any_vendors_words_is_divided(world, text):
    world[1].blocks = 40
    world[1].error = {"code": -32000, "message": f"Error: {text} (see our plans)"}
    assert_same(world, fromBlock=hex(40), toBlock=hex(160))


def test_what_was_too_large_is_not_tried_again(world):
    _, backend, _, _ = world
    backend.blocks = 40
    assert_same(world, fromBlock=hex(1), toBlock=hex(300))
    backend.refused = 0
    assert_same(world, fromBlock=hex(2), toBlock=hex(301))
    assert backend.refused == 0


@pytest.mark.parametrize("limit", [7, 20])
def test_what_a_backend_says_of_its_limit_is_taken_at_once_and_remembered(world, limit):
    _, backend, network, _ = world
    backend.blocks = limit
    backend.error = {"code": -32614, "message": f"eth_getLogs is limited to a {limit} range"}
    url = f"{network.url}eth/application-token-{limit:06d}"
    last = 4 * limit + 1
    assert_same(world, url=url, fromBlock=hex(1), toBlock=hex(last))
    assert backend.refused == 2  # the whole, by two owners
    assert sorted(span for span in backend.spans if span != (1, last)) == [
        (n * limit + 1, min(n * limit + limit, last)) for n in range(5)]
    assert_same(world, url=url, fromBlock=hex(2), toBlock=hex(3 * limit))
    assert backend.refused == 2


def test_too_many_logs_are_divided_down_to_one_block_address_and_topic(world):
    _, backend, _, emitters = world
    backend.addresses = backend.topics = 1
    both = [emitters[0].address, emitters[1].address, emitters[0].address]
    headers = assert_same(world, fromBlock=hex(6), toBlock=hex(9), address=both,
                          topics=[[topic_of(0), topic_of(1), topic_of(2), topic_of(3)]])
    assert len(receipts_of(headers)) > 12


@pytest.mark.parametrize("text", texts("TOO_MANY"))
def test_too_many_addresses_or_topics_are_divided_whatever_the_range(world, text):
    _, backend, _, emitters = world
    backend.addresses, backend.topics = 2, 1
    backend.error = {"code": -32602, "message": f"Error: {text}"}
    addresses = [emitters[1].address, emitters[2].address, emitters[0].address]
    headers = assert_same(world, fromBlock=hex(6), toBlock=hex(20), address=addresses,
                          topics=[[topic_of(0), topic_of(1), topic_of(2)]])
    assert len(receipts_of(headers)) >= 6


def test_tags_at_the_end_mean_the_height_of_now(world):
    world[1].blocks = 40
    for wanted in ({"fromBlock": hex(300), "toBlock": "latest"}, {"fromBlock": hex(300)},
                   {"fromBlock": "earliest", "toBlock": hex(99)}):
        headers = assert_same(world, **wanted)
        assert len(receipts_of(headers)) > 1


def test_parts_that_come_in_pieces_are_joined_too(world):
    """One block of the range has logs of about 200 KB."""
    chain, backend, network, emitters = world
    got = assert_same(world, fromBlock="0x1", toBlock=hex(450), address=emitters[2].address)
    assert len(receipts_of(got)) >= 5
    assert len(ask(chain.url, fromBlock="0x1", toBlock=hex(450),
                   address=emitters[2].address)[0]["result"]) == 40
    assert network.metric(network.gateway, "counterfoil_gateway_gathered_bytes") == 0
    assert backend.refused == 0


def test_an_error_that_is_not_too_large_is_the_calls_answer_in_the_suppliers_words(world):
    _, backend, network, _ = world
    backend.fails = (250,)
    got, headers = ask(network.url, fromBlock="0x1", toBlock=hex(430))
    assert got == {"jsonrpc": "2.0", "id": 7,
                   "error": {"code": -32602, "message": "invalid params: no such filter"}}
    assert len(receipts_of(headers)) == 1


def test_what_cannot_be_divided_further_is_answered_with_the_suppliers_own_error(world):
    _, backend, network, _ = world
    backend.blocks = 0
    got, _ = ask(network.url, fromBlock=hex(100), toBlock=hex(130))
    assert got["error"] == backend.error


def test_more_parts_than_there_may_be_are_answered_with_the_suppliers_own_error(world):
    _, backend, network, _ = world
    backend.blocks = 2
    got, _ = ask(network.url, fromBlock="0x1", toBlock=hex(430))
    assert got["error"] == backend.error


def test_more_blocks_than_a_call_may_ask_for_are_refused_by_name(world):
    _, backend, network, _ = world
    got, _ = ask(network.url, fromBlock="0x0", toBlock=hex(1000))
    assert got["error"]["code"] == -32005 and got["error"]["data"] == {"error": "too_wide"}
    assert all(last < 1000 for _, last in backend.spans)


def test_more_bytes_than_a_call_may_gather_end_by_name(world):
    """40 logs of 2 KiB in hexadecimal are 190 KB."""
    chain, _, network, emitters = world
    net.result(chain.url, "evm_setAutomine", False)
    for _ in range(2):
        for _ in range(40):
            emitters[2].log(9)
        mine(chain.url)
    head = int(net.result(chain.url, "eth_blockNumber"), 16)
    got, _ = ask(network.url, fromBlock=hex(head - 130), toBlock=hex(head))
    assert got["error"]["data"] == {"error": "upstream_too_large"}
    assert network.metric(network.gateway, "counterfoil_gateway_gathered_bytes") == 0


def test_more_bytes_than_all_may_gather_end_by_name(world):
    """Calls of 190 KB each, side by side until two meet."""
    _, _, network, emitters = world

    def one(n):
        return ask(network.url, fromBlock="0x1", toBlock=hex(450 + n),
                   address=emitters[2].address)[0]

    def refused():
        answers = list(pool.map(one, range(8)))
        return {"error": "overload"} in [got.get("error", {}).get("data") for got in answers]

    with futures.ThreadPoolExecutor(8) as pool:
        wait_for("two that meet", refused)
    assert network.metric(network.gateway, "counterfoil_gateway_gathered_bytes") == 0


def test_in_a_batch_each_call_has_its_own_list(world):
    chain, _, network, _ = world
    batch = [{"jsonrpc": "2.0", "id": 1, "method": "eth_getLogs",
              "params": [{"fromBlock": "0x1", "toBlock": hex(250)}]},
             {"jsonrpc": "2.0", "id": 2, "method": "eth_chainId", "params": []},
             {"jsonrpc": "2.0", "id": 3, "method": "eth_getLogs",
              "params": [{"fromBlock": "0x1", "toBlock": hex(110)}]}]
    answers = []
    for url in (chain.url, network.url):
        client = net.Http(url)
        answers.append(client.post(json.dumps(batch).encode()))
        client.close()
    assert json.loads(answers[0][2]) == json.loads(answers[1][2])
    lists = answers[1][1]["counterfoil-receipt"].split(", ")
    counts = [len(entry.split("+")) for entry in lists]
    assert counts[0] >= 3 and counts[1] == 1 and counts[2] >= 2
