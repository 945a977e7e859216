# SPDX-License-Identifier: Apache-2.0
"""Answers that are kept ([G6]): given again as long as they hold, and no longer.

Chains are reorganised by anvil under a gateway that is asked before and after; what it gives is
compared with what the chain itself says."""

import json
import socket
import threading
import time

import pytest

from support import net
from support.counts import count
from support.backend import Backend
from support.calls import IDS, ask, call, own
from support.process import wait_for


@pytest.fixture(scope="module", name="backend")
def fixture_backend(folder):
    """A scripted chain node, which counts what it is asked."""
    backend = Backend(folder, "backend").start()
    wait_for("the backend", lambda: net.answers(backend.url + "/stats"))
    yield backend
    backend.end()


@pytest.fixture(scope="module", name="scripted")
def fixture_scripted(network_factory, backend):
    """Two suppliers in front of the script, behind a gateway that keeps answers."""
    return network_factory(upstreams=[backend.url], stakes=(1, 1), gateway={"cache_bytes": "4 MiB"})


def is_hit(headers):
    """Whether the answer was kept."""
    return headers.get("counterfoil-cache") == "hit"


def until_hit(network, body):
    """(headers, text) of the first answer that was kept: both suppliers have said the same by then."""
    def hit():
        status, headers, text = ask(network.url, body)
        assert status == 200, text
        return (headers, text) if is_hit(headers) else None
    return wait_for("a kept answer", hit)


def test_what_holds_for_ever_is_given_with_each_id_and_without_a_relay(backend, scripted):
    """[G6]: the receipt is named, and opened by nobody; no node is asked, nothing is paid."""
    body = call("net_version")
    backend.script(methods={"net_version": {"result": "1"}})
    until_hit(scripted, body)
    asked, relayed = backend.asked("net_version"), scripted.relayed()
    for call_id in IDS:
        status, headers, text = ask(scripted.url, call("net_version", call_id=call_id))
        assert (status, text) == (200, f'{{"jsonrpc":"2.0","id":{call_id},"result":"1"}}')
        assert is_hit(headers) and headers["counterfoil-session"] == "-"
        assert headers["counterfoil-supplier"] in scripted.node_keys
        lane, seq = headers["counterfoil-receipt"].split("/")
        assert net.get(f"{scripted.url}.counterfoil/receipts/{lane}/{seq}")[0] == 404
    assert (backend.asked("net_version"), scripted.relayed()) == (asked, relayed)


class Raw:
    """A connection on which the test writes requests by itself."""

    def __init__(self, network):
        self.socket = socket.create_connection(("127.0.0.1", network.port))
        self.socket.settimeout(60)
        self.file = self.socket.makefile("rb")

    def send(self, *pieces):
        """Bytes, each piece when the one before has had time to arrive by itself."""
        for n, piece in enumerate(pieces):
            if n > 0:
                time.sleep(0.05)
            self.socket.sendall(piece)

    def answer(self):
        """(status line, headers but Date, body); None at the end of the connection."""
        status = self.file.readline()
        if not status:
            return None
        headers = {}
        while (line := self.file.readline().decode().strip()):
            name, _, value = line.partition(": ")
            headers[name] = value
        assert headers.pop("Date").endswith(" GMT")
        return status, headers, self.file.read(int(headers["Content-Length"]))


def plain(body, *lines, version="1.1", path="/"):
    """The bytes of a POST with these lines in its head, besides those that all clients send."""
    head = [f"POST {path} HTTP/{version}", "Host: x", "Content-Type: application/json",
            f"Content-Length: {len(body)}", *lines]
    return ("\r\n".join(head) + "\r\n\r\n" + body).encode()


def test_what_is_given_at_once_is_what_is_given_else(backend, scripted):
    """[G6]: plain requests of one who has had a kept answer are answered before all else is looked at, and
    no client can tell."""
    backend.script(methods={"net_version": {"result": "1"}, "web3_sha3": {"result": "0x" + "ab" * 1500}})
    small, large = call("net_version"), call("web3_sha3", '["0x00"]')
    until_hit(scripted, small)
    until_hit(scripted, large)

    def quick():
        return scripted.metric(scripted.gateway, "counterfoil_gateway_cache_quick_total")

    raw, before = Raw(scripted), quick()
    for body in (small, large):
        raw.send(plain(body))
        usual = raw.answer()  # the first of a connection, or after another kind
        assert usual[1]["Counterfoil-Cache"] == "hit"
        for n in range(10):
            raw.send(plain(body))
            assert raw.answer() == usual, n
        raw.send(plain(body, "X-Other: 1"))
        assert raw.answer() == usual
    wait_for("as many as were sent to be counted", lambda: quick() >= before + 20)
    asked, (status, headers, _) = backend.asked("net_version"), usual
    assert status == b"HTTP/1.1 200 OK\r\n" and headers["Access-Control-Allow-Origin"]
    for call_id in IDS:
        raw.send(plain(call("net_version", call_id=call_id)))
        assert raw.answer()[2].decode() == f'{{"jsonrpc":"2.0","id":{call_id},"result":"1"}}'
    assert backend.asked("net_version") == asked
    # In pieces, two at once, of another version, with a wish, and what is no call.
    whole = plain(small)
    for pieces in ((whole[:7], whole[7:]), (whole[:-5], whole[-5:]), (whole + whole[:20], whole[20:]), (whole + whole,)):
        raw.send(*pieces)
        for _ in range(sum(map(len, pieces)) // len(whole)):
            assert raw.answer()[2] == b'{"jsonrpc":"2.0","id":1,"result":"1"}'
        raw.send(whole)
        assert raw.answer()[1]["Counterfoil-Cache"] == "hit"
    raw.send(plain(small, "Cache-Control: no-cache"))
    assert "Counterfoil-Cache" not in raw.answer()[1]
    for body, code in ((small[:-1], -32700), ("[]", -32600), (call("eth_accounts"), -32601)):
        raw.send(whole)
        assert raw.answer()[1]["Counterfoil-Cache"] == "hit"
        raw.send(plain(body))
        assert json.loads(raw.answer()[2])["error"]["code"] == code
    raw.send(whole)
    assert raw.answer()
    raw.send(plain(small, path="/no-such-service"))
    assert raw.answer()[0].startswith(b"HTTP/1.1 404")
    raw.send(plain(f"[{small},{call('net_version', call_id='2')}]"))
    assert [one["id"] for one in json.loads(raw.answer()[2])] == [1, 2]
    raw.send(whole)
    assert raw.answer()
    raw.send(plain(small, "Connection: close"))
    assert raw.answer()[1]["Counterfoil-Cache"] == "hit" and raw.answer() is None


def test_who_asks_on_without_reading_gets_every_answer_whole(backend, scripted):
    """[G6]: more answers than the kernel takes, one request at a time: none is cut or lost."""
    backend.script(methods={"web3_sha3": {"result": "0x" + "cd" * 1000}})
    body = call("web3_sha3", '["0x01"]')
    until_hit(scripted, body)
    raw, whole, many = Raw(scripted), plain(body), 3000
    raw.send(whole)
    usual = raw.answer()
    sender = threading.Thread(target=lambda: [raw.send(whole) for _ in range(many)], daemon=True)
    sender.start()
    time.sleep(0.5)
    for n in range(many):
        assert raw.answer() == usual, n
    sender.join()


def test_a_batch_has_both_kinds_and_a_client_may_insist_on_a_relay(backend, scripted):
    """[G6]: lists in the order of the calls; `Cache-Control: no-cache` gets a receipt with a salt."""
    backend.script(methods={"net_version": {"result": "1"}})
    until_hit(scripted, call("net_version"))
    batch = f'[{call("eth_sendRawTransaction", call_id="5")},{call("net_version", call_id="6")}]'
    _, headers, text = ask(scripted.url, batch)
    assert [answer["id"] for answer in json.loads(text)] == [5, 6]
    assert headers["counterfoil-cache"] == "-, hit"
    assert [r.count("/") for r in headers["counterfoil-receipt"].split(", ")] == [2, 1]
    asked = backend.asked("net_version")
    for wish in ("no-cache", "max-age=0, no-store"):
        _, headers, _ = ask(scripted.url, call("net_version"),
                            {"Content-Type": "application/json", "Cache-Control": wish})
        assert not is_hit(headers) and headers["counterfoil-receipt"].count("/") == 2
    assert backend.asked("net_version") == asked + 2


@pytest.mark.parametrize("action", [{"result": None}, {"error": {"code": -32000, "message": "try later"}}])
def test_errors_and_null_are_asked_for_each_time(backend, scripted, action):
    """Whatever they are an answer to."""
    for method, params in (("eth_chainId", "[]"), ("eth_getTransactionReceipt", f'["0x{"ab" * 32}"]'),
                           ("eth_getBlockByNumber", '["0x1",false]')):
        backend.script(methods={method: action})
        asked = backend.asked(method)
        for _ in range(5):
            _, headers, _ = ask(scripted.url, call(method, params))
            assert "counterfoil-cache" not in headers
        assert backend.asked(method) >= asked + 5


def test_two_suppliers_who_differ_make_nothing_that_holds(folder, network_factory):
    """A lie about what no block can prove is not made to last."""
    backends = [Backend(folder, f"liar{n}", {"methods": {"net_version": {"result": str(n)}}}).start()
                for n in range(2)]
    for backend in backends:
        wait_for("the backend", lambda b=backend: net.answers(b.url + "/stats"))
    network = network_factory(upstreams=[b.url for b in backends], stakes=(1, 1),
                              gateway={"cache_bytes": "1 MiB"})
    for _ in range(30):
        _, headers, _ = ask(network.url, call("net_version"))
        assert not is_hit(headers)
    for backend in backends:
        backend.end()


# --- a chain that goes back

ALICE = "0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266"  # the first of anvil's accounts
BOB = "0x" + "b0" * 20
DEEP = 14  # blocks that are asked for, from the head down


@pytest.fixture(scope="module", name="chain")
def fixture_chain(network_factory, anvil_factory):
    """(anvil, network): two suppliers of one chain, with a transaction in each block."""
    anvil = anvil_factory()
    network = network_factory(upstreams=[anvil.url], stakes=(1, 1),
                              gateway={"cache_bytes": "16 MiB", "share": True, "head_interval": "100 ms", "hedge_percent": 0,
                                       "cache_fresh": "1 h"})
    return anvil, network


def pay(anvil):
    """A block with a transaction; anvil makes it a moment later."""
    sent = net.result(anvil.url, "eth_sendTransaction", {"from": ALICE, "to": BOB, "value": "0x1"})
    wait_for("a block", lambda: net.result(anvil.url, "eth_getTransactionReceipt", sent))


def height_of(anvil):
    """The chain's own height."""
    return int(net.result(anvil.url, "eth_blockNumber"), 16)


def see_head(anvil, network):
    """Waits until the gateway serves the chain's newest block."""
    def seen():
        newest = net.result(anvil.url, "eth_getBlockByNumber", "latest", False)["hash"]
        _, headers, _ = ask(network.url, call("eth_getBalance", f'["{BOB}","latest"]'))
        return headers.get("counterfoil-pinned") == newest
    wait_for("the gateway to see the head", seen)


def questions(anvil):
    """(method, params) about the newest blocks: by number and hash, transactions, receipts, state."""
    top, asked = height_of(anvil), []
    for number in range(top - DEEP + 1, top + 1):
        block = net.result(anvil.url, "eth_getBlockByNumber", hex(number), False)
        asked += [("eth_getBlockByNumber", [hex(number), False]), ("eth_getBlockByHash", [block["hash"], True]),
                  ("eth_getBlockReceipts", [hex(number)]),
                  ("eth_getTransactionByBlockNumberAndIndex", [hex(number), "0x0"]),
                  ("eth_getBalance", [BOB, {"blockHash": block["hash"], "requireCanonical": True}])]
        asked += [(method, [tx]) for tx in block["transactions"]
                  for method in ("eth_getTransactionReceipt", "eth_getTransactionByHash")]
    return asked


def give(network, method, params):
    """(whether it was kept, the answer without its envelope)."""
    _, headers, text = ask(network.url, call(method, json.dumps(params)))
    answer = json.loads(text)
    return is_hit(headers), answer.get("result", "error")


def test_no_answer_of_a_dead_branch_is_given(chain):
    """[G6]: before a reorganisation answers are kept; after it each is the chain's own again, and those of
    blocks under the fork are still kept."""
    anvil, network = chain
    for _ in range(20):
        pay(anvil)
    for depth in range(1, count("cache_reorg_depth") + 1):
        see_head(anvil, network)
        asked = questions(anvil)
        for method, params in asked:
            give(network, method, params)
        kept = [give(network, method, params) for method, params in asked]
        assert sum(hit for hit, _ in kept) >= len(asked) * 3 // 4, "little is kept"
        for (method, params), (_, answer) in zip(asked, kept):
            assert answer == own(anvil, method, params), (method, params)
        fork = height_of(anvil) - depth
        net.result(anvil.url, "anvil_reorg", depth, [])
        pay(anvil)
        see_head(anvil, network)
        hits = 0
        for method, params in asked + questions(anvil):
            hit, answer = give(network, method, params)
            assert answer == own(anvil, method, params), (depth, method, params, hit)
            hits += hit and method == "eth_getBlockByNumber" and int(params[0], 16) <= fork
        assert depth > DEEP - 3 or hits > 0, "what was under the fork is gone, too"
    evicted = network.metric(network.gateway, "counterfoil_gateway_cache_evictions_total")
    assert evicted > 0


def test_a_block_by_a_tag_is_as_new_as_the_head(chain):
    """`latest`, `safe` and `finalized` follow the chain, however often they were asked for before."""
    anvil, network = chain
    for _ in range(5):
        pay(anvil)
        see_head(anvil, network)
        for tag in ("latest", "safe", "finalized"):
            give(network, "eth_getBlockByNumber", [tag, False])
            wait_for(f"the {tag} block", lambda tag=tag: give(network, "eth_getBlockByNumber", [tag, False])[1]
                     == own(anvil, "eth_getBlockByNumber", [tag, False]))


def test_what_is_not_there_yet_is_not_kept_as_absent(chain):
    """A receipt, a block and logs that were asked for too early are there when they are there."""
    anvil, network = chain
    see_head(anvil, network)
    number = hex(height_of(anvil) + 1)
    early = [("eth_getBlockByNumber", [number, False]), ("eth_getBlockReceipts", [number]),
             ("eth_getTransactionByBlockNumberAndIndex", [number, "0x0"])]
    for method, params in early * 2:
        hit, _ = give(network, method, params)
        assert not hit
    pay(anvil)
    see_head(anvil, network)
    for method, params in early:
        assert give(network, method, params)[1] == own(anvil, method, params)
