# SPDX-License-Identifier: Apache-2.0
"""What a stranger can check, and what a stranger can not learn.

Live receipts verify with code that is not ours (Go: sumdb/note, tlog, a foreign cosignature/v1), and
the receipts' address gives nothing away without salts.
"""

import random
import subprocess

import pytest

from support import gocheck, net, paths
from support.counts import count
from support.load import Load
from support.process import wait_for


@pytest.fixture(scope="module")
def network(network_factory, anvil):
    """One network in front of one chain, with a few hundred receipts in it."""
    made = network_factory(upstreams=[anvil.url])
    with Load(made.url, clients=4) as load:
        wait_for("300 relays", lambda: made.relayed() > 300)
    assert load.failed() == []
    made.receipts = [a.receipt for a in load.answers]
    return made


@pytest.fixture(scope="module")
def bundles(network, folder):
    """Files of bundles as the gateway serves them, once their heads are cosigned."""
    wait_for("every head cosigned", network.all_cosigned, interval=0.5)
    made = []
    for number, receipt in enumerate(network.receipts[::max(1, len(network.receipts) // 20)]):
        lane, seq, salt = receipt.split("/")
        status, _, data = net.get(f"{network.url}.counterfoil/receipts/{lane}/{seq}?salt={salt}")
        assert status == 200
        made.append(folder / f"bundle{number}.json")
        made[-1].write_bytes(data)
    return made


def test_live_bundles_verify_with_foreign_code(bundles):
    """[N1] [N2] [N3] [T1] [T3]"""
    if gocheck.go() is None:
        pytest.skip("no Go: neither CF_GO nor one on PATH")
    good, lines = gocheck.check("bundle", *bundles)
    assert good, lines
    assert len(lines) >= len(bundles)


def test_exported_lanes_and_tiles_verify_with_foreign_code(network):
    """[T4] [N2] [N3]"""
    if gocheck.go() is None:
        pytest.skip("no Go: neither CF_GO nor one on PATH")
    wait_for("every head cosigned", network.all_cosigned, interval=0.5)
    gateway, nodes = network.exports()
    good, lines = gocheck.check("folder", *[e.folder for e in [gateway, *nodes]])
    assert good, lines


def test_receipts_cannot_be_enumerated_without_their_salts(network):
    """[G3] [R4]"""
    dice = random.Random(count("seed"))
    lanes = sorted({r.split("/")[0] for r in network.receipts})
    known = {tuple(r.split("/")[:2]): r.split("/")[2] for r in network.receipts}
    one = net.Http(network.url)
    bodies = set()
    for number in range(count("enumeration_guesses")):
        lane, seq = lanes[number % len(lanes)], number // len(lanes)
        salt = f"{dice.getrandbits(128):032x}"
        assert known.get((lane, str(seq))) != salt
        query = ("", f"?salt={salt}", "?salt=")[number % 3]
        status, _, body = one.request("GET", f"/.counterfoil/receipts/{lane}/{seq}{query}")
        assert status == 404
        bodies.add(body)
    # There is no telling a receipt that exists from one that does not.
    status, _, body = one.request("GET", f"/.counterfoil/receipts/{'0' * 32}/0?salt={'0' * 32}")
    assert status == 404 and bodies == {body}
    for path in ("", "receipts", "receipts/", f"receipts/{lanes[0]}", f"receipts/{lanes[0]}/"):
        status, _, body = one.request("GET", "/.counterfoil/" + path)
        assert status in (404, 405) and lanes[0].encode() not in body
    one.close()


def test_no_salt_stands_in_a_log_or_a_metric(network):
    """[R4]"""
    salts = {r.split("/")[2] for r in network.receipts}
    texts = [p.log() for p in network.processes()]
    texts += [net.get(url + "/metrics")[2].decode() for url in network.admin_urls]
    for text in texts:
        assert not any(salt in text for salt in salts)


def test_the_auditors_program_links_no_event_loop_and_no_network():
    linked = subprocess.run(["ldd", paths.AUDIT], capture_output=True, text=True, check=True).stdout
    assert "libevent" not in linked and "libcurl" not in linked and "libssl" not in linked, linked
    assert "libsodium" in linked, linked
