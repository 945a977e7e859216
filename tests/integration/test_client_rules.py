# SPDX-License-Identifier: Apache-2.0
"""Clients that break the rules of the gateway's HTTP face in turn (tests/hostile.toml, [G1] [G3]
[G4]): each gets the status and the code of its row, and the next call is answered."""

import json

import pytest

from support import net, paths
from support.hostile import cases
from support.network import Network
from support.process import Process, wait_for

CASES = cases("client")


@pytest.fixture(scope="module", name="network")
def fixture_network(folder):
    """One node behind one gateway."""
    port = net.free_port()
    backend = Process("backend", [paths.FAULTNODE, port], folder).start()
    wait_for("the backend", lambda: net.answers(f"http://127.0.0.1:{port}/stats"))
    network = Network(folder / "network", [f"http://127.0.0.1:{port}"], stakes=(1,)).start()
    yield network
    network.end()
    backend.end()


def receipt(network):
    """The words that a case may use of a real receipt."""
    client = net.Http(network.url)
    _, headers = client.call("eth_chainId")
    client.close()
    lane, seq, salt = headers["counterfoil-receipt"].split("/")
    if lane.upper() == lane or seq == "0":
        return receipt(network)
    return {"lane": lane, "LANE": lane.upper(), "seq": seq, "salt": salt}


@pytest.mark.parametrize("name", CASES)
def test_a_client_that_breaks_a_rule(network, name):
    """The answer of `then`; the gateway goes on."""
    case = CASES[name]
    verb, path = case["send"].format(**receipt(network)).split(" ")
    body = case.get("body", "").encode("latin-1") * case.get("times", 1)
    if "batch" in case:
        body = b"[" + b",".join([body] * case["batch"]) + b"]"
    client = net.Http(network.url)
    status, _, data = client.request(verb, path, None if verb == "GET" else body)
    client.close()
    _, want, *code = case["then"].split()
    assert status == int(want), data
    if code:
        assert json.loads(data)["error"]["code"] == int(code[0])
    assert net.result(network.url, "eth_chainId") == "0x1"
