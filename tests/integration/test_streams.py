# SPDX-License-Identifier: Apache-2.0
"""Long answers: in parts, while they come, in bounded memory, and never taken for whole when they are not."""

import http.client
import json
import os
import pathlib
import socket
import threading
import time

import pytest

from reference.counterfoil_ref import bundle, leaf
from support import counts, net, paths
from support.backend import NEVER_RESTS, Backend
from support.export import check_all
from support.network import Network
from support.process import wait_for

PART = 65536  # [R8]
BLOCK = 65521  # of faultnode's long results
BIG = 100_000_000
GROWTH_MIB = 24  # of a process, for two long answers at once: some windows, frames and caches
ASAN_GROWTH_MIB = 96  # its allocator keeps what was freed for a while


def long_result(size):
    """What faultnode answers to {"long": SIZE}."""
    block = bytes(ord("0123456789abcdef"[(i * 7 + i // 256) % 16]) for i in range(BLOCK))
    return (block * (size // BLOCK + 1))[:size]


def call(method="eth_getBalance", call_id="1", params=()):
    """The bytes of a call."""
    return ('{"jsonrpc":"2.0","id":%s,"method":"%s","params":%s}'
            % (call_id, method, json.dumps(list(params)))).encode()


def memory_mib(process, field):
    """VmRSS or VmHWM."""
    for line in pathlib.Path(f"/proc/{process.pid}/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) / 1024
    raise AssertionError(field)


@pytest.fixture(scope="module", name="world")
def fixture_world(folder):
    """A backend, one node, and a gateway: (backend, network)."""
    # Freed memory is to be used again, also by the sanitizer's allocator: it is what is measured.
    options = os.environ.get("ASAN_OPTIONS")
    if options:
        os.environ["ASAN_OPTIONS"] = options + ":quarantine_size_mb=1:thread_local_quarantine_size_kb=64"
    backend = Backend(folder, "backend").start()
    network = Network(folder / "net", [backend.url], stakes=(1,),
                      gateway={"deadline": "60 s", "stall_timeout": "4 s", "send_timeout": "3 s",
                               "check_max": "1 MiB", "check_bytes_max": "3 MiB"},
                      node={"response_max": "300 MiB"}, upstream=NEVER_RESTS | {"stall_timeout": "2 s"})
    network.start()
    yield backend, network
    network.end()
    backend.end()
    if options:
        os.environ["ASAN_OPTIONS"] = options


class Client:
    """A client that reads as it likes, over a plain socket."""

    def __init__(self, network, body, version="1.1", receive_bytes=None):
        self.socket = socket.socket()
        if receive_bytes:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        self.socket.settimeout(60)
        self.socket.connect(("127.0.0.1", network.port))
        self.socket.sendall(f"POST / HTTP/{version}\r\nHost: x\r\nContent-Type: application/json\r\n"
                            f"Content-Length: {len(body)}\r\n\r\n".encode() + body)

    def read(self, n):
        """At least n bytes, or what there is until the end."""
        data = b""
        while len(data) < n:
            more = self.socket.recv(min(1 << 20, n - len(data)))
            if not more:
                break
            data += more
        return data

    def close(self):
        """Hangs up."""
        self.socket.close()


def fetch(network, receipt):
    """The bundle of a receipt (lane, seq, salt)."""
    lane, seq, salt = receipt
    url = f"{network.url}.counterfoil/receipts/{lane.hex()}/{seq}?salt={salt.hex()}"
    status, _, data = net.get(url)
    assert status == 200, data
    return bundle.parse(data)


def metric(network, process, name, **labels):
    """One cell of a metric."""
    want = ",".join(f'{k}="{v}"' for k, v in labels.items())
    for line in net.get(process.admin + "/metrics")[2].decode().splitlines():
        if line.startswith(f"{name}{{{want}}} ") or (not want and line.startswith(name + " ")):
            return float(line.rpartition(" ")[2])
    return 0.0


class Small(threading.Thread):
    """Small calls one after the other; how long each took."""

    def __init__(self, network):
        super().__init__(daemon=True)
        self.network, self.stop, self.took, self.wrong = network, threading.Event(), [], []

    def run(self):
        client = net.Http(self.network.url)
        while not self.stop.is_set():
            begun = time.monotonic()
            answer, _ = client.call("eth_chainId")
            self.took.append(time.monotonic() - begun)
            if answer.get("result") != "0x1":
                self.wrong.append(answer)
        client.close()


def test_hundred_megabytes_flow_in_bounded_memory_beside_small_calls(world):
    """[G5] [G9] [R8] [R10] [L1]: bytes, receipts and memory of long answers, of a kind that is looked at
    unless it is too long for that."""
    backend, network = world
    backend.script(default={"result": "0x1"}, methods={"eth_getLogs": {"long": BIG}})
    want, got = long_result(BIG), []
    processes = network.processes()
    for _ in range(20):
        net.result(network.url, "eth_chainId")
    before = [memory_mib(p, "VmRSS") for p in processes]

    def ask(number):
        client = http.client.HTTPConnection("127.0.0.1", network.port, timeout=120)
        client.request("POST", "/", call("eth_getLogs", f'"big {number}"'))
        answer = client.getresponse()
        got.append((number, answer.getheaders(), answer.read()))
        client.close()

    small = Small(network)
    small.start()
    begun = time.monotonic()
    threads = [threading.Thread(target=ask, args=(n,)) for n in range(counts.count("stream_big"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    flowing = time.monotonic() - begun
    small.stop.set()
    small.join()
    assert len(got) == len(threads) and not small.wrong
    for number, headers, body in got:
        head = b'{"jsonrpc":"2.0","id":"big %d","result":"' % number
        assert body.startswith(head) and body.endswith(b'"}')
        assert body[len(head):-2] == want
        headers = {k.lower(): v for k, v in headers}
        assert headers["transfer-encoding"] == "chunked" and "counterfoil-receipt" in headers
        assert headers["counterfoil-verified"] == "single"
    assert sum(metric(network, network.gateway, "counterfoil_gateway_unchecked_total", reason=why)
               for why in ("size", "room")) == len(threads)
    assert metric(network, network.gateway, "counterfoil_gateway_held_bytes") == 0
    assert len(small.took) > 20 and max(small.took) < max(5, flowing / 4)
    most = ASAN_GROWTH_MIB if paths.sanitized() else GROWTH_MIB
    grown = [memory_mib(p, "VmHWM") - b for p, b in zip(processes, before)]
    print(f"grown by {grown} MiB, {len(small.took)} small calls, the longest {max(small.took):.3f} s")
    assert max(grown) < most, grown

    wait_for("cosignatures", network.all_cosigned)
    gateway, nodes = network.exports()
    check_all(gateway, nodes)
    for export in [gateway, *nodes]:
        parts = [leaf.decode(one) for lane in export.lanes.values() for one in lane.leaves]
        parts = [one for one in parts if one.kind == leaf.PART]
        each = -(-(BIG + len('{"jsonrpc":"2.0","id":1,"result":""}')) // PART)
        assert len(parts) == len(threads) * each
        assert sum(one.flags & leaf.LAST for one in parts) == len(threads)


def test_receipts_of_all_parts_lead_from_one_to_the_next(world):
    """[R8] [G3]: also where the id comes last."""
    backend, network = world
    size = 5 * PART + 17
    backend.script(default={"long": size, "id_last": True})
    status, headers, body = net.Http(network.url).post(call(call_id="77"))
    assert status == 200
    assert body == b'{"jsonrpc":"2.0","result":"' + long_result(size) + b'","id":77}'
    (receipt,) = bundle.parse_receipt_header(headers["counterfoil-receipt"])
    joined, one, number = b"", fetch(network, receipt), 0
    while True:
        assert one.check() == [] and one.leaf.kind == leaf.PART and one.leaf.part == number
        joined += one.response.split(b"application/json", 1)[1][8:]
        number += 1
        if one.next is None:
            break
        one = fetch(network, (*one.next, receipt[2]))
    assert one.leaf.flags & leaf.LAST and number == 6
    assert joined == body.replace(b'"id":77', b'"id":1')


def test_a_batch_with_long_answers_keeps_its_order_and_lists_all_receipts(world):
    """[G2] [G5]"""
    backend, network = world
    backend.script(default={"result": "0x1"}, methods={
        "eth_getLogs": {"long": 3_000_000}, "eth_getBalance": {"long": 2_000_000, "id_last": True},
        "eth_gasPrice": {"result": "0x7", "delay_ms": 300}})
    methods = ["eth_getLogs", "eth_blockNumber", "eth_getBalance", "eth_gasPrice", "eth_getLogs"]
    body = b"[" + b",".join(call(m, str(n)) for n, m in enumerate(methods)) + b"]"
    status, headers, answer = net.Http(network.url).post(body)
    assert status == 200
    answers = json.loads(answer)
    assert [one["id"] for one in answers] == [0, 1, 2, 3, 4]
    big = long_result(3_000_000).decode()
    assert [one["result"] for one in answers] == [big, "0x1", big[:2_000_000], "0x7", big]
    receipts = bundle.parse_receipt_header(headers["counterfoil-receipt"])
    assert len(receipts) == 5
    for receipt, length in zip(receipts, (True, False, True, False, True)):
        one = fetch(network, receipt)
        assert one.check() == [] and one.leaf.part == 0
        assert (one.leaf.kind == leaf.PART) == length


def test_a_client_that_hangs_up_stops_the_work_of_the_backend(world):
    """[F10]"""
    backend, network = world
    gateway = network.gateway
    backend.script(default={"result": "0x1"}, methods={"eth_getLogs": {"long": 200_000_000}})
    cancelled = metric(network, network.nodes[0], "counterfoil_node_stream_ends_total", result="cancelled")
    client = Client(network, call("eth_getLogs"))
    client.read(1_000_000)
    assert metric(network, gateway, "counterfoil_gateway_streams") == 1
    open_then = backend.stats()["open"]
    client.close()
    wait_for("the stream's end", lambda: metric(network, gateway, "counterfoil_gateway_streams") == 0)
    wait_for("the node's", lambda: metric(network, network.nodes[0], "counterfoil_node_streams") == 0)
    assert metric(network, network.nodes[0], "counterfoil_node_stream_ends_total",
                  result="cancelled") == cancelled + 1
    wait_for("the backend's", lambda: backend.stats()["open"] < open_then)
    backend.script(default={"hang": True})
    asked = backend.stats()["requests"]
    client = Client(network, call())
    wait_for("the request", lambda: backend.stats()["requests"] > asked)
    open_then = backend.stats()["open"]
    client.close()
    wait_for("its end", lambda: backend.stats()["open"] < open_then)
    backend.script()
    assert net.result(network.url, "eth_chainId") == "0x1"


@pytest.mark.parametrize("fault", [
    {"long": 2_000_000, "cut": "half"},
    {"size": 2_000_000, "cut": "half"},
    {"size": 2_000_000, "chunked": True, "cut": "half"},
    {"size": 2_000_000, "after": "}"},
    {"size": 2_000_000, "id": 7, "id_last": True},
    {"size": 2_000_000, "drip_bytes": 900_000, "drip_ms": 60_000},
])
def test_an_answer_that_breaks_off_is_seen_to_be_cut(world, fault):
    """[F13] [G5] [R10]"""
    backend, network = world
    backend.script(default=fault)
    client = http.client.HTTPConnection("127.0.0.1", network.port, timeout=60)
    client.request("POST", "/", call())
    answer = client.getresponse()
    receipt = answer.getheader("Counterfoil-Receipt")
    with pytest.raises((http.client.IncompleteRead, ConnectionResetError)):
        answer.read()
    client.close()
    old = Client(network, call(), version="1.0")
    with pytest.raises(ConnectionResetError):
        while old.socket.recv(1 << 20):
            pass
    old.close()
    backend.script()
    assert net.result(network.url, "eth_chainId") == "0x1"
    # Its parts are receipted, and none of them is a last one.
    one = fetch(network, bundle.parse_receipt_header(receipt)[0])
    salt = one.salt
    while one.next:
        one = fetch(network, (*one.next, salt))
    assert one.leaf.kind == leaf.PART and not one.leaf.flags & leaf.LAST


@pytest.mark.parametrize("fault", [
    {"long": 2_000_000, "cut": "half"},
    {"size": 2_000_000, "drip_bytes": 900_000, "drip_ms": 60_000},
    {"long": 2_000_000},
])
def test_a_part_of_a_call_for_logs_that_breaks_off_or_is_no_list_fails_it_by_name(world, fault):
    """[G7]"""
    backend, network = world
    backend.script(default={"result": "0x1"}, methods={"eth_getLogs": fault})
    client = net.Http(network.url, timeout=60)
    answer, _ = client.call("eth_getLogs", {"fromBlock": "0x0", "toBlock": hex(9999)})
    client.close()
    assert answer["error"]["data"]["error"] in ("upstream", "stalled"), answer
    backend.script()
    assert network.metric(network.gateway, "counterfoil_gateway_gathered_bytes") == 0
    assert net.result(network.url, "eth_chainId") == "0x1"


def test_an_answer_of_http_1_0_ends_with_its_connection(world):
    backend, network = world
    backend.script(default={"long": 1_000_000})
    client = Client(network, call(), version="1.0")
    data = client.read(1 << 30)
    head, _, body = data.partition(b"\r\n\r\n")
    assert b"chunked" not in head.lower() and b"content-length" not in head.lower()
    assert body == b'{"jsonrpc":"2.0","id":1,"result":"' + long_result(1_000_000) + b'"}'
    client.close()


def test_a_client_that_does_not_read_stalls_only_itself_and_is_ended_by_name(world):
    """[F10]"""
    backend, network = world
    backend.script(default={"result": "0x1"}, methods={"eth_getLogs": {"long": 200_000_000}})
    ended = {"reason": "not_reading"}
    before = metric(network, network.gateway, "counterfoil_gateway_clients_ended_total", **ended)
    client = Client(network, call("eth_getLogs"), receive_bytes=16384)
    wait_for("the stream", lambda: metric(network, network.gateway, "counterfoil_gateway_streams") == 1)
    for _ in range(50):
        assert net.result(network.url, "eth_chainId") == "0x1"
    wait_for("its end", lambda: metric(network, network.gateway,
                                       "counterfoil_gateway_clients_ended_total", **ended) > before)
    wait_for("the node's", lambda: metric(network, network.nodes[0], "counterfoil_node_streams") == 0)
    client.close()


def test_a_client_that_reads_slowly_gets_all(world):
    """[F10]: for longer than any limit on standing still."""
    backend, network = world
    size = 9_000_000
    backend.script(default={"long": size})
    client = Client(network, call(), receive_bytes=65536)
    data, end = b"", time.monotonic() + 6
    while time.monotonic() < end:
        data += client.read(100_000)
        time.sleep(0.1)
    while not data.endswith(b"\r\n0\r\n\r\n"):
        more = client.read(1)
        assert more
        data += more + client.socket.recv(1 << 20)
    client.close()
    assert len(data) > size


def test_an_answer_over_the_limit_of_the_node_is_refused_or_cut(world):
    backend, network = world
    backend.script(default={"long": 400 << 20})
    answer, _ = net.Http(network.url).call("eth_getBalance")
    assert answer["error"]["data"]["error"] == "upstream_too_large"
    backend.script()
