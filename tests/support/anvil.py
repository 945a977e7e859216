# SPDX-License-Identifier: Apache-2.0
"""A real EVM chain: anvil, with time that passes by blocks only, so that two of them agree."""

import http.client

from support import net, paths
from support.process import Process

CHAIN_ID = 31337
GENESIS_TIME = 1700000000


class Anvil(Process):
    """One anvil on a free port.  Same calls, same order: same chain."""

    def __init__(self, folder, name="anvil", words=()):
        self.port = net.free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        super().__init__(name, [paths.ANVIL, "--port", self.port, "--silent",
                                "--timestamp", GENESIS_TIME, *words], folder)

    def start(self):
        """Starts it and waits until it answers as our chain."""
        super().start()
        self.ready(self._answers)
        net.result(self.url, "anvil_setBlockTimestampInterval", 1)
        return self

    def _answers(self):
        try:
            return net.result(self.url, "eth_chainId") == hex(CHAIN_ID)
        except (OSError, http.client.HTTPException):
            return False

    def mine(self, blocks=1):
        """Adds empty blocks."""
        net.result(self.url, "anvil_mine", hex(blocks))
