# SPDX-License-Identifier: Apache-2.0
"""Backends that do what a script says (tests/support/faultnode.h)."""

import json

from support import net, paths
from support.process import Process

# upstream's options with which every fault is met anew and no backend rests.
NEVER_RESTS = {"failures_max": 1000, "failure_percent": 100, "failure_window": "100 ms",
               "retry_after_max": "0 s"}


class Faulty(Process):
    """A scripted backend; script() replaces what it does."""

    def __init__(self, folder, name):
        self.port = net.free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        super().__init__(name, [paths.FAULTNODE, self.port], folder)

    def script(self, **script):
        """default=ACTION, methods={NAME: ACTION}, queue=[ACTION]; see tests/support/faultnode.h"""
        client = net.Http(self.url)
        status, _, _ = client.request("PUT", "/script", json.dumps(script).encode())
        client.close()
        assert status == 200

    def stats(self):
        """What it has seen."""
        return json.loads(net.get(self.url + "/stats")[2])
