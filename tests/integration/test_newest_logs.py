# SPDX-License-Identifier: Apache-2.0
"""Logs up to the newest blocks, while one of three suppliers has not got these yet: a backend says nothing
of blocks that it does not have, and does not fail either."""

import pytest

from support import net
from support.counts import count
from support.emitter import Emitter
from support.process import wait_for
from support.proxy import Proxy

AHEAD = 3  # blocks beyond the newest that are asked for, too
SPAN = 8
OFTEN = {"head_interval": "100 ms"}


class Twins:
    """Two chains with a log in each block, of which one has the last blocks later; and a network of three
    suppliers: one with the later one."""

    def __init__(self, network_factory, anvil_factory):
        self.chains = [anvil_factory(), anvil_factory()]
        self.emitters = [Emitter(chain.url) for chain in self.chains]
        assert self.emitters[0].address == self.emitters[1].address
        self.made = [0, 0]
        for which in range(2):
            self.grow(which, SPAN)
        self.proxy = Proxy(self.chains[0].url)  # another URL
        self.network = network_factory(
            upstreams=[self.chains[1].url, self.chains[0].url, self.proxy.url], stakes=(1,) * 3,
            failover=False, gateway=OFTEN)
        self.client = net.Http(self.network.url)

    def grow(self, which, blocks):
        """More blocks for one of the chains, the same as the other's."""
        for _ in range(blocks):
            self.emitters[which].log_now(self.made[which])
            self.made[which] += 1

    def height(self):
        """Of the chain that is ahead."""
        return int(net.result(self.chains[0].url, "eth_blockNumber"), 16)

    def own(self, first, last):
        """The chain's own logs."""
        return net.result(self.chains[0].url, "eth_getLogs", {"fromBlock": hex(first), "toBlock": hex(last)})

    def told(self, first, last):
        """The gateway's."""
        return self.client.call("eth_getLogs", {"fromBlock": hex(first), "toBlock": hex(last)})[0]["result"]


@pytest.fixture(scope="module", name="twins")
def fixture_twins(network_factory, anvil_factory):
    twins = Twins(network_factory, anvil_factory)
    yield twins
    twins.client.close()
    twins.proxy.end()


@pytest.mark.parametrize("behind", [1, 2, 3])
def test_logs_to_the_newest_block_are_all_there_though_one_supplier_lacks_some(twins, behind):
    twins.grow(1, twins.made[0] - twins.made[1])
    twins.grow(0, behind)
    wait_for("a head", lambda: "result" in twins.client.call("eth_getBlockByNumber", "latest", False)[0])
    for _ in range(count("newest_logs")):
        twins.grow(0, 1)
        twins.grow(1, 1)
        top = twins.height()
        for last in [top, *range(top - behind, top + AHEAD + 1)]:
            assert twins.told(top - SPAN, last) == twins.own(top - SPAN, last), f"to {last} of {top}"
