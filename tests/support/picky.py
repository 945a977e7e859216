# SPDX-License-Identifier: Apache-2.0
"""A backend that answers as the one behind it, but takes only so much of eth_getLogs at a time."""

import json

from support.proxy import Proxy


class Picky(Proxy):
    """methods: names asked for, in order; refused: how often it was too much.

    blocks, logs, addresses, topics: the most that it takes; what is more gets `error`.
    fails: calls of eth_getLogs for these blocks get an internal error.  oldest: of what is before it nothing is kept."""

    def __init__(self, behind):
        self.reset()
        super().__init__(behind)

    def reset(self):
        """Takes all, and has seen nothing."""
        self.blocks = self.logs = self.addresses = self.topics = 1 << 60
        self.error = {"code": -32005, "message": "query returned more than 10000 results"}
        self.fails, self.oldest = (), 0
        self.methods, self.spans, self.refused = [], [], 0

    def too_much(self, call_id):
        """The error in its words."""
        self.refused += 1
        return json.dumps({"jsonrpc": "2.0", "id": call_id, "error": self.error}).encode()

    def answer(self, body, ask):
        call = json.loads(body)
        if (said := self.refusal(call)) is not None:
            return said
        told = ask(body)
        if call["method"] == "eth_getLogs" and len(json.loads(told).get("result") or ()) > self.logs:
            return self.too_much(call["id"])
        return told

    def refusal(self, call):
        """What it says itself; None: what the one behind says."""
        self.methods.append(call["method"])
        if call["method"] != "eth_getLogs":
            return None
        wanted = call["params"][0]
        ends = [str(wanted.get(end)) for end in ("fromBlock", "toBlock")]
        if "blockHash" in wanted or not all(end.startswith("0x") for end in ends):
            span = 1 if "blockHash" in wanted else 1 << 59
        else:
            span = int(wanted["toBlock"], 16) - int(wanted["fromBlock"], 16) + 1
            self.spans.append((int(wanted["fromBlock"], 16), int(wanted["toBlock"], 16)))
            if self.spans[-1][0] < self.oldest:
                return json.dumps({"jsonrpc": "2.0", "id": call["id"], "error": {
                    "code": 4444, "message": "pruned history unavailable"}}).encode()
            if any(self.spans[-1][0] <= block <= self.spans[-1][1] for block in self.fails):
                return json.dumps({"jsonrpc": "2.0", "id": call["id"], "error": {
                    "code": -32602, "message": "invalid params: no such filter"}}).encode()
        address, topics = wanted.get("address"), wanted.get("topics") or [None]
        if (span > self.blocks or (isinstance(address, list) and len(address) > self.addresses)
                or (isinstance(topics[0], list) and len(topics[0]) > self.topics)):
            return self.too_much(call["id"])
        return None
