# SPDX-License-Identifier: Apache-2.0
"""A script of faults over a running network, by a seed: one at a time, with calm in between.

Each fault has a span: from its beginning until what it broke works again.  A call that failed must
have been there during one of them.
"""

import random
import signal
import time

from support import net
from support.mixed import LARGE, LARGE_BYTES, SCRIPT, WRITE
from support.process import wait_for

CALM_S = (0.6, 1.4)
RESPONSE_MAX = 4 << 20  # node.response_max, for the answer that is larger
GRACE_S = 2.0  # a call may still meet what the fault has left: a cut connection, a cooling node
SILENCE_GRACE_S = 15.0  # and find late that its kept connection is gone


def broken(**action):
    """A script that does the same to every request (tests/support/faultnode.h)."""
    return {"default": action}


BACKEND = {
    "slow": {"default": {"echo": True, "delay_ms": 400},
             "methods": {LARGE: {"size": LARGE_BYTES, "delay_ms": 400}}},
    "drip": {"default": {"echo": True, "drip_ms": 20},
             "methods": {LARGE: {"size": LARGE_BYTES, "drip_ms": 5, "drip_bytes": 8192}}},
    "hang": broken(hang=True),
    "503": broken(status=503, body="busy"),
    "429": broken(status=429, body="later"),
    "html": broken(body="<html>", type="text/html"),
    "wrong id": broken(id=7),
    "empty": broken(body=""),
    "not HTTP": broken(raw="not HTTP\r\n\r\n", cut="after"),
    "cut before": broken(cut="before"),
    "cut half": broken(size=200000, cut="half"),
    "half a chunk": broken(size=200000, chunked=True, cut="half"),
    "reset": broken(cut="reset"),
    "too large": broken(size=RESPONSE_MAX + 1),
}


class Faults:
    """run() is to be called by the thread that ends last: what it starts dies with it."""

    def __init__(self, network, backends, seed):
        self.network, self.backends = network, backends
        self.dice = random.Random(f"{seed} faults")
        self.spans = []  # (begin, end, name)
        self.spared = []
        self.written = 0  # transactions that backends saw before they were ended
        self.deck = []

    def spare(self, processes):
        """From now on none of these is ended or frozen."""
        self.spared, self.deck = processes, []

    def run(self, until):
        """Fault after fault; the last has healed when it returns."""
        while time.monotonic() < until:
            time.sleep(self.dice.uniform(*CALM_S))
            for process in self.network.processes():
                assert process.running(), f"{process.name} ended by itself:\n{process.log()[-4000:]}"
            name, fault = self._next()
            begin = time.monotonic()
            fault()
            self.spans.append((begin, time.monotonic(), name))

    def sent(self):
        """Transactions that backends have seen; fewer, when one was ended in between."""
        return self.written + sum(backend.asked(WRITE) for backend in self.backends)

    def explains(self, begin, end, grace=GRACE_S):
        """Which faults were there between two times."""
        return [name for start, stop, name in self.spans if start <= end and begin <= stop + grace]

    def explains_silence(self, begin, end):
        """Which of them were the gateway's own: nothing else keeps it from answering at all."""
        return [name for name in self.explains(begin, end, SILENCE_GRACE_S)
                if name.startswith(("gateway ", "all killed"))]

    # -- the script

    def _next(self):
        """Faults come in rounds, each with all kinds that there are, in an order of its own."""
        if not self.deck:
            self.deck = [(f"backend {name}", lambda s=script: self._backend(s))
                         for name, script in BACKEND.items()]
            self.deck += [("backend away", self._backend_away), ("all backends hang", self._all_hang),
                          ("registry away", self._registry_away)]
            for victim in self.network.processes():
                if victim in self.spared:
                    continue
                self.deck += [(f"{victim.name} killed", lambda v=victim: self._kill([v])),
                              (f"{victim.name} stopped", lambda v=victim: self._stop(v)),
                              (f"{victim.name} frozen", lambda v=victim: self._freeze(v))]
            if not self.spared:
                self.deck.append(("all killed", lambda: self._kill(self.network.processes())))
            self.dice.shuffle(self.deck)
        return self.deck.pop()

    def _last(self, least=0.3, most=1.2):
        time.sleep(self.dice.uniform(least, most))

    # -- what stands behind

    def _backend(self, script):
        backend = self.dice.choice(self.backends)
        backend.script(**script)
        self._last()
        backend.script(**SCRIPT)

    def _backend_away(self):
        backend = self.dice.choice(self.backends)
        self.written += backend.asked(WRITE)
        backend.kill()
        self._last()
        backend.start()
        backend.ready(lambda: net.answers(backend.url + "/stats"))

    def _all_hang(self):
        for backend in self.backends:
            backend.script(**BACKEND["hang"])
        self._last()
        for backend in self.backends:
            backend.script(**SCRIPT)

    def _registry_away(self):
        keeper = self.network.keeper
        keeper.kill()
        self._last(1.0, 3.0)
        keeper.start()
        keeper.ready(lambda: net.answers(self.network.registry_url))
        self.network.wait_ready()

    # -- the programs themselves

    def _back(self, victims):
        for victim in reversed(victims):
            victim.start()
        for victim in victims:
            victim.ready(lambda p=victim: net.answers(p.admin + "/readyz"))
        self.network.wait_ready()

    def _kill(self, victims):
        for victim in victims:
            victim.kill()
        self._last(0.0, 0.5)
        self._back(victims)

    def _stop(self, victim):
        status = victim.stop()
        assert status == 0, f"{victim.name} ended with {status}:\n{victim.log()[-4000:]}"
        self._back([victim])

    def _freeze(self, victim):
        victim.child.send_signal(signal.SIGSTOP)
        self._last()
        victim.child.send_signal(signal.SIGCONT)
        wait_for(f"{victim.name} ready", lambda: net.answers(victim.admin + "/readyz"))
