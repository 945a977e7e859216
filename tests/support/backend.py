# SPDX-License-Identifier: Apache-2.0
"""A scripted backend as a program of its own (tests/support/faultnode.h)."""

import json

from support import net, paths
from support.process import Process

# upstream's options with which every fault is met anew and no backend rests.
NEVER_RESTS = {"failures_max": 1000, "failure_percent": 100, "failure_window": "100 ms",
               "retry_after_max": "0 s"}

class Backend(Process):
    """Listens on `url` whenever it runs; a new start begins with `script` and without counts."""

    def __init__(self, folder, name, script=None):
        self.port = net.free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        first = folder / f"{name}.json"
        first.write_text(json.dumps(script or {}))
        super().__init__(name, [paths.FAULTNODE, self.port, first], folder)

    def script(self, **script):
        """default=ACTION, methods={NAME: ACTION}, queue=[ACTION]: what it does from now on."""
        client = net.Http(self.url)
        status, _, _ = client.request("PUT", "/script", json.dumps(script).encode())
        client.close()
        assert status == 200

    def stats(self):
        """What it has seen since it was started."""
        return json.loads(net.get(self.url + "/stats")[2])

    def asked(self, method):
        """How often it was asked for a method since it was started."""
        return self.stats()["methods"].get(method, 0)
