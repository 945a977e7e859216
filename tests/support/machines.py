# SPDX-License-Identifier: Apache-2.0
"""Two machines on one: network namespaces joined by a pair of virtual interfaces."""

import os
import pathlib
import subprocess

from support import paths
from support.process import Process

PREFIX = 24


def ip(*words):
    """Runs ip(8); None, or why it failed."""
    try:
        done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return "there is no ip command (Debian: iproute2)"
    return None if done.returncode == 0 else (done.stderr.strip() or f"ip ended with {done.returncode}")


def why_not():
    """Why there can be no network namespaces here; None when there can."""
    name = f"cfprobe{os.getpid()}"
    why = ip("netns", "add", name)
    if why is None:
        why = ip("-n", name, "link", "set", "lo", "up")
        ip("netns", "del", name)
    return why


class Machine:
    """A namespace with a folder of its own.  Its programs see only its network."""

    def __init__(self, name, folder, address):
        self.name, self.address = name, address
        self.namespace = f"cf{os.getpid()}{name.lower()}"
        self.folder = folder / name
        self.folder.mkdir(parents=True)
        self.programs = []
        # PATH finds the programs under test as an installation would; no proxy is between machines.
        self.env = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")}
        bin_folder = self.folder / "bin"
        bin_folder.mkdir()
        for program in (paths.COUNTERFOIL, paths.AUDIT):
            (bin_folder / pathlib.Path(program).name).symlink_to(program)
        self.env["PATH"] = f"{bin_folder}:{self.env['PATH']}"
        why = ip("netns", "add", self.namespace)
        assert why is None, why

    def _argv(self, line):
        return ["ip", "netns", "exec", self.namespace, "sh", "-c", line]

    def run(self, line, check=True, timeout=60):
        """Runs a line of shell; its exit status and what it printed."""
        done = subprocess.run(self._argv(line), cwd=self.folder, env=self.env, text=True, check=False,
                              stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout)
        said = done.stdout + done.stderr
        assert not check or done.returncode == 0, f"{self.name}$ {line}\nexit {done.returncode}\n{said}"
        return done.returncode, said

    def start(self, line):
        """Starts a line that goes on; the Process."""
        program = Process(f"{self.name}{len(self.programs)}", self._argv(f"exec {line}"), self.folder)
        program.env = self.env
        self.programs.append(program)
        return program.start()

    def end(self):
        """Ends its programs and the namespace."""
        for program in reversed(self.programs):
            program.end()
        ip("netns", "del", self.namespace)


def connect(one, other):
    """A cable between two machines, with their addresses at its ends."""
    cable = f"v{os.getpid()}"
    for words in (["link", "add", cable + "a", "netns", one.namespace, "type", "veth", "peer", "name",
                   cable + "b", "netns", other.namespace],
                  ["-n", one.namespace, "addr", "add", f"{one.address}/{PREFIX}", "dev", cable + "a"],
                  ["-n", other.namespace, "addr", "add", f"{other.address}/{PREFIX}", "dev", cable + "b"],
                  ["-n", one.namespace, "link", "set", cable + "a", "up"],
                  ["-n", other.namespace, "link", "set", cable + "b", "up"],
                  ["-n", one.namespace, "link", "set", "lo", "up"],
                  ["-n", other.namespace, "link", "set", "lo", "up"]):
        why = ip(*words)
        assert why is None, (words, why)
