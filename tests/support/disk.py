# SPDX-License-Identifier: Apache-2.0
"""Disks of programs under test: slow ones, failing ones, full ones; and what ledgers hold on them."""

import os
import shutil
import signal
import sqlite3
import subprocess
import time
from contextlib import contextmanager

from support import paths
from support.process import PATIENCE_S

SLOW_MS = 20
ENOSPC, EIO = 28, 5


class BadDisk:
    """Rules for one process (tests/support/baddisk.c); it must be made before the process starts."""

    def __init__(self, process):
        self.path = process.folder / f"{process.name}.disk"
        process.env["CF_BADDISK"] = str(self.path)
        process.env["LD_PRELOAD"] = str(paths.BADDISK)
        process.env["ASAN_OPTIONS"] = process.env.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"

    @contextmanager
    def rules(self, *lines):
        """While the block runs, `CALL GLOB DELAY_MS ERRNO` of each line holds."""
        new = self.path.with_suffix(".new")
        new.write_text("\n".join(lines) + "\n")
        new.rename(self.path)
        try:
            yield
        finally:
            self.path.unlink()


class SmallDisk:
    """A tmpfs of so many bytes at a folder."""

    def __init__(self, folder, size):
        self.folder = folder
        folder.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], check=True,
                       capture_output=True)

    @staticmethod
    def why_not(folder):
        """Why there can be none here; None when there can."""
        try:
            SmallDisk(folder, 1 << 20).end()
        except (OSError, subprocess.CalledProcessError) as error:
            return f"no tmpfs can be mounted here: {error}"
        return None

    @contextmanager
    def full(self, leave=0):
        """Filled up but for `leave` bytes while the block runs."""
        ballast = self.folder / "ballast"
        with open(ballast, "wb", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(1 << 16))
            except OSError:
                file.truncate(max(0, file.tell() - leave))
        try:
            yield
        finally:
            ballast.unlink()

    def end(self):
        """Takes it away."""
        subprocess.run(["umount", self.folder], check=True, capture_output=True)


def ledger_of(process):
    """The folder of a process's ledger (Network._common)."""
    return process.folder / f"{process.name}.ledger"


def day_files(folder):
    """The files of leaves of a ledger."""
    return sorted(folder.glob("leaves-*.db"))


@contextmanager
def locked(path):
    """Another process's lock on a database, while the block runs."""
    other = sqlite3.connect(path, timeout=60, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        other.execute("ROLLBACK")
        other.close()


def heads(folder):
    """{(lane, size): (root, signature)} of every head that a ledger holds."""
    found = {}
    state = sqlite3.connect(folder / "state.db", timeout=60)
    lanes = {n: lane.hex() for n, lane in state.execute("SELECT number, lane FROM lanes")}
    state.close()
    for path in day_files(folder):
        day = sqlite3.connect(path, timeout=60)
        for row, count, root, signature in day.execute(
                "SELECT id, count, root, signature FROM turns WHERE root IS NOT NULL"):
            if row >> 20 in lanes:
                found[lanes[row >> 20], (row & 0xfffff) + count] = (root, signature)
        day.close()
    return found


def differing(*ledgers):
    """The (lane, size) of which two ledgers, as given by heads(), hold different roots."""
    seen, bad = {}, set()
    for one in ledgers:
        for head, (root, _) in one.items():
            if seen.setdefault(head, root) != root:
                bad.add(head)
    return bad


def eventually(load, seconds, least):
    """Lets a load run so long, and on until so many of its calls have ended well since."""
    before = load.good
    time.sleep(seconds)
    end = time.monotonic() + PATIENCE_S
    while load.good - before < least:
        assert time.monotonic() < end, f"{load.good - before} calls in {PATIENCE_S:g} s"
        time.sleep(0.05)


@contextmanager
def disk_of(process):
    """A copy of its ledger as it is now, that restore() puts back."""
    process.child.send_signal(signal.SIGSTOP)
    copy = process.folder / f"{process.name}.copy"
    shutil.copytree(ledger_of(process), copy)
    process.child.send_signal(signal.SIGCONT)

    def restore():
        process.kill()
        shutil.rmtree(ledger_of(process))
        copy.rename(ledger_of(process))

    yield restore
