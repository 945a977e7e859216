# SPDX-License-Identifier: Apache-2.0
"""The cases of the execution API specification, through the gateway as by geth alone.

Two geths have the specification's chain.  One is asked itself, the other is behind two suppliers and a
gateway that shares, keeps, pins and checks as it does for an operator.  What geth does otherwise than
the specification is none of our business; what the gateway does otherwise than geth is named here."""

import collections
import json
import re
import subprocess

import pytest

from support import net, paths
from support.geth import Geth
from support.process import wait_for

DATA = paths.ROOT / "tests/data/execution-apis"
CALLS, SENT = 236, 6  # of the latter so many leave a transaction in the pool
# Nothing is broken off on a slow machine: some simulations take a second on a fast one.
LONG = "5 min"
LIMITS = {"gateway": {"deadline": LONG}, "link": {"handshake_timeout": "30 s"},
          "upstream": {"connect_timeout": "20 s", "probe_timeout": "20 s", "slow_after": LONG}}
BATCH = 50

Case = collections.namedtuple("Case", "name method body expected")


def cases():
    """Every call of every file, with what the specification wants to be said to it."""
    for path in sorted(DATA.glob("*/*.io")):
        lines = path.read_text().splitlines()
        calls = [number for number, line in enumerate(lines) if line.startswith(">> ")]
        for nth, number in enumerate(calls):
            body, answer = lines[number][3:], lines[number + 1]
            assert answer.startswith("<< "), path
            yield Case(f"{path.parent.name}/{path.stem}" + (f" {nth + 1}" if nth else ""),
                       json.loads(body)["method"], body, json.loads(answer[3:]))


# -- where the gateway says something else, and what that has to be

def latest_is_meant(case, geth, ours):
    """The specification has `latest` where no block is given.  This geth wants the parameter; the gateway
    puts its head there, as in each call about `latest`."""
    return geth["error"]["code"] == -32602 and ours == case.expected


def not_relayed(_, geth, ours):
    """Neither has it: the gateway relays no methods that control a development chain."""
    return geth["error"]["code"] == ours["error"]["code"] == -32601


def sent_already(_, geth, ours):
    """Who sends a transaction again is told its hash: the first answer may have been lost."""
    return geth["error"]["message"] == "already known" and len(ours["result"]) == 66


NAMED = {
    "eth_getBalance/get-balance-default-block": latest_is_meant,
    "eth_getCode/get-code-default-block": latest_is_meant,
    "eth_getProof/get-account-proof-default-block": latest_is_meant,
    "eth_getStorageAt/get-storage-default-block": latest_is_meant,
    "eth_getTransactionCount/get-nonce-default-block": latest_is_meant,
    "testing_buildBlockV1/build-block-empty-transactions": not_relayed,
    "testing_buildBlockV1/build-block-from-mempool 2": not_relayed,
    "testing_buildBlockV1/build-block-invalid-transaction": not_relayed,
    "testing_buildBlockV1/build-block-with-transactions": not_relayed,
}
# When all has been asked for once.
NAMED_AGAIN = NAMED | {
    "eth_sendRawTransaction/send-access-list-transaction": sent_already,
    "eth_sendRawTransaction/send-blob-tx": sent_already,
    "eth_sendRawTransaction/send-dynamic-fee-access-list-transaction": sent_already,
    "eth_sendRawTransaction/send-dynamic-fee-transaction": sent_already,
    "eth_sendRawTransaction/send-legacy-transaction": sent_already,
    "testing_buildBlockV1/build-block-from-mempool": sent_already,
}


def comparable(case, answer):
    """An answer without what geth takes from a map of its own, in another order each time."""
    if case.method == "eth_createAccessList":
        for entry in answer.get("result", {}).get("accessList", []):
            entry["storageKeys"].sort()
    if case.name == "eth_simulateV1/ethSimulate-move-two-non-precompiles-accounts-to-same":
        # Of two accounts that are none, it names either.
        answer["error"]["message"] = re.sub("0x0[12]0{38}", "one", answer["error"]["message"])
    return answer


class Parity:
    """Answers held against each other: how many are equal, which are not as the table has it."""

    def __init__(self, named):
        self.named = named
        self.equal, self.seen, self.wrong = 0, [], []

    def compare(self, case, geth, ours):
        """Two answers, parsed, to one call."""
        geth, ours = comparable(case, geth), comparable(case, ours)
        difference = self.named.get(case.name)
        if geth == ours:
            self.equal += 1
        elif difference and difference(case, geth, ours):
            self.seen.append(case.name)
        else:
            self.wrong.append((case.name, case.body[:500], str(geth)[:2000], str(ours)[:2000]))

    def check(self):
        """Nothing differs but what is named, and all that is named differs."""
        assert not self.wrong
        assert sorted(self.seen) == sorted(self.named)
        assert self.equal == CALLS - len(self.named)


# -- the two chains

@pytest.fixture(scope="module", name="twins")
def fixture_twins(folder):
    """(asked itself, behind the gateway): two geths with the specification's chain, up to its head."""
    head = json.loads((DATA / "headfcu.json").read_text())["params"][0]["headBlockHash"]
    both = [Geth(folder, name, genesis=DATA / "genesis.json", chain=DATA / "chain.rlp")
            for name in ("alone", "behind")]
    for geth in both:
        geth.start().set_head(head)
    yield both
    for geth in both:
        geth.end()


@pytest.fixture(scope="module", name="both")
def fixture_both(twins, network_factory):
    """(connection to the one geth, connection to the gateway in front of the other, network)."""
    alone, behind = twins
    network = network_factory(
        upstreams=[behind.url], stakes=(1, 1), limits=LIMITS, node={"deadline_max": LONG},
        gateway={"share": True, "cache_bytes": "64 MiB", "cache_fresh": "1 min"})
    connections = net.Http(alone.url, timeout=300), net.Http(network.url, timeout=300)

    def pinned():
        return connections[1].call("eth_getBalance", "0x" + 40 * "0", "latest")[1].get("counterfoil-pinned")
    wait_for("the gateway to see the head", pinned)
    yield (*connections, network)
    for connection in connections:
        connection.close()


def asked(connection, body):
    """The answer, parsed."""
    status, _, data = connection.post(body)
    assert status == 200, (status, body[:500], data[:500])
    return json.loads(data)


def pools_settle(connections):
    """Waits until both have found out of all transactions that they can be executed: geth does it later."""
    for connection in connections:
        wait_for("the pool", lambda c=connection: c.call("txpool_status")[0]["result"] ==
                 {"pending": hex(SENT), "queued": "0x0"})


def nothing_is_held_against_it(network):
    """No answer of an honest geth is suspected of anything, on a chain that has seen every fork."""
    text = net.get(network.gateway.admin + "/metrics")[2].decode()
    verdicts = dict(re.findall(r'^counterfoil_gateway_verified_total\{.*verdict="(\w+)"\} (\d+)',
                               text, re.MULTILINE))
    assert int(verdicts["recomputed"]) > 0
    assert not {"differs", "fault"} & set(verdicts), verdicts
    assert not re.search(r'^counterfoil_gateway_outcomes_total\{.*"(fault|misbehaved)"\} [1-9]', text,
                         re.MULTILINE), text


def test_each_call_is_answered_as_by_geth_alone(both):
    """Result, or error with code, message and data; then once more, when it may be kept."""
    alone, ours, network = both
    for named in (NAMED, NAMED_AGAIN):
        parity = Parity(named)
        for case in cases():
            if case.method.startswith("txpool_"):
                pools_settle((alone, ours))
            parity.compare(case, asked(alone, case.body), asked(ours, case.body))
        parity.check()
    assert network.metric(network.gateway, "counterfoil_gateway_cache_hits_total") > 0
    nothing_is_held_against_it(network)


def test_batches_are_answered_as_by_geth_alone(both):
    """In the order of their calls; all of them have the same id."""
    alone, ours, _ = both
    parity, every = Parity(NAMED_AGAIN), list(cases())
    for case in every:
        if case.method == "eth_sendRawTransaction":
            asked(alone, case.body), asked(ours, case.body)
    pools_settle((alone, ours))
    for start in range(0, len(every), BATCH):
        some = every[start:start + BATCH]
        body = "[" + ",".join(case.body for case in some) + "]"
        answers = asked(alone, body), asked(ours, body)
        assert [len(answer) for answer in answers] == [len(some)] * 2
        for case, geth, through in zip(some, *answers):
            parity.compare(case, geth, through)
    parity.check()


def told_to_ethclient(url):
    """What go-ethereum's own client library says of each of its calls: {name: answer}."""
    done = subprocess.run([paths.ETHCLIENT, url], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          check=False, timeout=400)
    assert done.returncode == 0, done.stderr
    return dict(line.split("\t") for line in done.stdout.splitlines())


def test_ethclient_reads_the_same_from_both(twins, both):
    """An unmodified client that decodes, and takes errors apart."""
    geth, ours = told_to_ethclient(twins[0].url), told_to_ethclient(both[2].url)
    assert len(geth) == len(ours) >= 30
    differ = {name: (geth[name], ours[name]) for name in geth if geth[name] != ours[name]}
    # The transaction is on the chain, and who sends it again is told so.
    assert re.match("error: nonce too low", differ["SendTransaction again"][0])
    assert differ.pop("SendTransaction again")[1] == "null"
    assert not differ
    nothing_is_held_against_it(both[2])
