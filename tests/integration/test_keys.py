# SPDX-License-Identifier: Apache-2.0
"""Keys that are changed, lost or stolen, and copies that are put back, in the words of docs/operating.md."""

import http.client
import itertools
import json
import re

import pytest

from reference.counterfoil_ref import claim
from support import net, paths, town
from support.load import Load
from support.process import wait_for

DOCUMENT = paths.ROOT / "docs" / "operating.md"
RELAYS = 40
TOTALS = "counterfoil ledger totals --income --config node.yaml"

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module", name="network")
def fixture_network(folder, anvil):
    network = town.Town(folder / "town", anvil.url)
    yield network
    network.end()


def words(network, **more):
    """What is put in for words of the document: addresses and keys of this network."""
    backend = {"http://10.77.0.1:8590/": network.url, "REGISTRY_KEY": network.registry_key,
               "http://127.0.0.1:8545": network.backend}
    for address in ("10.77.0.2:8576", "127.0.0.1:8582", "10.77.0.1:8546", "127.0.0.1:8583"):
        backend[address] = f"127.0.0.1:{net.free_port()}"
    return backend | more


def read(section, network, more, **places):
    """A Reader of a section."""
    return town.Reader(DOCUMENT, "### " + section, {"keeper": network.keeper, **places}, words(network, **more))


def serve(gateway, supplier, relays=RELAYS):
    """So many answers at least, of which one at least is the supplier's."""
    with Load(gateway.url, clients=2) as load:
        wait_for("relays", lambda: load.good >= relays, timeout=120)
        wait_for("relays of the supplier", lambda: answers(gateway, supplier), timeout=120)


_asked = itertools.count(1 << 64)


def answers(gateway, supplier):
    """True when a call is answered by the supplier."""
    return answers_at(gateway.url, supplier)


def refused(gateway):
    """True when a call is refused for want of a grant."""
    one = net.Http(gateway.url)
    try:
        answer, _ = one.call("eth_getBalance", f"0x{next(_asked):040x}", "latest")
        return "error" in answer and answer["error"]["data"]["error"] == "grant"
    finally:
        one.close()


def answers_at(url, supplier):
    """The same, at a gateway's URL."""
    one = net.Http(url)
    try:
        answer, headers = one.call("eth_getBalance", f"0x{next(_asked):040x}", "latest")
        return "result" in answer and headers.get("counterfoil-supplier") == supplier
    except (OSError, http.client.HTTPException):
        return False
    finally:
        one.close()


def served(node):
    """Units of its receipts, from the ledger."""
    said = node.run("counterfoil ledger totals --json --config node.yaml")[1]
    return sum(row["cu"] for row in json.loads(said))


def all_is_paid(node, said):
    """True when `ledger totals` has nothing that may still come, and nothing was served since."""
    found = town.totals(said)
    return found.get("earned", 0) > 0 and found["earned"] == found.get("paid", 0) == served(node)


def wait_paid(node):
    """Until that is so."""
    wait_for("all that was earned", lambda: all_is_paid(node, node.run(TOTALS)[1]), timeout=120, interval=0.2)


def test_a_node_gets_another_key_and_loses_no_reward(network):
    gateway, node = network.gateway(), network.node()
    old = node.key("node.key")
    serve(gateway, old)
    reader = read("A node gets another key", network, {"SUPPLIER": old}, node=node)
    with Load(gateway.url, clients=2):
        reader.next("counterfoil init node --dir new", "counterfoil node new/node.yaml")
        reader.words["NEW_SUPPLIER"] = new = node.key("new/node.key")
        reader.next("counterfoil stake")
        reader.again("counterfoil doctor new/node.yaml", lambda said: "\nfix" not in "\n" + said, "nothing to fix")
        said = reader.next("counterfoil unstake")
        assert re.search(r"stays liable for \d+ sessions more", said), said
        said = reader.again("counterfoil ledger totals", lambda said: all_is_paid(node, said),
                            "all that the old key has earned")
        assert "lost:" not in said
        wait_for("the new one", lambda: answers(gateway, new), timeout=120)
        assert reader.next("counterfoil claim list --lost") == "nothing is lost\n"
    assert not reader.steps
    assert network.paid(old) == town.totals(said)["paid"]
    said = network.keeper.run("counterfoil registry show registry.db")[1]
    assert re.search(rf"^supplier\s+{old} stake 0 \(and {town.STAKE} on its way out\)", said, re.M), said
    assert node.programs[0].stop() == 0


def paid_but(node, said, lost):
    """Its totals when nothing may still come, and what is lost is so for that reason alone; else None."""
    found = town.totals(said)
    assert not [what for what in found if what.startswith("lost: ") and what != lost], said
    paid = found.get("paid", 0)
    return found if paid == served(node) and found.get("earned", 0) == paid + found.get(lost, 0) else None


OPEN = re.compile(r" (earned|prepared|recorded|proved) ")


def lose_key(network, gateway, node):
    """The node's machine is gone, with what it had not claimed; the key is."""
    with Load(gateway.url, clients=2):
        wait_for("something earned", lambda: OPEN.search(node.run("counterfoil claim list --dir ledger")[1]),
                 timeout=120)
        node.program.kill()
    (node.folder / "node.key").unlink()


def test_a_copy_of_a_key_takes_its_place_and_without_one_it_is_seen_what_is_lost(network):
    gateway, node = network.gateway(), network.node()
    supplier = node.key("node.key")
    reader = read("A copy of a key, and a key that is lost", network, {"SUPPLIER": supplier}, node=node)
    (node.folder / "words").write_text("horse battery\n")
    reader.next("counterfoil key encrypt")
    serve(gateway, supplier)
    lose_key(network, gateway, node)
    status, said = node.run("counterfoil node node.yaml", check=False)
    assert status == 1 and "node.key" in said
    reader.next("cp copy.key node.key", "counterfoil node node.yaml")
    # it was killed: what was on its way to the gateway then is not owed
    said = reader.again("counterfoil ledger totals", lambda said: town.totals(said).get("earned", 0) > 0 and
                        paid_but(node, said, "lost: undelivered"), "all that was earned")
    assert network.paid(supplier) == town.totals(said)["paid"]

    serve(gateway, supplier)
    lose_key(network, gateway, node)
    said = reader.next("counterfoil unstake")
    assert f"supplier {supplier}: stake 0," in said
    assert OPEN.search(reader.next("counterfoil claim list"))
    assert not reader.steps
    leaves = re.compile(rf"^supplier\s+{supplier} stake 0 \(and {town.STAKE} on its way out\)", re.M)
    wait_for("the next height", lambda: leaves.search(network.keeper.run("counterfoil registry show registry.db")[1]))


def test_a_stolen_gateway_key_spends_until_the_next_snapshot_and_a_new_one_goes_on(network):
    gateway, node = network.gateway(), network.node()
    supplier, stolen = node.key("node.key"), gateway.key("gateway.key")
    serve(gateway, supplier)
    reader = read("A gateway's key is stolen", network, {
        "GATEWAY": stolen, "APPLICATION": gateway.key("application.key"),
        "NEW_GATEWAY": lambda: gateway.key("new/gateway.key")}, gateway=gateway)
    with Load(gateway.url, clients=2):
        reader.words["LINE"] = reader.next("counterfoil grant --sign").strip().splitlines()[-1]
        said = reader.next("counterfoil grant --registry registry.db --record")
        first = int(re.search(r"first in the session that starts at height (\d+)", said).group(1))
        wait_for("no answers", lambda: refused(gateway), timeout=120)

    said = reader.next("counterfoil init gateway --dir new", "counterfoil grant --sign")
    reader.words["LINE"] = said.strip().splitlines()[-1]
    reader.next("counterfoil fund", "counterfoil grant --registry registry.db --record")
    reader.again("counterfoil doctor new/gateway.yaml", lambda said: "\nfix" not in "\n" + said, "nothing to fix")
    reader.next("counterfoil gateway new/gateway.yaml")
    new = f"http://{reader.words['10.77.0.1:8546']}/"
    wait_for("the new gateway", lambda: answers_at(new, supplier), timeout=120)
    said = reader.next("counterfoil registry show")
    assert re.search(rf"^grant\s+\w+ -> gateway {stolen}, eth, 0 a session: not active", said, re.M), said
    assert not reader.steps

    wait_paid(node)
    assert "lost:" not in node.run(TOTALS)[1]
    spent = {}
    for row in network.claims("gateway", stolen):
        for at in range(0, len(row["records"]), claim.SIZE):
            record = claim.decode_record(row["records"][at:at + claim.SIZE])
            spent[record.start] = spent.get(record.start, 0) + record.value
    assert spent and max(spent) < first and max(spent.values()) <= town.BUDGET


def test_a_ledger_that_is_put_back_costs_nothing_that_was_cosigned_and_is_paid_once(network):
    gateway, node = network.gateway(), network.node()
    supplier = node.key("node.key")
    serve(gateway, supplier)
    reader = read("A backup is put back", network, {}, node=node, gateway=gateway)
    assert node.program.stop() == 0
    reader.next("cp -a ledger backup")
    node.start("counterfoil node node.yaml")
    serve(gateway, supplier)
    wait_paid(node)
    before = network.paid(supplier)
    node.program.kill()
    reader.next("rm -r ledger", "cp -a backup ledger", "counterfoil node node.yaml")
    serve(gateway, supplier)
    said = reader.again("counterfoil ledger totals", lambda said: all_is_paid(node, said) and
                        network.paid(supplier) == town.totals(said)["paid"], "all that was earned")
    assert "lost:" not in said and "claims.adopted" in node.program.log()
    assert town.totals(said)["paid"] > before

    assert gateway.program.stop() == 0
    reader.next("cp -a ledger backup")
    gateway.start("counterfoil gateway gateway.yaml")
    serve(gateway, supplier)
    gateway.program.kill()
    reader.next("rm -r ledger", "cp -a backup ledger", "counterfoil gateway gateway.yaml")
    serve(gateway, supplier)
    said = wait_for("all that was earned", lambda: paid_but(node, node.run(TOTALS)[1], "lost: undelivered"),
                    timeout=120, interval=0.2)
    assert network.paid(supplier) == said["paid"]


def test_a_registry_that_is_put_back_forgets_what_it_paid_and_goes_on(folder, anvil):
    network = town.Town(folder / "other", anvil.url)
    try:
        gateway, node = network.gateway(), network.node()
        supplier = node.key("node.key")
        reader = read("A backup is put back", network, {"10.77.0.1:8590": f"127.0.0.1:{network.port}"},
                      node=node, gateway=gateway)
        reader.steps = [step for step in reader.steps if step[0] == "keeper"]
        serve(gateway, supplier)
        wait_paid(node)
        reader.next("sqlite3 registry.db")
        kept = network.paid(supplier)
        serve(gateway, supplier)
        wait_paid(node)
        assert network.paid(supplier) > kept
        assert network.keeper.program.stop() == 0
        reader.next("rm -f registry.db", "cp backup.db registry.db", "counterfoil registry serve")
        wait_for("the registry", lambda: net.answers(network.url))
        assert network.paid(supplier) == kept
        for place, line in ((node, "counterfoil node node.yaml"), (gateway, "counterfoil gateway gateway.yaml")):
            assert place.program.stop() == 0
            place.start(line)
        serve(gateway, supplier)
        wait_for("a payment", lambda: network.paid(supplier) > kept, timeout=120)
        assert not reader.steps
    finally:
        network.end()
