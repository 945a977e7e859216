# SPDX-License-Identifier: Apache-2.0
"""Programs under test: started with a log of their own, waited for, stopped or killed by pid."""

import ctypes
import os
import signal
import subprocess
import time

PATIENCE_S = 60.0  # only what hangs takes so long, on the slowest machine
PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)


def _end_with_parent():
    """In the child: it dies with the test runner, whatever becomes of that."""
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def wait_for(what, condition, timeout=PATIENCE_S, interval=0.02):
    """Waits until condition() is true; its value.  AssertionError names WHAT when it is not."""
    end = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"{what}: not within {timeout:g} s")
        time.sleep(interval)


class Process:
    """One running program.  `argv` are its words; output goes to a file."""

    def __init__(self, name, argv, folder, env=None):
        self.name = name
        self.argv = [str(word) for word in argv]
        self.folder = folder
        self.env = dict(os.environ, **(env or {}))
        self.log_path = folder / f"{name}.log"
        self.child = None

    def start(self):
        """Starts it (again); the log is appended to."""
        assert self.child is None or self.child.poll() is not None, f"{self.name} runs already"
        with open(self.log_path, "ab") as log:
            self.child = subprocess.Popen(self.argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                          cwd=self.folder, env=self.env, preexec_fn=_end_with_parent)
        return self

    @property
    def pid(self):
        """Its process id."""
        return self.child.pid

    def running(self):
        """True while it has not ended."""
        return self.child is not None and self.child.poll() is None

    def log(self):
        """All that it wrote."""
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def ready(self, condition, timeout=PATIENCE_S):
        """Waits for condition(), and fails at once when the program ends instead."""
        def state():
            if not self.running():
                raise AssertionError(f"{self.name} ended with {self.child.returncode}:\n"
                                     + self.log()[-4000:])
            return condition()
        return wait_for(f"{self.name} ready", state, timeout)

    def kill(self):
        """kill -9, as a crash would."""
        if self.running():
            self.child.kill()
        if self.child:
            self.child.wait()

    def stop(self, sign=signal.SIGTERM, timeout=PATIENCE_S):
        """Asks it to end; its exit status.  AssertionError when it does not."""
        if self.child is None:
            return None
        if self.running():
            self.child.send_signal(sign)
        try:
            return self.child.wait(timeout)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()
            raise AssertionError(f"{self.name} did not stop within {timeout:g} s:\n"
                                 + self.log()[-4000:]) from None

    def end(self):
        """Ends it for good, however: for the end of a test."""
        try:
            self.stop(timeout=10)
        except AssertionError:
            pass
