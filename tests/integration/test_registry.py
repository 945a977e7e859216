# SPDX-License-Identifier: Apache-2.0
"""The verbs that make and fill a registry, what they refuse, and what readers get of it: the Python
implementation reads the exported and the served file and derives the same."""

import re
import subprocess
import time

import pytest

from reference.counterfoil_ref import note, registry
from support import net, paths
from support.network import run
from support.process import Process, wait_for


def refused(*words, cwd=None):
    """(exit status, what it said) of a verb that must not succeed."""
    done = subprocess.run([str(paths.COUNTERFOIL), *map(str, words)], cwd=cwd, capture_output=True,
                          text=True, check=False, timeout=60)
    assert done.returncode != 0, done.stdout
    return done.returncode, done.stderr


class Made:
    """A registry of one application, one gateway and two suppliers; heights of 50 ms."""

    def __init__(self, folder):
        self.path = folder / "registry.db"
        said = run("registry", "init", self.path, "--block-ms", 50, "--session-blocks", 10,
                   "--snapshot-lag", 4, "--seed-lag", 2, "--service", "eth", "--service", "two=evm")
        self.key = re.search(r"registry key +([0-9a-f]{64})", said)[1]
        self.keys = {role: run("key", "new", role, folder / f"{role}.key").strip()
                     for role in ("gateway", "application", "supplier")}
        self.application_key = folder / "application.key"

    def verb(self, *words):
        return run(*words, "--registry", self.path)

    def refused(self, *words):
        return refused(*words, "--registry", self.path)

    def fill(self):
        self.verb("stake", self.keys["supplier"], 5 * 10**6, "--service", "eth", "--price", 2,
                  "--endpoint", "127.0.0.1:9000")
        self.verb("fund", self.keys["application"], 10**9)
        self.verb("grant", "--key", self.application_key, self.keys["gateway"], "eth", 3000)


@pytest.fixture(name="made")
def fixture_made(tmp_path):
    return Made(tmp_path)


@pytest.fixture(name="served")
def fixture_served(made, tmp_path):
    port = net.free_port()
    keeper = Process("keeper", [paths.COUNTERFOIL, "registry", "serve", "--listen",
                                f"127.0.0.1:{port}", made.path], tmp_path).start()
    keeper.url = f"http://127.0.0.1:{port}/"
    keeper.ready(lambda: "registry at" in keeper.log())
    assert made.key in keeper.log()
    yield keeper
    assert keeper.stop() == 0


def test_a_dry_run_says_what_would_be_and_writes_nothing(made, tmp_path):
    before = run("registry", "show", made.path)
    for words in (["stake", made.keys["supplier"], 5, "--service", "eth", "--endpoint", "h:1"],
                  ["fund", made.keys["application"], 7],
                  ["grant", "--key", made.application_key, made.keys["gateway"], "eth", 3]):
        said = made.verb(*words, "--dry-run")
        assert "dry run: nothing was written" in said and "counts from height" in said
    after = run("registry", "show", made.path)
    for word in ("supplier  ", "application  ", "grant  "):
        assert word not in after
    assert re.search("network .*", before)[0] == re.search("network .*", after)[0]
    run("registry", "init", "--dry-run", tmp_path / "other.db")
    assert not list(tmp_path.glob("other*"))


def test_what_does_not_fit_is_refused_by_name(made):
    supplier, application = made.keys["supplier"], made.keys["application"]
    made.fill()
    for words, status, said in [
            (["stake", "abc", 5], 3, "not a public key"),
            (["stake", supplier, "-5"], 3, "whole number"),
            (["stake", supplier, 2**96], 3, "whole number"),
            (["stake", supplier], 3, "stake SUPPLIER AMOUNT"),
            (["stake", application, 5, "--service", "eth"], 3, "needs --endpoint"),
            (["stake", supplier, 5, "--service", "btc"], 1, "no service btc"),
            (["stake", supplier, 5, "--price", 10**9], 1, "price_max"),
            (["stake", supplier, 5, "--endpoint", "a b"], 3, "not host:port"),
            (["stake", supplier, 5, "--owner", "00"], 3, "40 hex digits"),
            (["unstake", application], 1, "nothing at stake"),
            (["unstake", supplier, 10**9], 1, "at stake"),
            (["fund", "--withdraw", application, 10**10], 1, "only 1000000000"),
            (["grant", "--key", made.application_key, "x", "eth", 3], 3, "not a public key"),
            (["grant", "--key", made.application_key, supplier, "btc", 3], 1, "no service btc"),
            (["grant", "--key", made.application_key, "--nonce", 1, made.keys["gateway"], "eth", 3], 1,
             "larger than 1"),
            (["grant", "--record", "grant/x"], 3, "not a line")]:
        got = made.refused(*words)
        assert got[0] == status and said in got[1], (words, got)
    assert "is there already" in refused("registry", "init", made.path)[1]
    assert "no registry at" in refused("stake", supplier, 5, "--registry", "/nonexistent")[1]
    other = made.path.with_name("other.db")
    assert "session_blocks is 0" in refused("registry", "init", other, "--session-blocks", 0)[1]
    assert "no family" in refused("registry", "init", other, "--service", "x=y")[1]
    assert not other.exists()


def test_a_grant_is_signed_on_one_machine_and_recorded_on_another(made, served):
    line = run("grant", "--key", made.application_key, made.keys["gateway"], "eth", 500, "--sign",
               "--registry", served.url, "--registry-key", made.key).strip()
    assert "500 tokens a session" in made.verb("grant", "--record", line)
    wrong = line.replace("/500/", "/501/")
    assert "not signed" in made.refused("grant", "--record", wrong)[1]
    assert "nonce" in made.refused("grant", "--record", line)[1]
    assert "revoked" in made.verb("grant", "--key", made.application_key, made.keys["gateway"], "eth", 0)


def test_the_served_file_gives_the_same_sessions_in_python(made, served):
    made.fill()
    client = net.Http(served.url)
    application, gateway = (bytes.fromhex(made.keys[k]) for k in ("application", "gateway"))

    def active():
        status, headers, data = client.request("GET")
        assert status == 200
        known = registry.Registry(registry.parse(data, bytes.fromhex(made.key)))
        start = int(known.value["height"]) // 10 * 10
        there = known.session(application, "eth", start) and known.allowance(
            application, gateway, "eth", start)
        return (known, headers, start) if there else None

    known, headers, start = wait_for("a session with all of it", active)
    status, _, rest = client.request("GET", headers={"If-None-Match": headers["etag"]})
    assert (status, rest) == (304, b"") or status == 200
    identity, members = known.session(application, "eth", start)
    assert len(identity) == 32 and members == [bytes.fromhex(made.keys["supplier"])]
    assert known.session(application, "two", start) is None
    assert known.allowance(application, gateway, "eth", start) == 1000
    for table in known.value["tables"]:
        if table["service"] == "eth" and int(table["start"]) == start:
            assert (table["rows"], table["total"]) == ("1", "5")
    assert "active, 1000 for each supplier" in run("registry", "show", "--key", made.key, served.url)


def test_an_export_is_the_file_that_is_served(made, served, tmp_path):
    made.fill()
    path = tmp_path / "export"
    run("registry", "export", "--from", 0, "--to", 5, "--output", path, made.path)
    value = registry.parse(path.read_bytes(), bytes.fromhex(made.key))
    assert [s["height"] for s in value["seeds"]["values"]] == ["0", "1", "2", "3", "4"]
    client = net.Http(served.url)
    ranged = registry.parse(client.request("GET", "/?from=0&to=5")[2], bytes.fromhex(made.key))
    assert ranged["seeds"] == value["seeds"] and ranged["grants"] == value["grants"]
    for target, want in (("/?from=5&to=5", 400), ("/?from=x&to=5", 400), ("/x", 404), ("//x", 404)):
        assert client.request("GET", target)[0] == want
    with pytest.raises(registry.RegistryError):
        registry.parse(path.read_bytes(), bytes(32))
    with pytest.raises(note.NoteError):
        registry.parse(path.read_bytes().replace(b'"price":"2"', b'"price":"3"'), bytes.fromhex(made.key))


def test_a_reader_insists_on_the_key_that_it_pinned(made, served):
    assert "needs the registry key" in refused("registry", "show", served.url)[1]
    assert "not signed by the pinned key" in refused("registry", "show", "--key", "00" * 32, served.url)[1]
    assert "pinned" in refused("registry", "show", "--key", "00" * 32, made.path)[1]


def test_show_says_that_nobody_keeps_a_registry(made):
    time.sleep(0.4)
    assert "nobody keeps this registry" in run("registry", "show", made.path)
