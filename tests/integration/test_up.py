# SPDX-License-Identifier: Apache-2.0
"""`counterfoil up`: starts, starts again, stops, is killed, and says what stands in its way."""

import json
import os
import re
import signal
import socket
import subprocess

import pytest

from support import net, paths
from support.export import audit
from support.process import Process, wait_for


class Backend(Process):
    """A backend that answers eth_chainId, and who it is to everything else."""

    def __init__(self, folder, name):
        self.port = net.free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        script = folder / f"{name}.json"
        script.write_text(json.dumps({"default": {"result": name},
                                      "methods": {"eth_chainId": {"result": "0x7a69"}}}))
        super().__init__(name, [paths.FAULTNODE, self.port, script], folder)


class Up(Process):
    """One `up` in a folder of its own."""

    def __init__(self, folder, *options, name="up", env=None):
        self.state = folder / "state"
        self.port = net.free_port()
        super().__init__(name, [paths.COUNTERFOIL, "up", "--state", self.state, *options], folder,
                         env)

    def start(self, *addresses):
        """Starts it and waits until it says where to point dApps."""
        words = addresses or ("--listen", f"127.0.0.1:{self.port}", "--admin", "127.0.0.1:0")
        self.argv = [w for w in self.argv if w not in words] + list(words)
        self.log_path.unlink(missing_ok=True)
        super().start()
        self.ready(lambda: "chain id" in self.log(), timeout=60)
        self.url = re.search(r"(http://\S+) +chain id 31337", self.log())[1]
        return self

    def children(self):
        """Process ids of all that it started."""
        out = subprocess.run(["ps", "-o", "pid=", "--ppid", str(self.pid)], capture_output=True,
                             text=True, check=False)
        return [int(pid) for pid in out.stdout.split()]

    def call(self, method="web3_clientVersion"):
        """(result, headers)"""
        client = net.Http(self.url)
        try:
            answer, headers = client.call(method)
            assert "result" in answer, answer
            return answer["result"], headers
        finally:
            client.close()


def gone(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] == "Z"
    except FileNotFoundError:
        return True


@pytest.fixture(name="backend")
def fixture_backend(tmp_path):
    backend = Backend(tmp_path, "backend").start()
    yield backend
    backend.end()


@pytest.fixture(name="up")
def fixture_up(tmp_path, backend):
    up = Up(tmp_path, "--upstream", backend.url)
    yield up
    up.end()


def test_it_serves_stops_and_goes_on_with_the_same_state(up):
    up.start()
    children = up.children()
    assert len(children) == 4
    result, first = up.call()
    assert result == "backend"
    assert "curl -si" in up.log() and "trust" in up.log()
    assert up.stop(signal.SIGINT) == 0
    assert all(gone(pid) for pid in children)
    up.start()
    _, second = up.call()
    keys = set()

    def all_three_answered():
        keys.add(up.call()[1]["counterfoil-supplier"])
        return len(keys) == 3

    # It is ready as soon as one of them answers.
    wait_for("an answer of each node", all_three_answered, interval=0.01)
    assert first["counterfoil-supplier"] in keys
    assert first["counterfoil-receipt"] != second["counterfoil-receipt"]
    assert up.stop() == 0
    exported = subprocess.run(
        [paths.COUNTERFOIL, "ledger", "list", "--config", up.state / "gateway.yaml"],
        capture_output=True, text=True, check=False)
    assert first["counterfoil-receipt"].split("/")[0] in exported.stdout, exported.stderr


def test_an_export_of_its_ledgers_needs_no_further_option(up, tmp_path):
    up.start()
    up.call()
    assert up.stop() == 0
    done = subprocess.run([paths.COUNTERFOIL, "ledger", "export", "--config",
                           up.state / "gateway.yaml", "--audit", tmp_path / "export"],
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0 and not done.stderr, done.stderr
    assert (tmp_path / "export" / "registry.note").exists()
    for verb in ("verify", "session"):
        status, said = audit(verb, tmp_path / "export")
        assert status == 0, said


def test_killing_the_parent_takes_the_children_down(up):
    up.start()
    children = up.children()
    up.kill()
    wait_for("the children are gone", lambda: all(gone(pid) for pid in children))
    up.start()
    assert up.call()[0] == "backend"


def test_a_child_that_dies_is_started_again(up):
    up.start()
    before = up.children()
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    wait_for("four new children", lambda: len(set(up.children()) - set(before)) == 4)

    def answers():
        try:
            return up.call()[0] == "backend"
        except (OSError, KeyError, AssertionError, ValueError):
            return False

    wait_for("an answer", answers)
    assert up.log().count("was ended by signal 9; starting it again") == 4
    assert up.stop() == 0


def test_two_of_them_do_not_share_a_state_folder(up, tmp_path, backend):
    up.start()
    second = subprocess.run([paths.COUNTERFOIL, "up", "--upstream", backend.url, "--state", up.state],
                            capture_output=True, text=True, check=False, cwd=tmp_path)
    assert second.returncode == 1
    assert f"in use by another `counterfoil up', process {up.pid}" in second.stderr


def test_a_busy_port_is_named(tmp_path, backend):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        for words in (["--listen", address], ["--listen", "127.0.0.1:0", "--admin", address]):
            done = subprocess.run([paths.COUNTERFOIL, "up", "--upstream", backend.url, "--state",
                                   tmp_path / "other", *words],
                                  capture_output=True, text=True, check=False, timeout=60)
            assert done.returncode == 1
            assert f"{words[-2]}: {address}: the port is busy" in done.stderr


def test_two_providers_get_receipts_of_what_each_answered(tmp_path):
    backends = [Backend(tmp_path, name).start() for name in ("alpha", "beta")]
    up = Up(tmp_path, "--upstream", backends[0].url, "--upstream", backends[1].url, "--stake", "1,1",
            "--workers", "2", env={"COUNTERFOIL_NODE_WORKERS": "3"})
    try:
        up.start()
        for name in ("gateway", "node1", "node2"):
            log = up.state / f"log/{name}.log"  # one node is enough to be ready: wait for the other
            wait_for(f"{name} with two workers", lambda log=log: " workers=2" in log.read_text())
        by_node = {}

        def both_have_answered():
            result, headers = up.call()
            by_node.setdefault(headers["counterfoil-supplier"], set()).add(result)
            return len(by_node) == 2

        wait_for("an answer of each node", both_have_answered)
        for _ in range(40):
            both_have_answered()
        assert sorted(by_node.values(), key=str) == [{"alpha"}, {"beta"}]
        backends[0].kill()
        assert {up.call()[0] for _ in range(20)} == {"beta"}
        assert up.stop() == 0
    finally:
        up.end()
        for backend in backends:
            backend.end()


def test_one_whose_upstream_is_away_says_where_to_look_and_serves_when_it_is_there(up, backend):
    backend.end()
    up.argv += ["--listen", f"127.0.0.1:{up.port}", "--admin", "127.0.0.1:0"]
    Process.start(up)
    wait_for("its words", lambda: "still waiting for an answer" in up.log())
    assert f"`counterfoil doctor {up.state}/node1.yaml'" in up.log()
    done = subprocess.run([paths.COUNTERFOIL, "doctor", up.state / "node1.yaml"],
                          capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert f"fix   backend eth {backend.url}" in done.stdout, done.stdout
    backend.start()
    up.ready(lambda: "chain id" in up.log(), timeout=60)
    assert up.stop() == 0


def test_lengths_of_sessions_are_fixed_for_a_state(up, backend):
    up.start()
    assert up.stop() == 0
    done = subprocess.run([paths.COUNTERFOIL, "up", "--upstream", backend.url, "--state", up.state,
                           "--listen", f"127.0.0.1:{net.free_port()}", "--session-blocks", "30"],
                          capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert "sessions of 60 heights of 1000 ms" in done.stderr


def test_wrong_options_are_named(tmp_path):
    for words, said in [(["--upstream", "ftp://x"], "not an http:// or https:// URL"),
                        ([], "give --upstream URL"),
                        (["--upstream", "http://x", "--stake", "1,2", "--nodes", "3"], "2 stakes for 3"),
                        (["--upstream", "http://x", "--stake", "0"], "--stake"),
                        (["--upstream", "http://x", "--workers", "65"], "--workers"),
                        (["--upstream", "http://x", "--workers", "0"], "--workers: at least 1"),
                        (["--upstream", "http://x", "--service", "Eth"], "--service")]:
        done = subprocess.run([paths.COUNTERFOIL, "up", "--state", tmp_path / "s", *words],
                              capture_output=True, text=True, check=False)
        assert done.returncode == 3 and said in done.stderr, done.stderr
    assert not (tmp_path / "s").exists()
