# SPDX-License-Identifier: Apache-2.0
"""Strangers at a node's port: each ends with its named reason in the log and in the metric, and links
that are in use are not disturbed ([F1] to [F4], docs/limits.md)."""

import os
import re
import time

import pytest

from reference.counterfoil_ref import frames
from support import net, peer
from support.attack import Gang
from support.backend import Backend
from support.load import Load
from support.process import wait_for

PER_SOURCE, HANDSHAKES = 16, 48
STRANGERS = 12
STRANGER = peer.Identity(b"a stranger".ljust(32))


@pytest.fixture(scope="module")
def network(network_factory, folder):
    """One node with low limits, that a gateway uses."""
    backend = Backend(folder, "backend").start()
    backend.ready(lambda: net.answers(backend.url + "/stats"))
    backend.script(default={"result": "0x0"})
    yield network_factory(upstreams=[backend.url], stakes=(1,),
                          node={"link.handshake_timeout": "2 s", "link.handshakes_max": HANDSHAKES,
                                "link.handshakes_per_source_max": PER_SOURCE})
    backend.end()


def node_url(network):
    """The node's port, for a Gang."""
    return f"http://127.0.0.1:{network.node_ports[0]}/"


def metric(network, name, label, value):
    """One labelled cell of the node's metrics."""
    text = net.get(network.nodes[0].admin + "/metrics")[2].decode()
    found = re.search(rf'^counterfoil_{name}{{{label}="{value}"}} (\d+)', text, re.M)
    return int(found[1]) if found else 0


def closed(network, reason):
    """Links that the node has closed for a reason."""
    return metric(network, "link_closed_total", "reason", reason)


def channels(network, then=lambda channel: None):
    """Some strangers past TLS, each from an address of its own, and what each does next."""
    made = []
    for _ in range(STRANGERS):
        with Gang(node_url(network)) as gang:
            (one,) = gang.join(1)
            one.setblocking(True)
            made.append(peer.Channel(one.dup(), peer.context(), accept=False))
        made[-1].handshake()
        then(made[-1])
    return made


def wait_closed(made):
    """Until the node, which has said its own HELLO, has closed each."""
    for channel in made:
        while channel.read(peer.TIMEOUT):
            pass
        channel.close()


# -- the attacks


def half_open(network):
    """Connections that say nothing."""
    with Gang(node_url(network), STRANGERS) as gang:
        gang.join(STRANGERS)
        gang.hear()


def garbage(network):
    """What is no TLS."""
    for sent in (b"GET / HTTP/1.1\r\n\r\n", b"\x00" * 100, os.urandom(200)):
        with Gang(node_url(network), STRANGERS) as gang:
            gang.join(STRANGERS)
            gang.say(sent)
            gang.hear()


def without_hello(network):
    """TLS, and then silence."""
    wait_closed(channels(network))


def dripped_hello(network):
    """A HELLO that comes byte by byte."""
    made = channels(network)
    hello = peer.Link(made[0], STRANGER, peer.GATEWAY, bytes(32))
    data = frames.encode("hello", hello.hello_fields())
    for at in range(10):
        for channel in made:
            channel.write(data[at:at + 1])
        time.sleep(0.15)
    wait_closed(made)


def no_frames(network):
    """TLS, and then anything."""
    wait_closed(channels(network, lambda channel: channel.write(
        b"\x00\x00\x00\x20" + bytes([0x7f]) + bytes(31))))


def another_network(network):
    """A HELLO of somebody from elsewhere."""
    wait_closed(channels(network, lambda channel: peer.Link(
        channel, STRANGER, peer.GATEWAY, bytes(32)).say_hello()))


ATTACKS = {
    half_open: ("handshake_slow", STRANGERS),
    garbage: ("handshake", STRANGERS),
    without_hello: ("handshake_slow", STRANGERS),
    dripped_hello: ("handshake_slow", STRANGERS),
    no_frames: ("protocol", STRANGERS),
    another_network: ("identity", STRANGERS),
}


@pytest.mark.parametrize("one", ATTACKS, ids=lambda one: one.__name__)
def test_a_stranger_ends_with_its_reason_and_disturbs_no_link(one, network):
    reason, least = ATTACKS[one]
    before, dialled = closed(network, reason), network.gateway.log().count("gateway.link_up")
    with Load(network.url, clients=4) as load:
        one(network)
    wait_for(reason, lambda: closed(network, reason) >= before + least, interval=0.1)
    assert re.search(rf"link\.closed .*reason={reason} ", network.nodes[0].log())
    assert load.answers and load.failed() == [], load.failed()[:3]
    assert network.gateway.log().count("gateway.link_up") == dialled  # the same link all the time


@pytest.mark.parametrize("addresses, limit", [(1, "handshakes_per_source_max"), (16, "handshakes_max")])
def test_a_flood_of_handshakes_is_refused_at_the_door(addresses, limit, network):
    """The open ones may be so many, from one address and in all; a gateway still comes in."""
    before = metric(network, "link_refused_total", "limit", limit)
    with Load(network.url, clients=4) as load, Gang(node_url(network), addresses) as gang:
        def refused():
            """Those who were let in before are timed out on a slow machine, and others come in for them."""
            gang.join(2 * HANDSHAKES)
            return metric(network, "link_refused_total", "limit", limit) >= before + 3 * HANDSHAKES

        wait_for(limit, refused, interval=0.1)
    assert load.answers and load.failed() == [], load.failed()[:3]
    assert f"link.refused limit={limit} " in network.nodes[0].log()
    # The door is not shut for good: the gateway is restarted and dials in.
    assert network.gateway.stop() == 0
    network.gateway.start()
    network.wait_ready()
