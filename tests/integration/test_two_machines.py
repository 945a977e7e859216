# SPDX-License-Identifier: Apache-2.0
"""Two machines form a network by `registry serve`, in the words of docs/operating.md.

The commands are taken from the document and run where it says.  Three things are put in: the key
that a machine was told, the supplier's line that was sent, and heights of 100 ms for 1 s.
"""

import json
import re

import pytest

from support import machines, paths
from support.process import wait_for

DOCUMENT = paths.ROOT / "docs" / "operating.md"
SECTION = "## Two machines form a network"
HEX = r"[0-9a-f]{64}"


def steps():
    """[(where, what to run of an earlier output, lines)] of the section, in order."""
    text = DOCUMENT.read_text().split(SECTION)[1].split("\n## ")[0]
    found = []
    for match in re.finditer(r"<!-- run on (\w)(?: what init printed(?: on B)?: ([\w, ]+))? -->\n"
                             r"(?:```sh\n(.*?)```\n)?", text, re.S):
        where, printed, block = match.groups()
        found.append((where, printed.split(", ") if printed else [],
                      block.strip().split("\n") if block else []))
    return found


@pytest.fixture(name="pair")
def fixture_pair(tmp_path):
    why = machines.why_not()
    if why:
        pytest.skip(f"no network namespaces here: {why}")
    made = []
    try:
        for name, address in (("A", "10.77.0.1"), ("B", "10.77.0.2")):
            made.append(machines.Machine(name, tmp_path, address))
        machines.connect(*made)
        yield {machine.name: machine for machine in made}
    finally:
        for machine in made:
            machine.end()


class Reader:
    """Who follows the document: runs its commands and remembers what they printed."""

    def __init__(self, pair):
        self.pair = pair
        self.said = {}  # verb -> what its last command printed
        self.registry_key = None
        self.doctor = []  # (machine, exit status, what it said)

    def printed(self, verb):
        """The command that `init` has printed for somebody to run."""
        lines = re.findall(rf"^\s+(counterfoil {verb} .*)$", self.said["init"], re.M)
        assert len(lines) == 1, (verb, self.said["init"])
        return lines[0]

    def run(self, where, line):
        """One line of the document."""
        machine = self.pair[where]
        if line.startswith("counterfoil registry init"):
            line = line.replace("registry init", "registry init --block-ms 100")
        if self.registry_key:
            line = line.replace("REGISTRY_KEY", self.registry_key)
        if line.endswith("&"):
            machine.start(line[:-1].strip())
            return
        verb = line.split()[1] if line.startswith("counterfoil ") else line.split()[0]
        status, said = machine.run(line, check=verb != "doctor")
        self.said[verb] = said
        if verb == "registry":
            self.registry_key = re.search(rf"registry key\s+({HEX})", said).group(1)
        if verb == "doctor":
            self.doctor.append((where, status, said))


def wait_for_registry(pair):
    """Until the keeper's file can be read from the other machine."""
    wait_for("the registry served", lambda: pair["B"].run(
        "curl -sf -o file http://10.77.0.1:8590/", check=False)[0] == 0)


def wait_for_clean_doctor(reader, where, line):
    """What is staked or granted counts from the next snapshot on."""
    def clean():
        status, said = reader.pair[where].run(line, check=False)
        assert "pass" in said, said
        return status == 0
    wait_for(f"doctor on {where} finds nothing to fix", clean, interval=0.5)


def follow(reader, where, printed, lines):
    """One step of the document."""
    for verb in printed:
        sent = reader.printed(verb)
        if verb != "stake":
            reader.run(where, sent)
            continue
        # The line in the document is the line that B was given, for the keeper's own file.
        supplier, = re.findall(HEX, sent)
        line, = lines
        words = line.replace("SUPPLIER", supplier).replace(" --registry registry.db", "")
        assert words == sent, "the document's stake line is not what init prints"
        reader.run(where, line.replace("SUPPLIER", supplier))
        return
    for line in lines:
        reader.run(where, line)
        if "registry serve" in line:
            wait_for_registry(reader.pair)


def head_and_body(said):
    """({header: value}, JSON) of what `curl -i` printed."""
    head, body = said.split("\n\n", 1)
    assert " 200 " in head.split("\n")[0], said
    headers = dict(line.split(": ", 1) for line in head.split("\n")[1:])
    return {name.lower(): value for name, value in headers.items()}, json.loads(body)


def test_the_document_has_all_its_steps():
    told = steps()
    assert "".join(where for where, _, _ in told) == "AAABABAA"
    text = "\n".join(line for _, _, lines in told for line in lines)
    for verb in ("registry init", "registry serve", "init gateway", "init node", "doctor node.yaml",
                 "stake", "node node.yaml &", "gateway gateway.yaml &", "curl"):
        assert verb in text, verb


def test_two_machines_form_a_network_in_the_words_of_the_document(pair):
    reader = Reader(pair)
    pair["B"].start(f"{paths.FAULTNODE} 8545")
    *before, (where, _, (ask,)) = steps()
    for step in before:
        follow(reader, *step)

    # Doctor named what was missing before the stake, and then said that it comes.
    first = next(said for name, _, said in reader.doctor if name == "B")
    assert re.search(r"^fix .*stake", first, re.M), first
    assert re.search(r"^pass  backend eth", first, re.M), first
    wait_for_clean_doctor(reader, "B", "counterfoil doctor node.yaml")
    wait_for_clean_doctor(reader, "A", "counterfoil doctor gateway.yaml")

    def answered():
        status, said = pair[where].run(ask, check=False)
        return said if status == 0 and '"result"' in said else None
    headers, body = head_and_body(wait_for("a dApp answered", answered, interval=0.2))
    assert body["id"] == 1 and "result" in body
    supplier, = re.findall(HEX, reader.printed("stake"))
    assert headers["counterfoil-supplier"] == supplier
    assert re.fullmatch(r"[0-9a-f]{32}/\d+/[0-9a-f]{32}", headers["counterfoil-receipt"])

    # The receipt is on both machines, and an auditor who has both folders finds the halves alike.
    receipt = "/".join(headers["counterfoil-receipt"].split("/")[:2])
    for machine, config in (("A", "gateway.yaml"), ("B", "node.yaml")):
        pair[machine].run(f"counterfoil ledger show {receipt} --config {config}")
    reader.pair["B"].programs[-1].stop()
    reader.pair["A"].programs[-1].stop()
    for machine, config in (("A", "gateway.yaml"), ("B", "node.yaml")):
        pair[machine].run(f"counterfoil ledger export --config {config} --audit ../{machine}.audit")
    pair["A"].run("counterfoil-audit verify ../A.audit")
    pair["A"].run("counterfoil-audit verify ../B.audit")
    pair["A"].run("counterfoil-audit reconcile ../A.audit ../B.audit")
