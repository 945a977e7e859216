# SPDX-License-Identifier: Apache-2.0
"""Verdicts of chains/verify.h on answers, by tests/support/verify_main.c."""

import json
import struct
import subprocess

from support import paths

PROGRAM = paths.BUILD / "tests/support/verify"


class Verifier:
    """One verifier: it remembers the headers that it has recomputed."""

    def __init__(self):
        self.child = subprocess.Popen([PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def close(self):
        """Ends it; its exit code, which a sanitizer's report changes."""
        self.child.stdin.close()
        return self.child.wait(60)

    def _send(self, method, params, result, stride):
        parts = [method.encode()] + [json.dumps(part, separators=(",", ":")).encode() for part in (params, result)]
        record = b"".join(struct.pack(">I", len(part)) + part for part in parts)
        self.child.stdin.write(record + struct.pack(">I", stride))
        self.child.stdin.flush()
        return self.child.stdout.readline().decode().rstrip("\n")

    def verdict(self, method, params, result):
        """`plain`, `recomputed`, `differs WHY` or `fault WHY`."""
        return self._send(method, params, result, 0).rstrip()

    def unnoticed(self, method, params, result, stride=1):
        """(how many values were changed, the set of (path, verdict) of changes that nothing was said of)."""
        self._send(method, params, result, stride)
        rows = set()
        while True:
            first, second = self.child.stdout.readline().decode().split()
            if first == "tried":
                return int(second), rows
            rows.add((first, second))
