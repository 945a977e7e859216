# SPDX-License-Identifier: Apache-2.0
"""A copy of the source tree in which faults are tried: built by meson, tested program by program.

Nothing is ever written to the checkout.  A test passes when it exits with 0 in its time, which is
measured on the unchanged tree first.
"""

import json
import os
import pathlib
import resource
import shutil
import signal
import subprocess
import sys
import time
import tomllib

BUILDS = {"gcc": ["-Ddebug=false"], "asan": ["-Ddebug=false", "-Db_sanitize=address,undefined"]}
MEMORY_MAX = 4 << 30  # bytes of a test's address space; a fault may ask for all there is
TIME_FACTOR, TIME_MIN_S = 10, 10


class Broken(Exception):
    """The unchanged tree does not build, or fails a test: nothing can be said of faults."""


class Scratch:
    """One copy of the tree; one fault at a time."""

    def __init__(self, root, folder):
        self.root, self.tree = root, folder
        self.times = {}
        self.outputs = {}
        self.env = self._environment()

    def _environment(self):
        env = {name: value for name, value in os.environ.items() if not name.startswith("CF_")}
        counts = tomllib.loads((self.root / "tests/counts.toml").read_text())
        env.update({"CF_COUNT_" + name.upper(): str(fast) for name, (fast, _) in counts.items()})
        env.update({
            "CF_SOURCE_ROOT": str(self.tree), "CMOCKA_MESSAGE_OUTPUT": "TAP", "CF_SOAK": "0",
            "CCACHE_BASEDIR": str(self.tree), "CCACHE_NOHASHDIR": "1",
            "ASAN_OPTIONS": "detect_leaks=1:detect_stack_use_after_return=1:hard_rss_limit_mb=2048",
            "UBSAN_OPTIONS": "halt_on_error=1", "PYTHONDONTWRITEBYTECODE": "1",
        })
        return env

    # -- the tree

    def prepare(self):
        """Copies what git knows, and builds what the first stage needs."""
        shutil.rmtree(self.tree, ignore_errors=True)
        listed = subprocess.run(["git", "ls-files", "-z", "--cached", "--others",
                                 "--exclude-standard"], cwd=self.root, capture_output=True,
                                check=True).stdout.decode().split("\0")
        for name in filter(None, listed):
            if (self.root / name).is_file():
                (self.tree / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(self.root / name, self.tree / name)
        for name in ("tests/.cache", "tests/clients/node_modules"):
            if (self.root / name).exists():
                (self.tree / name).symlink_to((self.root / name).resolve())

    def setup(self, build):
        """Configures a build the first time that it is asked for."""
        path = self.tree / ("build-" + build)
        if not (path / "build.ninja").exists():
            compiler = ("ccache " if shutil.which("ccache") else "") + "gcc"
            if self._quiet(["meson", "setup", path, "-Dbench=false"] + BUILDS[build],
                           {"CC": compiler}) != 0:
                raise Broken(f"meson setup of {build} failed in {self.tree}")
        return path

    def read(self, path):
        """The text of one file."""
        return (self.tree / path).read_text()

    def write(self, path, text):
        """Puts a text in the place of one file."""
        (self.tree / path).write_text(text)

    # -- building

    def object_of(self, build, path):
        """The bytes that a source compiles to (no debug information), or None: it does not."""
        folder = self.setup(build)
        if build not in self.outputs:
            rows = json.loads((folder / "compile_commands.json").read_text())
            self.outputs[build] = {os.path.relpath(os.path.join(r["directory"], r["file"]),
                                                   self.tree): r["output"] for r in rows}
        output = self.outputs[build][path]
        if self._quiet(["ninja", "-C", folder, output]) != 0:
            return None
        return (folder / output).read_bytes()

    def make(self, build, tests):
        """Builds the programs of tests; False when it fails."""
        targets = {"tests/" + test.program for test in tests if test.program}
        whole = any(not test.program for test in tests)
        command = ["ninja", "-C", self.setup(build)] + ([] if whole else sorted(targets))
        return self._quiet(command) == 0

    def _quiet(self, argv, env=None):
        return subprocess.run(list(map(str, argv)), stdin=subprocess.DEVNULL, cwd=self.tree,
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                              env=dict(self.env, **(env or {})), check=False).returncode

    # -- testing

    def measure(self, build, tests):
        """Runs tests on the unchanged tree: their times are what later runs are held to."""
        missing = [test for test in tests if (build, test) not in self.times]
        if missing and not self.make(build, missing):
            raise Broken(f"the unchanged tree does not build ({build}, {self.tree})")
        for test in missing:
            start = time.monotonic()
            if not self._passes(build, test, 600, 1 if test.exact else 3):
                raise Broken(f"{test.name} fails on the unchanged tree ({build}, {self.tree})")
            self.times[build, test] = time.monotonic() - start

    def first_failure(self, build, tests):
        """The name of the first test that fails, with " (time)" when it did not end; or None."""
        if not self.make(build, tests):
            return "build"
        for test in tests:
            limit = max(TIME_MIN_S, TIME_FACTOR * self.times[build, test])
            start = time.monotonic()
            if not self._passes(build, test, limit, 1 if test.exact else 2):
                late = time.monotonic() - start >= limit
                return test.name + (" (time)" if late else "")
        return None

    def _passes(self, build, test, limit, tries):
        return any(self._run(build, test, limit) for _ in range(tries))

    def _run(self, build, test, limit):
        folder = self.tree / ("build-" + build)
        env = dict(self.env)
        if test.program:
            argv = [folder / "tests" / test.program, *(self.tree / a for a in test.arguments)]
        else:
            argv = [self.tree / "tests/.cache/venv/bin/python", "-m", "pytest", "-q", "-x", "-p",
                    "no:cacheprovider", "--rootdir", self.tree / "tests", "-c",
                    self.tree / "tests/pytest.ini", *(self.tree / a for a in test.arguments)]
            env.update({"CF_BUILD": str(folder), "CF_LOGS": str(folder / "logs")})
            (folder / "logs").mkdir(exist_ok=True)
        child = subprocess.Popen(list(map(str, argv)), cwd=folder, env=env, start_new_session=True,
                                 stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                 stderr=subprocess.DEVNULL,
                                 preexec_fn=_bounded if build == "gcc" else _without_core)
        try:
            return child.wait(timeout=limit) == 0
        except subprocess.TimeoutExpired:
            return False
        finally:
            try:
                os.killpg(child.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            child.wait()


def _without_core():
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _bounded():
    _without_core()
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_MAX, MEMORY_MAX))
