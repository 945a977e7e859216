# SPDX-License-Identifier: Apache-2.0
"""Networks in which rewards are claimed, and what must become of them: worked out from exported ledgers, and
compared with what the registry's file says."""

import sqlite3
from collections import Counter

from support import money, net
from support.network import Network
from support.process import Process, wait_for

# Windows that a slow machine does not miss; what is due at once is claimed at once.
WINDOWS = {"claim_window": 900, "challenge_lag": 2, "proof_window": 900}
PROMPT = {"claims.batch_sessions": 1, "claims.send_after": "0 s", "claims.pause_min": "100 ms",
          "claims.pause_max": "1 s"}
PRICES = (1, 2, 3, 5)
# Where a node is killed (docs/testing.md, "Points"): what is most likely to go wrong first.
POINTS = ("claims.prepared", "claims.sent", "claims.proved", "claims.proof_sent",
          "claims.counted", "claims.ready", "claims.recorded", "claims.settled")


class Rewards(Network):
    """A network whose nodes ask for PRICES; with `second`, another gateway of the same applications."""

    def __init__(self, folder, upstreams, nodes=3, second=False, node=None, params=None, **more):
        folder.mkdir(parents=True, exist_ok=True)
        guests = [str(folder / "gateway2.key")] if second else []
        super().__init__(folder, upstreams, stakes=(1,) * nodes, prices=list(PRICES[:nodes]),
                         session_blocks=10, block_ms=100, params=WINDOWS | (params or {}),
                         node=PROMPT | (node or {}), gateways=guests, **more)
        self.second = self._second() if second else None

    def _second(self):
        """The same configuration with a key, a ledger and ports of its own."""
        port, admin = net.free_port(), net.free_port()
        text = self.gateway.config.read_text()
        for old, new in ((f":{self.port}\n", f":{port}\n"), (self.admin_urls[0][7:], f"127.0.0.1:{admin}"),
                         ("gateway.key", "gateway2.key"), ("gateway.ledger", "gateway2.ledger")):
            assert old in text
            text = text.replace(old, new)
        path = self.folder / "gateway2.yaml"
        path.write_text(text)
        process = Process("gateway2", [self.gateway.argv[0], "gateway", "--config", path], self.folder)
        process.config, process.admin, process.url = path, f"http://127.0.0.1:{admin}", f"http://127.0.0.1:{port}/"
        return process

    def start(self, timeout=60):
        super().start(timeout)
        if self.second:
            self.second.start()
            self.second.ready(lambda: net.answers(self.second.admin + "/readyz"))
            wait_for("an answer of the other gateway", lambda: self._answers(self.second.url))
        return self

    def end(self):
        if self.second:
            self.second.end()
        super().end()

    def urls(self):
        """Where each application's calls go in, by each gateway."""
        tokens = (self.folder / "tokens").read_text().split()[::2]
        return [f"{url}eth/{token}" for token in tokens
                for url in [self.url, *([self.second.url] if self.second else [])]]

    # -- what must come of it

    def earned(self):
        """{supplier: {(application, gateway): tokens}} of all that is under cosigned heads, once all that was
        delivered is."""
        _, nodes = wait_for("every lane with its last head cosigned", self.settled, interval=0.5)
        return {key: Counter({grant: cu * price for grant, cu in money.paid(export).items()})
                for key, price, export in zip(self.node_keys, PRICES, nodes)}

    def claims(self):
        """The registry's rows, as it has them now."""
        db = sqlite3.connect(f"file:{self.registry}?mode=ro", uri=True, timeout=60)
        try:
            db.row_factory = sqlite3.Row
            return [dict(row) for row in db.execute("SELECT * FROM claims ORDER BY recorded, id")]
        finally:
            db.close()

    def paid(self):
        """The same as earned(), of what the registry has paid."""
        found = {key: Counter() for key in self.node_keys}
        for row in self.claims():
            if row["state"] == 2:
                found[row["supplier"].hex()][row["application"].hex(), row["gateway"].hex()] += number(row["paid"])
        return found

    def all_is_paid(self):
        """Waits until what was earned has been paid, to the token, and claimed once."""
        earned = self.earned()
        wait_for("all rewards", lambda: self.paid() == earned, interval=0.2)
        self.none_is_paid_twice()
        return earned

    def none_is_paid_twice(self):
        """No two claims of the same four meet, and each was paid in full or not at all."""
        ranges = {}
        for row in self.claims():
            four = row["application"], row["gateway"], row["supplier"], row["service"]
            for start, end in ranges.setdefault(four, []):
                assert row["to_height"] <= start or row["from_height"] >= end, f"{row['id'].hex()} overlaps"
            ranges[four].append((row["from_height"], row["to_height"]))
            assert number(row["paid"]) in (0, number(row["value"]))
            assert (number(row["paid"]) > 0) == (row["state"] == 2)

    def lost(self, node):
        """{reason: CU} of what a node says that it will never be paid, from its log."""
        found = Counter()
        for line in self.nodes[node].log().splitlines():
            if " claims.lost " in line:
                words = dict(word.split("=", 1) for word in line.split() if "=" in word)
                found[words["reason"]] += int(words["cu"])
        return found


def number(blob):
    """An amount of the registry's file."""
    return int.from_bytes(blob, "big")
