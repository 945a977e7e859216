# SPDX-License-Identifier: Apache-2.0
"""Memory and descriptors of running processes over time, and whether they grow."""

import collections
import os
import pathlib
import statistics
import threading
import time

from support.process import wait_for

WARM_UP = 0.25  # of the time, before which nothing is compared


def resident_kib(pid):
    """VmRSS of a process."""
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    raise ProcessLookupError(pid)


def processor_seconds(pid):
    """Of all threads of a process, to within a hundredth."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def descriptors(pid):
    """How many descriptors a process has open."""
    return len(os.listdir(f"/proc/{pid}/fd"))


def opened(pid):
    """What a process has open: {path: how often}, all sockets as "socket"."""
    found = collections.Counter()
    for one in pathlib.Path(f"/proc/{pid}/fd").iterdir():
        try:
            found[os.readlink(one).partition(":[")[0]] += 1
        except FileNotFoundError:
            pass  # closed meanwhile
    return found


def nothing_left_behind(process, sockets, workers):
    """Waits until a process has no more sockets open than it had, and no file more often than its
    threads need: they open them when they first do."""
    wait_for("no socket is left behind", lambda: opened(process.pid)["socket"] <= sockets)
    often = {path: n for path, n in opened(process.pid).items()
             if path.startswith("/") and n > 4 + 3 * workers}
    assert not often, often


class Trend:
    """A measure over time: the medians of its first and of its last third after the warm-up."""

    def __init__(self, values):
        after = values[int(len(values) * WARM_UP):]
        third = max(1, len(after) // 3)
        self.first = statistics.median(after[:third])
        self.last = statistics.median(after[-third:])
        self.growth = self.last - self.first


class Watch:
    """Samples processes that must not end meanwhile, until stop()."""

    def __init__(self, processes, interval):
        self.processes, self.interval = processes, interval
        self.samples = {p.name: [] for p in processes}  # of (KiB, descriptors)
        self.pids = {p.name: p.pid for p in processes}
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)

    def start(self):
        """Begins."""
        self.thread.start()
        return self

    def _run(self):
        while not self.stopping.is_set():
            begun = time.monotonic()
            for process in self.processes:
                pid = self.pids[process.name]
                try:
                    self.samples[process.name].append((resident_kib(pid), descriptors(pid)))
                except OSError:
                    return  # it ended: stop() says so
            self.stopping.wait(max(0.0, self.interval - (time.monotonic() - begun)))

    def stop(self):
        """AssertionError when one of them is not the process that it was."""
        self.stopping.set()
        self.thread.join()
        for process in self.processes:
            assert process.running(), f"{process.name} ended by itself"
            assert process.pid == self.pids[process.name], f"{process.name} was started anew"

    def keep(self, folder):
        """Writes all samples down, a file for each process."""
        for name, samples in self.samples.items():
            lines = [f"{n * self.interval:.1f},{kib},{files}" for n, (kib, files) in enumerate(samples)]
            (folder / f"watch-{name}.csv").write_text("\n".join(["s,KiB,files", *lines]) + "\n")

    def memory(self, process):
        """The trend of its resident KiB."""
        return Trend([kib for kib, _ in self.samples[process.name]])

    def files(self, process):
        """The trend of its open descriptors."""
        return Trend([files for _, files in self.samples[process.name]])
