# SPDX-License-Identifier: Apache-2.0
"""Contracts of a few bytes that log what they are called with."""

from support import net
from support.process import wait_for

# CALLDATALOAD of word 0 is the topic; that many bytes of zeroes are the data.
SHORT = "0x6860003560206000a10060005260096017f3"
LONG = "0x696000356108006000a100600052600a6016f3"


class Emitter:
    """One contract on an anvil; address."""

    def __init__(self, url, code=SHORT):
        self.url = url
        self.account = net.result(url, "eth_accounts")[0]
        sent = self.send({"data": code})
        net.result(url, "anvil_mine", "0x1")
        self.address = wait_for("the contract", lambda: net.result(
            url, "eth_getTransactionReceipt", sent))["contractAddress"]

    def send(self, fields):
        """Sends a transaction; its hash."""
        return net.result(self.url, "eth_sendTransaction",
                          {"from": self.account, "gas": "0x100000"} | fields)

    def log(self, topic):
        """Logs this topic, a number, with the next block."""
        return self.send({"to": self.address, "data": topic_of(topic)})

    def log_now(self, topic):
        """The same where each transaction is a block, which comes a moment after it was sent."""
        sent = self.log(topic)
        wait_for("its block", lambda: net.result(self.url, "eth_getTransactionReceipt", sent))


def topic_of(number):
    """A number as a topic."""
    return f"0x{number:064x}"


def mine(url, blocks=1):
    """Adds blocks."""
    net.result(url, "anvil_mine", hex(blocks))
