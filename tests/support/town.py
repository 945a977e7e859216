# SPDX-License-Identifier: Apache-2.0
"""A network whose parts have a folder each, made by the verbs, and a reader who runs there what a document says."""

import os
import re
import sqlite3
import subprocess

from support import net, paths
from support.process import Process, wait_for

HEX = r"[0-9a-f]{64}"
STAKE, BUDGET = 10**9, 1000000  # the budget that init prints
WORDS = ("--block-ms", 100, "--session-blocks", 10, "--snapshot-lag", 4, "--seed-lag", 2, "--grace-blocks", 10,
         "--claim-window", 900, "--challenge-lag", 2, "--proof-window", 900)
# What is due is done at once; and no limit of time that a slow machine would meet.
OPTIONS = {"claims.batch_sessions": "1", "claims.send_after": "0 s", "claims.pause_min": "100 ms",
           "claims.pause_max": "1 s", "gateway.deadline": "30 s", "link.handshake_timeout": "30 s",
           "node.link.handshake_rate_per_source_max": "256", "upstream.connect_timeout": "20 s",
           "upstream.probe_timeout": "20 s", "upstream.slow_after": "20 s", "gateway.share": "false",
           "gateway.cache_bytes": "0 B"}


class Place:
    """A folder with what is run in it, as the words of a shell there."""

    def __init__(self, folder):
        self.folder = folder
        folder.mkdir(parents=True)
        self.programs = []
        here = folder / ".bin"
        here.mkdir()
        for program in (paths.COUNTERFOIL, paths.AUDIT):
            (here / program.name).symlink_to(program)
        self.env = dict(os.environ, PATH=f"{here}:{os.environ['PATH']}")
        self.env |= {"COUNTERFOIL_" + name.upper().replace("NODE.LINK.", "LINK.").replace(".", "_"): value
                     for name, value in OPTIONS.items()}

    def run(self, line, check=True):
        """Runs a line; (exit status, what it printed)."""
        done = subprocess.run(["sh", "-c", line], cwd=self.folder, env=self.env, text=True, check=False,
                              stdin=subprocess.DEVNULL, capture_output=True, timeout=120)
        said = done.stdout + done.stderr
        assert not check or done.returncode == 0, f"{self.folder.name}$ {line}\nexit {done.returncode}\n{said}"
        return done.returncode, said

    def start(self, line):
        """Starts a line that goes on; the Process."""
        program = Process(f"{self.folder.name}{len(self.programs)}", ["sh", "-c", f"exec {line}"], self.folder)
        program.env = self.env
        self.programs.append(program)
        return program.start()

    @property
    def program(self):
        """The last that was started."""
        return self.programs[-1]

    def key(self, path):
        """The public half of a key file."""
        return self.run(f"counterfoil key show {path}")[1].strip()


class Town:
    """A registry with its keeper (a Place), and gateways and nodes as they come."""

    def __init__(self, folder, backend):
        self.folder, self.backend = folder, backend
        self.places = []
        self.keeper = self.place("keeper")
        said = self.keeper.run("counterfoil registry init --key registry.key "
                               f"{' '.join(map(str, WORDS))} registry.db")[1]
        self.registry_key = re.search(rf"registry key\s+({HEX})", said).group(1)
        self.port = net.free_port()
        self.url = f"http://127.0.0.1:{self.port}/"
        self.serve()

    def place(self, name):
        """A new folder."""
        made = Place(self.folder / f"{name}-{len(self.places)}")
        self.places.append(made)
        return made

    def serve(self):
        """Starts the keeper."""
        program = self.keeper.start(f"counterfoil registry serve --key registry.key --listen 127.0.0.1:{self.port} "
                                    "registry.db")
        program.ready(lambda: net.answers(self.url))

    def gateway(self):
        """A Place with a gateway that runs, an application of its own with escrow, and a grant; url, admin."""
        place = self.place("gateway")
        place.port, place.admin_port = net.free_port(), net.free_port()
        place.url, place.admin = (f"http://127.0.0.1:{port}/" for port in (place.port, place.admin_port))
        said = place.run(f"counterfoil init gateway --registry {self.url} --registry-key {self.registry_key} "
                         f"--listen 127.0.0.1:{place.port} --admin 127.0.0.1:{place.admin_port}")[1]
        fund, grant = re.findall(r"^  (counterfoil (?:fund|grant) .*)$", said, re.M)
        self.keeper.run(f"{fund} --registry registry.db")
        line = place.run(grant)[1].strip().splitlines()[-1]
        self.keeper.run(f"counterfoil grant --registry registry.db --record {line}")
        place.start("counterfoil gateway gateway.yaml")
        return place

    def node(self):
        """A Place with a node that is staked and runs."""
        place = self.place("node")
        place.port, place.admin_port = net.free_port(), net.free_port()
        place.admin = f"http://127.0.0.1:{place.admin_port}/"
        place.run(f"counterfoil init node --registry {self.url} --registry-key {self.registry_key} "
                  f"--backend eth={self.backend} --listen 127.0.0.1:{place.port} "
                  f"--endpoint 127.0.0.1:{place.port} --admin 127.0.0.1:{place.admin_port}")
        self.keeper.run(f"counterfoil stake --registry registry.db --service eth --price 1 "
                        f"--endpoint 127.0.0.1:{place.port} {place.key('node.key')} {STAKE}")
        place.start("counterfoil node node.yaml")
        return place

    def end(self):
        """Ends every program."""
        for place in reversed(self.places):
            for program in place.programs:
                program.end()

    # -- what the registry says

    def claims(self, column, key):
        """The rows of its claims in which a key stands, as it has them now."""
        db = sqlite3.connect(f"file:{self.keeper.folder}/registry.db?mode=ro", uri=True, timeout=60)
        try:
            db.row_factory = sqlite3.Row
            return [dict(row) for row in db.execute(
                f"SELECT * FROM claims WHERE {column} = ? ORDER BY from_height", [bytes.fromhex(key)])]
        finally:
            db.close()

    def paid(self, supplier):
        """Tokens that it was paid; no two of its claims of one grant meet."""
        last, total = {}, 0
        for row in self.claims("supplier", supplier):
            grant = row["application"], row["gateway"], row["service"]
            assert row["from_height"] >= last.get(grant, 0), f"{row['id'].hex()} overlaps"
            last[grant] = row["to_height"]
            total += int.from_bytes(row["paid"], "big")
        return total


def totals(said):
    """{what: units} of what `ledger totals` says of a node's books, over all applications; each is a token here."""
    found = {}
    for what, units in re.findall(r"^  (\S.*?)\s{2,}(\d+) units\s+\d+$", said, re.M):
        found[what] = found.get(what, 0) + int(units)
    return found


def steps(document, section):
    """[(place, lines)] of a section of a document: what `<!-- run in PLACE -->` stands above."""
    text = document.read_text().split(f"\n{section}\n")[1]
    text = re.split(r"\n#{2,3} ", text)[0]
    return [(place, block.strip().split("\n")) for place, block in
            re.findall(r"<!-- run in (\w+)(?: until it has passed)? -->\n```sh\n(.*?)```\n", text, re.S)]


class Reader:
    """Who follows a section.  words: what is put in for keys in capitals and for addresses, or what gives it."""

    def __init__(self, document, section, places, words):
        self.steps = steps(document, section)
        self.places, self.words = places, words

    def line(self, text):
        """A line of the document with the words of this network."""
        for old in sorted(self.words, key=len, reverse=True):
            if re.search(found := rf"(?<![\w-]){re.escape(old)}(?![\w-])", text):
                new = self.words[old]
                text = re.sub(found, new() if callable(new) else new, text)
        return text

    def next(self, *expected, check=True):
        """Runs the next step, whose lines must begin so; what its last line printed."""
        name, lines = self.steps.pop(0)
        assert len(lines) == len(expected), (lines, expected)
        said = ""
        for line, words in zip(lines, expected):
            assert line.startswith(words), f"the document says `{line}', not `{words} ...'"
            place = self.places[name]
            if line.endswith("&"):
                place.start(self.line(line[:-1].strip()))
            else:
                said = place.run(self.line(line), check)[1]
        return said

    def again(self, expected, condition, what):
        """Runs the next step, one line, until condition(what it prints); that."""
        name, (line,) = self.steps.pop(0)
        assert line.startswith(expected), f"the document says `{line}', not `{expected} ...'"
        last = []

        def look():
            last[:] = [self.places[name].run(self.line(line), False)[1]]
            return condition(last[0])
        try:
            wait_for(what, look, timeout=120, interval=0.2)
        except AssertionError as error:
            raise AssertionError(f"{error}; it says:\n{last[0]}") from None
        return last[0]
