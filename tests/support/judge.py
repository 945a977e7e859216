# SPDX-License-Identifier: Apache-2.0
"""Compares answers with what an untouched chain says of the block that each was answered at."""

import bisect
import collections
import json
import math

from reference.counterfoil_ref import leaf as leaf_
from support import net

TAGS = {"latest", "safe", "finalized"}
BY_NUMBER = {"eth_feeHistory", "eth_getLogs", "eth_getBlockByNumber"}  # these take no hash there
OF_STATE = {"eth_getBalance", "eth_getTransactionCount", "eth_getCode", "eth_getStorageAt", "eth_call",
            "eth_estimateGas"}
OF_HEAD = {"eth_blockNumber", "eth_gasPrice", "eth_maxPriorityFeePerGas"}
# Blocks of a second that what is told of the head may be behind: when most suppliers fall silent at once
# it stands still until their last words have aged (15 s).  Who is 50 blocks behind is further away.
OLD = 25


class Answer:
    """One answer as a client saw it; params as the client wrote them."""

    __slots__ = ("method", "params", "sent_us", "took_us", "status", "pinned", "receipt", "told")

    def __init__(self, line, questions):
        """A line of traffic.lua or mixed_viem.mjs."""
        question, sent, took, status, pinned, receipt, body = line.rstrip("\n").split("\t")
        if question.startswith("{"):
            call = json.loads(question)
            self.method, self.params = call["method"], call.get("params", [])
        else:
            self.method, self.params = questions[int(question)] if question.isdigit() else ("none", [])
        self.sent_us, self.took_us = (int(text) if text.isdigit() else 0 for text in (sent, took))
        self.status = int(status)
        self.pinned, self.receipt = (None if field == "-" else field for field in (pinned, receipt))
        self.told = comparable(self.method, json.loads(body) if body.startswith("{") else {"body": body})

    def __str__(self):
        return (f"{self.method} {json.dumps(self.params)} pinned={self.pinned} receipt={self.receipt} "
                f"{self.took_us} us: {str(self.told)[:300]}")


def comparable(method, answer):
    """What two answers are compared by: all but the id, and what anvil changes its mind about."""
    told = {k: answer[k] for k in answer if k not in ("id", "jsonrpc")}
    if method == "eth_feeHistory" and isinstance(told.get("result"), dict):
        # The last fee, of the block that follows, is that of its next one, whatever block was asked for.
        told["result"] = told["result"] | {"baseFeePerGas": told["result"]["baseFeePerGas"][:-1]}
    return told


class Judged:
    """words: how many answers were right, raced, wrong and failed; complaints: of the last two."""

    def __init__(self):
        self.words = collections.Counter()
        self.complaints = []
        self.times = []  # in microseconds
        self.heights = []  # (sent, ended, height) of each eth_blockNumber

    def quantile_ms(self, share):
        """That quantile of the times that answers took."""
        times = sorted(self.times)
        return times[math.ceil(share * len(times)) - 1] / 1000

    def steps_back(self):
        """Heights that are lower than one that was told before they were asked for."""
        ended = sorted(self.heights, key=lambda told: told[1])
        back, told, at = [], 0, 0
        for sent, end, height in sorted(self.heights):
            while at < len(ended) and ended[at][1] < sent:
                told = max(told, ended[at][2])
                at += 1
            if height < told:
                back.append((sent, end, height, told))
        return back


class Judge:
    """growing: the chain; export: the gateway's ledger, for the blocks of receipts."""

    def __init__(self, growing, export):
        self.growing, self.export = growing, export
        self.client = net.Http(growing.truth.url)
        self.known = {}
        self.raced = set()  # what was told of which question; it may be kept
        self.numbers = {block["hash"]: n for n, block in enumerate(growing.blocks)}

    def _truth(self, method, params):
        key = method + json.dumps(params, sort_keys=True)
        if key not in self.known:
            self.known[key] = comparable(method, self.client.call(method, *params)[0])
        return self.known[key]

    def _block_of(self, answer):
        """(height, hash) of the block that the client was told, or that the answer's leaf names;
        (None, None): neither."""
        if answer.pinned:
            return self.numbers.get(answer.pinned), answer.pinned
        if not answer.receipt or "+" in answer.receipt:
            return None, None
        lane, seq = answer.receipt.split("/")[:2]
        leaf = leaf_.decode(self.export.lanes[lane].leaves[int(seq)])
        if leaf.block == leaf_.BLOCK_UNKNOWN:
            return None, None
        return leaf.block, "0x" + leaf.block_hash.hex() if any(leaf.block_hash) else None

    def _resolved(self, answer):
        """The parameters with the block in the place of a tag; None: nobody said which block it was."""
        text = json.dumps(answer.params)
        tag = next((tag for tag in TAGS if f'"{tag}"' in text), None)
        if not tag:
            return answer.params
        number, block_hash = self._block_of(answer)
        if number is None:
            return None
        block = hex(number) if answer.method in BY_NUMBER or not block_hash else {"blockHash": block_hash}
        return json.loads(text.replace(f'"{tag}"', json.dumps(block)))

    def _is_of_now(self, answer):
        """Whether what is told of the head is true of a block that was the newest lately."""
        born, told = self.growing.born_us, answer.told.get("result")
        low = bisect.bisect_right(born, answer.sent_us) - 1 - OLD
        heights = range(max(1, low), bisect.bisect_right(born, answer.sent_us + answer.took_us) + 1)
        if answer.method == "eth_blockNumber":
            return isinstance(told, str) and int(told, 16) in heights
        return any(self.growing.prices[n][answer.method] == told for n in heights if n < len(self.growing.prices))

    def _is_raced(self, answer, params):
        """Whether anvil told the state of the next block: it does so while it adds that, when asked for its
        newest, one time in 600."""
        if params is None or answer.method not in OF_STATE:
            return False
        block = params[-1]
        at = self.numbers.get(block["blockHash"], len(self.numbers)) if isinstance(block, dict) else int(block, 16)
        born = self.growing.born_us
        key = json.dumps([answer.method, params[:-1], at, answer.told])
        if at + 1 < len(born) and answer.sent_us <= born[at + 1] and \
                answer.told == self._truth(answer.method, [*params[:-1], hex(at + 1)]):
            self.raced.add(key)
        return key in self.raced

    def word(self, answer):
        """right, raced, failed (the gateway says so), or wrong."""
        if answer.status != 200 or not {"result", "error"} & set(answer.told):
            return "failed"
        if answer.method in OF_HEAD:
            right, truth = self._is_of_now(answer), {"result": None}
        else:
            params = self._resolved(answer)
            truth = self._truth(answer.method, params) if params is not None else {"result": None}
            right = params is not None and answer.told == truth
            if not right and self._is_raced(answer, params):
                return "raced"
        if right:
            return "right"
        return "failed" if "error" in answer.told and "result" in truth else "wrong"

    def _own(self, answer):
        """What the chain says of the block that was told, for whoever reads a complaint."""
        params = None if answer.method in OF_HEAD else self._resolved(answer)
        return params and str(self._truth(answer.method, params))[:300]

    def all_of(self, path):
        """Judged of a file of answers."""
        judged = Judged()
        with open(path, encoding="utf-8") as lines:
            for line in lines:
                answer = Answer(line, self.growing.questions)
                word = self.word(answer)
                judged.words[word] += 1
                judged.times.append(answer.took_us)
                if word in ("wrong", "failed"):
                    judged.complaints.append(f"{word}: {answer}, the chain's own: {self._own(answer)}")
                elif answer.method == "eth_blockNumber":
                    judged.heights.append((answer.sent_us, answer.sent_us + answer.took_us,
                                           int(answer.told["result"], 16)))
        return judged
