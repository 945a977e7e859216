# SPDX-License-Identifier: Apache-2.0
"""counterfoil-simulate: what a gateway did for some seconds is done again, entry for entry, and what
is changed in the recording, or by a script, is noticed (docs/simulator.md)."""

import http.client
import json
import random
import re
import subprocess
import threading
import time

import pytest

from support import net, paths
from support.backend import NEVER_RESTS, Backend
from support.counts import count
from support.liar import Liar
from support.process import wait_for

CLIENTS = 4
UNPAID_MAX, BATCH = 4_000, 100  # what a node is owed at most, and calls that are more than that
LONG = "0x" + "5a" * 70_000  # an answer of several parts
SAME, DIFFERENT, USAGE, FAILED = 0, 1, 3, 4
FAST = count("simulator_seconds") < 30  # what is rare need not have happened


def lie(method, result):
    """Another hash of a block; and, for one call, an answer that is long."""
    if method == "eth_getBlockByNumber" and result:
        result["stateRoot"] = "0x" + "11" * 32
    return long(method, result)


def long(method, result):
    """No lie, but long."""
    return LONG if method == "eth_call" else result


class Client(threading.Thread):
    """Asks by a seed until it is told to stop.  What it gets may be an error: faults are about."""

    def __init__(self, url, number, accounts, stopping):
        super().__init__(daemon=True)
        self.url, self.accounts, self.stopping = url, accounts, stopping
        self.dice = random.Random(f"{count('seed')} simulator {number}")
        self.filter = None
        self.asked = 0

    def _call(self):
        address = self.dice.choice(self.accounts)
        return self.dice.choice([
            ("eth_blockNumber", []), ("eth_chainId", []), ("eth_gasPrice", []),
            ("eth_getBlockByNumber", ["latest", False]), ("eth_getBlockByNumber", [hex(self.dice.randint(0, 3)), True]),
            ("eth_getBalance", [address, "latest"]), ("eth_getTransactionReceipt", ["0x" + "77" * 32]),
            ("eth_getLogs", [{"fromBlock": "0x0", "toBlock": "latest"}]),
            ("eth_newFilter", [{"address": address}]), ("eth_getFilterChanges", [self.filter or "0x1234"]),
            ("eth_call", [{"to": address}, "latest"]), ("no_such_method", [])])

    def run(self):
        client = None
        while not self.stopping.is_set():
            if client is None:
                client = net.Http(self.url, timeout=60)
            calls = [self._call() for _ in range(self.dice.choice([1, 1, 1, 3]))]
            body = [{"jsonrpc": "2.0", "id": n, "method": method, "params": params}
                    for n, (method, params) in enumerate(calls)]
            self.asked += len(body)
            try:
                _, _, data = client.post(json.dumps(body[0] if len(body) == 1 else body))
            except (OSError, http.client.HTTPException):  # a long answer that broke off
                client = None
                continue
            made = re.search(rb'"result":"(0x[0-9a-f]{32})"', data)
            if made and calls[0][0] == "eth_newFilter":
                self.filter = made.group(1).decode()
            if self.dice.random() < 0.1:
                client.close()
                client = None
            time.sleep(self.dice.uniform(0, 0.04))


def have_asked(clients, before):
    """Whether each has gone on since then."""
    assert all(client.is_alive() for client in clients)
    return all(client.asked > n + 10 for client, n in zip(clients, before))


@pytest.fixture(scope="module", name="recording")
def fixture_recording(anvil, network_factory, folder):
    """A network of three nodes, one of which lies and one of which is killed, while clients ask."""
    liars = [Liar(anvil.url, long), Liar(anvil.url, long), Liar(anvil.url, lie)]
    anvil.mine(5)
    network = network_factory(
        upstreams=[liar.url for liar in liars], stakes=(1, 1, 1), failover=False,
        gateway={"share": True, "cache_bytes": "4 MiB", "record": folder / "recording",
                 "filters_max": 1000000, "filters_per_address_max": 1000000,
                 "head_interval": "300 ms", "hedge_min": "5 ms", "hedge_max": "20 ms"})
    stopping = threading.Event()
    accounts = net.result(anvil.url, "eth_accounts")
    clients = [Client(network.url, n, accounts, stopping) for n in range(CLIENTS)]
    for client in clients:
        client.start()
    end = time.monotonic() + count("simulator_seconds")
    wait_for("the first answers", lambda: have_asked(clients, [0] * CLIENTS))
    net.get(network.gateway.admin + "/admin/suppliers")
    network.nodes[1].kill()
    while time.monotonic() < end:
        anvil.mine()
        net.get(network.gateway.admin + "/admin/suppliers")
        time.sleep(0.2)
    network.nodes[1].start()
    asked = [client.asked for client in clients]
    wait_for("more answers", lambda: have_asked(clients, asked))
    stopping.set()
    for client in clients:
        client.join(120)
        assert not client.is_alive()
    assert network.gateway.stop() == 0, network.gateway.log()[-2000:]
    for liar in liars:
        liar.end()
    return folder / "recording"


class Reader(threading.Thread):
    """Sends one call and takes what comes of it, until its connection is closed."""

    def __init__(self, url, method):
        super().__init__(daemon=True)
        self.client = net.Http(url)
        self.method = method
        self.answer, self.begun = None, False
        self.start()

    @staticmethod
    def text(method):
        """A call without parameters."""
        return json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": []})

    def run(self):
        self.client.connection.request("POST", "/", body=self.text(self.method))
        try:
            answer = self.client.connection.getresponse()
            self.begun = True
            self.answer = answer.read()
        except (OSError, http.client.HTTPException):
            pass


@pytest.fixture(scope="module", name="rare")
def fixture_rare(folder, anvil, network_factory):
    """A gateway with one node, to which all happens that is no answer: another account's path whose
    request is no call, no room for some calls of a batch and for a filter, a long answer that stalls;
    and a link that goes down with calls, and with long answers, on it."""
    backend = Backend(folder, "backend", {"methods": {
        "eth_getBlockByNumber": {"result": net.result(anvil.url, "eth_getBlockByNumber", "latest", False)},
        "eth_gasPrice": {"hang": True},
        "debug_traceTransaction": {"size": 2_000_000, "drip_bytes": 900_000, "drip_ms": 600_000},
        "eth_call": {"size": 30_000_000, "drip_bytes": 70_000, "drip_ms": 100}}}).start()
    backend.ready(lambda: net.answers(backend.url + "/stats"))
    network = network_factory(
        upstreams=[backend.url], stakes=(1,), applications=3, upstream=NEVER_RESTS,
        gateway={"record": folder / "rare", "head_interval": "0 s", "attempts": 1, "stall_timeout": "1 s",
                 "filters_per_address_max": 2},
        node={"max_unpaid_cu": UNPAID_MAX})
    token = (network.folder / "tokens").read_text().split()[2]
    assert b"error" in net.Http(f"{network.url}eth/{token}").post("no call")[2]
    batch = [{"jsonrpc": "2.0", "id": n, "method": "eth_estimateGas", "params": [{"to": f"0x{n:040x}"}]}
             for n in range(BATCH)]
    assert net.Http(network.url).post(json.dumps(batch))[2].count(b'"result"') == BATCH
    made = [net.Http(network.url).post(Reader.text("eth_newBlockFilter"))[2] for _ in range(3)]
    assert [b"per_address" in answer for answer in made] == [False, False, True], made
    readers = [Reader(network.url, method) for method in ("eth_call", "eth_call", "debug_traceTransaction")]
    hangs = [Reader(network.url, "eth_gasPrice") for _ in range(3)]
    wait_for("the beginnings", lambda: all(reader.begun for reader in readers))
    wait_for("the calls", lambda: backend.asked("eth_gasPrice") == len(hangs))
    wait_for("the stalled one's end", lambda: not readers[2].is_alive())
    network.nodes[0].kill()
    for reader in (*readers, *hangs):
        reader.join(60)
        assert not reader.is_alive()
    assert all(b"went down" in reader.answer for reader in hangs)
    assert network.gateway.stop() == 0, network.gateway.log()[-2000:]
    backend.end()
    return folder / "rare"


def simulate(*words):
    """(status, what it says)."""
    done = subprocess.run([paths.SIMULATE, *map(str, words)], capture_output=True, text=True,
                          check=False, timeout=300)
    assert done.returncode in (SAME, DIFFERENT, USAGE, FAILED), done.stderr
    return done.returncode, done.stdout + done.stderr


def row(said, name):
    """(recorded, this run) of a row of its table."""
    return tuple(map(int, re.search(rf"^{name} +(\d+) +(\d+)$", said, re.MULTILINE).groups()))


def digest(said):
    """Of all entries."""
    return re.search(r"^digest ([0-9a-f]{64})$", said, re.MULTILINE).group(1)


def leaves(recording, number):
    """How many leaves the Nth supplier has given."""
    entries = [line.decode().split() for line in re.findall(
        rb"^(?:up \d+ -?\d+ \d+ [0-9a-f]{64} .*|leaf \d+ -?\d+ \d+ .*)$", recording.read_bytes(), re.MULTILINE)]
    suppliers = list(dict.fromkeys(words[4] for words in entries if words[0] == "up"))
    links = {words[3] for words in entries if words[0] == "up" and words[4] == suppliers[number - 1]}
    return sum(words[0] == "leaf" and words[3] in links for words in entries)


def changed(recording, folder, name, pattern, new):
    """A copy in which one match of the pattern is replaced."""
    data, n = re.subn(pattern, new, recording.read_bytes(), count=1, flags=re.MULTILINE)
    assert n == 1
    path = folder / name
    path.write_bytes(data)
    return path


def test_it_is_all_done_again_and_the_entries_are_the_same(recording, folder):
    """Twice; and what a run writes is a recording itself, byte for byte the one that it was made of."""
    status, said = simulate("--entries", folder / "again", recording)
    assert status == SAME, said
    assert (folder / "again").read_bytes() == recording.read_bytes()
    assert simulate(recording) == (SAME, said)
    for name in ("requests", "answers", "of a relay", "relays sent"):
        then, now = row(said, name)
        assert then == now > 0, f"{name}\n{said}"
    for name in ("of the cache", "shared", "recomputed", "retries", "hedges", "set aside", "failed", "broken off"):
        then, now = row(said, name)
        assert then == now and (now > 0 or FAST or name == "broken off"), f"{name}\n{said}"


def test_what_the_world_refused_and_broke_off_is_done_again(rare, folder):
    """To the text of each error."""
    data = rare.read_bytes()
    for kind in (b"account", b"noroom", b"stalled", b"broken", b"cut", b"down"):
        assert re.search(rb"^%s " % kind, data, re.MULTILINE), kind
    assert len(re.findall(rb"^answer \d+ \d+ link ", data, re.MULTILINE)) == 3
    status, said = simulate("--entries", folder / "again", rare)
    assert status == SAME, said
    assert (folder / "again").read_bytes() == data


def test_an_answer_that_is_another_is_noticed(recording, folder):
    """One digit of what a supplier said to one call."""
    path = changed(recording, folder, "answer", rb'("result":"0x[0-9a-f]*)([0-9a-f])(")',
                   lambda m: m[1] + (b"1" if m[2] != b"1" else b"2") + m[3])
    status, said = simulate(path)
    assert status == DIFFERENT and "different at entry" in said


@pytest.mark.parametrize("line", ["gateway", "seed"])
def test_other_draws_are_noticed(recording, folder, line):
    """The gateway's key is in every pick; its seed in the ids of filters."""
    path = changed(recording, folder, line, rf"^{line} [0-9a-f]{{64}}$".encode(),
                   f"{line} {'ab' * 32}".encode())
    status, said = simulate(path)
    assert status == DIFFERENT, said


def test_another_time_is_noticed(recording, folder):
    """A supplier's first answer comes later: what is done of it is not done then."""
    path = changed(recording, folder, "time", rb"^(clock \d+) \d+$", rb"\1 1700000000000")
    status, said = simulate(path)
    assert status == DIFFERENT, said


def test_one_that_breaks_off_is_run_up_to_there(recording, folder):
    """A gateway that is killed leaves half an entry."""
    path = folder / "half"
    data = recording.read_bytes()
    path.write_bytes(data[:len(data) // 2])
    status, said = simulate(path)
    assert status == SAME, said


def test_scripted_faults_change_what_they_should_and_the_same_twice(recording, folder):
    """Nothing comes of a silent supplier; errors of all cost calls; what is late or a lie is another run."""
    def run(script):
        path = folder / "script"
        path.write_text(script)
        status, said = simulate("--faults", path, "--entries", folder / "entries", recording)
        assert status == SAME, said
        assert simulate("--faults", path, recording) == (status, said)
        return said

    nothing = run("# nothing\n")
    silent = run("0s - @1 silent\n")
    assert digest(silent) != digest(nothing)
    assert leaves(folder / "entries", 1) == 0 < leaves(recording, 1)
    assert leaves(folder / "entries", 2) > 0
    errors = run("0s - * error overload\n")
    assert row(errors, "failed")[1] > row(errors, "failed")[0]
    assert row(errors, "answers")[1] < row(errors, "answers")[0]
    late = run("0s - * late 300ms\n")
    assert digest(late) != digest(nothing)
    lies = run("0s - @1 lie\n0s - @2 lie\n0s - @3 lie\n")
    assert digest(lies) != digest(nothing)


def test_what_is_no_recording_or_no_script_is_refused(recording, folder):
    """With the reason, and a status of its own."""
    assert simulate()[0] == USAGE
    assert simulate("--faults")[0] == USAGE
    assert simulate(folder / "nowhere")[0] == FAILED
    path = folder / "other"
    path.write_bytes(b"something else\n")
    status, said = simulate(path)
    assert status == FAILED and "not a recording" in said
    path.write_text("1s 2s @1 explode\n")
    status, said = simulate("--faults", path, recording)
    assert status == FAILED and "line 1" in said
