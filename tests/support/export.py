# SPDX-License-Identifier: Apache-2.0
"""Exported folders (docs/auditing.md), read by Python: what the auditor's program reads too."""

import json
import pathlib
import subprocess

from reference.counterfoil_ref import leaf as leaf_
from reference.counterfoil_ref import note
from support import paths


class Lane:
    """One lane of an export."""

    def __init__(self, folder):
        self.id = folder.name
        about = json.loads((folder / "lane.json").read_text())
        self.gateway, self.supplier, self.state = about["gateway"], about["supplier"], about["state"]
        self.adopted, self.undelivered = about["adopted"], about["undelivered"]
        self.sessions = {s["id"]: s for s in about["sessions"]}
        data = (folder / "leaves.bin").read_bytes()
        self.leaves = [data[i:i + leaf_.SIZE] for i in range(0, len(data), leaf_.SIZE)]
        assert len(self.leaves) == about["size"], self.id
        salts = folder / "salts.bin"
        raw = salts.read_bytes() if salts.exists() else b""
        self.salts = [raw[i:i + 16] for i in range(0, len(raw), 16)]
        self.checkpoint = self._head(folder / "checkpoint")
        self.final = self._head(folder / "final")

    @staticmethod
    def _head(path):
        return path.read_bytes() if path.exists() else None

    def final_size(self):
        """The size of the newest cosigned head."""
        return int(note.parse(self.final).text.split(b"\n")[1]) if self.final else 0


class Export:
    """One exported folder."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.manifest = json.loads((self.folder / "manifest.json").read_text())
        lanes = self.folder / "lanes"
        self.lanes = {}
        for inside in sorted(lanes.iterdir()) if lanes.exists() else []:
            self.lanes[inside.name] = Lane(inside)

    def leaf(self, receipt):
        """(leaf bytes, salt) of `<lane>/<seq>/<salt>`; None when this ledger does not have it."""
        lane, seq, _ = receipt.split("/")
        known = self.lanes.get(lane)
        if known is None or int(seq) >= len(known.leaves):
            return None
        return known.leaves[int(seq)], known.salts[int(seq)] if known.salts else None

    def count(self):
        """All leaves."""
        return sum(len(lane.leaves) for lane in self.lanes.values())


def audit(*words):
    """(exit status, output) of counterfoil-audit."""
    done = subprocess.run([str(paths.AUDIT), *map(str, words)], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, check=False, timeout=300)
    return done.returncode, done.stdout + done.stderr


def audit_json(*words):
    """(exit status, JSON object) of counterfoil-audit --json."""
    done = subprocess.run([str(paths.AUDIT), *map(str, words), "--json"], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, check=False, timeout=300)
    return done.returncode, json.loads(done.stdout)


def check_all(gateway, nodes):
    """Every export is clean by itself, and each node's agrees with the gateway's."""
    for one in [gateway, *nodes]:
        for verb in ("verify", "session"):
            status, text = audit(verb, one.folder)
            assert status == 0, f"{verb} {one.folder.name}: {text}"
    for node in nodes:
        status, text = audit("reconcile", gateway.folder, node.folder)
        assert status == 0, f"reconcile {gateway.folder.name} {node.folder.name}: {text}"


def missing(receipts, exports):
    """The receipts `lane/seq/salt` that none of the exports has, or has with another salt."""
    lost = []
    for receipt in receipts:
        found = [e.leaf(receipt) for e in exports if e.leaf(receipt)]
        if not any(salt is None or salt.hex() == receipt.split("/")[2] for _, salt in found):
            lost.append(receipt)
    return lost
