# SPDX-License-Identifier: Apache-2.0
"""kill -9 of a node, of the gateway, of both, at random under load: nobody loses a receipt.

The client writes each receipt and the SHA-256 of the body down before its next call.
"""

import hashlib
import random
import time

import pytest

from reference.counterfoil_ref import bundle
from support import net
from support.counts import count
from support.export import audit, missing
from support.load import Load
from support.process import wait_for

FIRST_RELAYS = 50
KILL_S = 20  # that one round may take on a busy machine

pytestmark = pytest.mark.timeout(300 + KILL_S * max(count("kill_" + who)
                                                    for who in ("node", "gateway", "both")))


def body_of(encoding):
    """The body of a response encoding [E4]."""
    kind = int.from_bytes(encoding[2:4], "big")
    return encoding[4 + kind + 8:]


@pytest.fixture(scope="module")
def killed(request, network_factory, anvil, folder):
    """(network, load, lines of the notebook) after kills of `request.param`."""
    who = request.param
    dice = random.Random(f"{count('seed')} {who}")
    network = network_factory(upstreams=[anvil.url])
    notebook = folder / f"notebook-{who}"
    with Load(network.url, clients=6, notebook=notebook) as load:
        wait_for("first relays", lambda: notebook.read_text().count("\n") > FIRST_RELAYS)
        for _ in range(count(f"kill_{who}")):
            time.sleep(dice.uniform(0.3, 1.5))
            victims = {"node": [dice.choice(network.nodes)], "gateway": [network.gateway],
                       "both": [network.gateway, *network.nodes]}[who]
            for victim in victims:
                victim.kill()
            time.sleep(dice.uniform(0.0, 0.5))
            for victim in reversed(victims):
                victim.start()
            network.wait_ready(60)
        time.sleep(1.0)
    return network, load, notebook.read_text().split("\n")[:-1]


kinds = pytest.mark.parametrize("killed", ["node", "gateway", "both"], indirect=True)


@kinds
def test_recovery_leaves_no_honest_cu_uncosigned(killed):
    """[L5] [L7] [L8]"""
    network, load, _ = killed
    network.after = wait_for("every lane with its last head cosigned", network.settled, interval=1.0)
    if network.gateway.log().count("gateway.ready") == 1:
        assert load.failed() == [], "one node's crash is no failed call: another is asked"


@kinds
def test_each_line_of_the_notebook_is_in_both_ledgers_and_verifies(killed):
    """[L1] [L2] [R3]"""
    network, _, lines = killed
    assert len(lines) > FIRST_RELAYS
    receipts = [line.split(" ")[0] for line in lines]
    assert len(set(receipts)) == len(receipts), "a lane and seq stands twice [L4]"
    gateway, nodes = network.after
    assert missing(receipts, [gateway]) == []
    assert missing(receipts, nodes) == []
    for line in lines[::max(1, len(lines) // 500)]:
        receipt, digest = line.split(" ")
        lane, seq, salt = receipt.split("/")
        status, _, data = net.get(f"{network.url}.counterfoil/receipts/{lane}/{seq}?salt={salt}")
        assert status == 200
        one = bundle.parse(data)
        assert one.check() == []
        assert hashlib.sha256(body_of(one.response)).hexdigest() == digest


@kinds
def test_reconcile_knows_every_difference_by_name(killed):
    """[L10] [L4] [R7]"""
    network, _, _ = killed
    gateway, nodes = network.after
    for one in (gateway, *nodes):
        status, said = audit("verify", one.folder)
        assert status == 0, said
    for node in nodes:
        status, said = audit("reconcile", gateway.folder, node.folder)
        assert status == 0, said
