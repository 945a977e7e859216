# SPDX-License-Identifier: Apache-2.0
"""`registry serve` as a supplier that is written in Python alone meets it ([Y4], [Y5], [C1] to
[C12]): claims, challenges, proofs, crashes of the keeper, and what auditors get of it."""

import contextlib
import json
import re
import sqlite3
import struct
import subprocess

import pytest

from reference.counterfoil_ref import claim, claims_file, leaf, note, registry, tree
from support import net, paths
from support.network import run
from support.process import Process, wait_for

HEAD = b"counterfoil/desk/v1\n"
BLOCKS, PRICE, CU = 10, 2, [1, 5, 2, 4]
SUPPLIER_SEED, GATEWAY_SEED, LANE = bytes([1]) * 32, bytes([2]) * 32, bytes([3]) * 16
SUPPLIER, GATEWAY = note.public_of(SUPPLIER_SEED), note.public_of(GATEWAY_SEED)


class Network:
    """A registry of heights of 50 ms whose windows are long, kept by `registry serve`."""

    def __init__(self, folder):
        self.folder, self.path = folder, folder / "registry.db"
        said = run("registry", "init", self.path, "--block-ms", 50, "--session-blocks", BLOCKS,
                   "--snapshot-lag", 4, "--seed-lag", 2, "--grace-blocks", 1, "--challenge-lag", 2,
                   "--claim-window", 20000, "--proof-window", 15000)
        self.key = bytes.fromhex(re.search(r"registry key +([0-9a-f]{64})", said)[1])
        app_key = folder / "application.key"
        self.app = bytes.fromhex(run("key", "new", "application", app_key).strip())
        run("stake", SUPPLIER.hex(), 5 * 10**6, "--service", "eth", "--price", PRICE,
            "--endpoint", "127.0.0.1:9000", "--registry", self.path)
        run("fund", self.app.hex(), 10**9, "--registry", self.path)
        run("grant", "--key", app_key, GATEWAY.hex(), "eth", 3000, "--registry", self.path)
        self.port = net.free_port()
        self.keeper = None

    def serve(self):
        self.keeper = Process("keeper", [paths.COUNTERFOIL, "registry", "serve", "--listen",
                                         f"127.0.0.1:{self.port}", self.path], self.folder).start()
        self.keeper.ready(lambda: net.answers(f"http://127.0.0.1:{self.port}/"))
        return self

    def request(self, method, target, body=None):
        client = net.Http(f"http://127.0.0.1:{self.port}/")
        status, _, data = client.request(method, target, body, {})
        client.close()
        return status, data

    def answer(self, method, target, body=None):
        """(status, JSON) of an answer that the registry key has signed."""
        status, data = self.request(method, target, body)
        parsed = note.parse(data)
        assert parsed.signed_by(note.registry_key(self.key)) and parsed.text.startswith(HEAD)
        return status, json.loads(parsed.text[len(HEAD):])

    def state(self, c):
        return self.answer("GET", f"/claims/{c.id.hex()}")[1]["claim"]

    def known(self):
        status, data = self.request("GET", "/")
        assert status == 200
        return registry.Registry(registry.parse(data, self.key))

    def session(self):
        """A session that may be claimed: (its start, its id, what the registry file says)."""
        known = self.known()
        start = (int(known.value["height"]) - 1) // BLOCKS * BLOCKS - BLOCKS
        there = known.session(self.app, "eth", start)
        if not there or not known.allowance(self.app, GATEWAY, "eth", start):
            return None
        assert there[1] == [SUPPLIER]
        return start, there[0], known


@pytest.fixture(name="network")
def fixture_network(tmp_path):
    made = Network(tmp_path).serve()
    yield made
    assert made.keeper.stop() == 0


class Earned:
    """What the supplier served in one session, in one lane, and its claim."""

    def __init__(self, network, start, session, known):
        self.network_id = bytes.fromhex(known.value["network"]["id"])
        leaves = [leaf.Leaf(seq=i, session=session, cu_before=sum(CU[:i]), cu=cu, method=1,
                            time_ms=1795442000000) for i, cu in enumerate(CU)]
        self.leaves = [one.encode() for one in leaves]
        record = claim.Record(session, start, LANE, len(CU), tree.root_of(self.leaves), sum(CU))
        terms = {start: claim.Terms(session, True, PRICE, 1000)}
        self.records = claim.valued([record], terms)
        self.claim = claim.claim_for(
            claim.Claim(self.network_id, network.app, GATEWAY, SUPPLIER, "eth", start,
                        start + BLOCKS), self.records)

    def body(self, c=None, seed=SUPPLIER_SEED):
        data = (c or self.claim).encode()
        return (note.sign(seed, data) + struct.pack(">I", len(data)) + data
                + b"".join(r.encode() for r in self.records))

    def proof(self, challenge, spoil=False):
        c, (r,) = self.claim, self.records
        z = claim.challenged(challenge, c.id, c.value) // PRICE
        seq = next(i for i in range(len(CU)) if sum(CU[:i]) <= z < sum(CU[:i + 1]))
        hashes = tree.Tree(tree.leaf_hash(one) for one in self.leaves)
        origin = note.Origin(self.network_id, GATEWAY, SUPPLIER, LANE)
        data = claim.Proof(
            0, r.encode(), (), note.checkpoint(origin, r.size, r.root, SUPPLIER_SEED,
                                               None if spoil else GATEWAY_SEED, 1795442000),
            self.leaves[seq], tuple(hashes.inclusion(seq, len(CU)))).encode()
        return note.sign(SUPPLIER_SEED, claim.proof_message(c, data)) + data


def refusal(answer, c, fault):
    status, said = answer
    assert (status, said["kind"], said["id"]) == (409, "refusal", c.id.hex()), said
    assert said["error"].startswith(fault + ": "), said


def pay(network, earned):
    """Claims and proves; the state at the end."""
    c = earned.claim
    status, said = network.answer("POST", "/claims", earned.body())
    assert (status, said["claim"]["state"]) == (200, "recorded"), said
    seed = wait_for("the challenge", lambda: network.state(c)["seed"])
    target = f"/claims/{c.id.hex()}/proof"
    spoiled = earned.proof(bytes.fromhex(seed), spoil=True)
    refusal(network.answer("POST", target, spoiled), c, "gateway_signature")
    status, said = network.answer("POST", target, earned.proof(bytes.fromhex(seed)))
    assert status == 200, said
    return said["claim"]


def test_a_supplier_in_python_claims_proves_and_is_paid(network):
    earned = Earned(network, *wait_for("a session to claim", network.session))
    c = earned.claim
    refusal(network.answer("POST", "/claims", earned.body(seed=GATEWAY_SEED)), c, "signature")
    assert network.state(c)["state"] == "unknown"
    paid = pay(network, earned)
    assert (paid["state"], paid["paid"]) == ("paid", str(sum(CU) * PRICE))
    assert network.answer("POST", "/claims", earned.body())[1]["claim"] == paid
    listed = network.answer("GET", f"/claims?supplier={SUPPLIER.hex()}&since=0")[1]
    assert listed["more"] == "0" and [x["claim"] for x in listed["claims"]] == [c.encode().hex()]
    show = run("registry", "show", network.path)
    assert f"1 claims paid {sum(CU) * PRICE}, 0 forfeited burned 0; 0 open over 0" in show
    assert re.search(r"owner +[0-9a-f]{40} has earned 24\n", show), show
    assert f"books         deposits {10**9 + 5 * 10**6} = paid 24 + burned 0" in show
    path = network.folder / "claims.note"
    run("registry", "export", "--claims", path, network.path)
    value = claims_file.parse(path.read_bytes(), network.key)
    (entry,) = value["claims"]
    assert (entry["state"], entry["paid"], entry["reason"]) == ("paid", "24", "")
    assert bytes.fromhex(entry["claim"]) == c.encode()
    status, data = network.request("GET", f"/claims.note?from={value['from']}&to={value['to']}")
    assert status == 200 and claims_file.parse(data, network.key)["claims"] == value["claims"]
    funds = network.known().value["applications"][-1]
    assert (funds["spent"], funds["escrow"]) == ("24", str(10**9 - 24))


def test_a_keeper_that_is_killed_pays_everything_once(network):
    for _ in range(3):
        earned = Earned(network, *wait_for("a session to claim", network.session))
        if network.state(earned.claim)["state"] != "unknown":
            continue
        client = net.Http(f"http://127.0.0.1:{network.port}/")
        client.connection.request("POST", "/claims", earned.body())
        network.keeper.kill()
        client.close()
        network.serve()
        assert pay(network, earned)["state"] == "paid"
    show = run("registry", "show", network.path)
    claims, total = map(int, re.search(r"(\d+) claims paid (\d+),", show).groups())
    assert total == claims * sum(CU) * PRICE and claims >= 1


def test_money_that_is_written_by_other_means_does_not_balance(network):
    earned = Earned(network, *wait_for("a session to claim", network.session))
    assert pay(network, earned)["state"] == "paid"
    with contextlib.closing(sqlite3.connect(network.path, timeout=60)) as file, file:
        file.execute("UPDATE owners SET income = ?", ((25).to_bytes(16, "big"),))
    done = subprocess.run([str(paths.COUNTERFOIL), "registry", "show", network.path],
                          capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1 and "the books do not balance" in done.stderr
