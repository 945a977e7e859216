# SPDX-License-Identifier: Apache-2.0
"""A chain that goes on while it is asked, and questions about it as dApps have them."""

import json
import random
import threading
import time

from reference.counterfoil_ref.evm import keccak
from support import net, paths
from support.process import wait_for

TRANSFERS = 5  # in each block, beside a call of the contract
FIRST = 70     # blocks before anybody asks
GWEI = 10**9


def selector(signature):
    """The first four bytes of a call."""
    return "0x" + keccak(signature.encode())[:4].hex()


AMOUNT, SET, COMPLAIN = selector("amount()"), selector("set(uint256)"), selector("complain()")


def receiver(number, n=0):
    """The account that is paid by transfer n of a block."""
    return f"0x{number % 97 + 1:02x}{n:02x}" + "ab" * 18


class Twin:
    """One anvil to which the blocks are added by number: those of all twins are the same."""

    def __init__(self, anvil):
        self.anvil, self.url = anvil, anvil.url
        self.client = net.Http(self.url)
        self.height = 0
        self.accounts = self._call("eth_accounts")
        self._call("evm_setAutomine", False)
        self.till = None

    def _call(self, method, *params):
        answer, _ = self.client.call(method, *params)
        assert "result" in answer, (method, params, answer)
        return answer["result"]

    def _send(self, sender, fields):
        self._call("eth_sendTransaction", {"from": self.accounts[sender], "gas": "0x80000",
                                           "maxFeePerGas": hex(20 * GWEI),
                                           "maxPriorityFeePerGas": hex(GWEI)} | fields)

    def grow(self):
        """Adds the next block; it, with whole transactions."""
        number = self.height + 1
        if number == 1:
            code = json.loads((paths.CLIENTS / "contract/Till.json").read_text())["bytecode"]
            self._send(0, {"data": code + f"{7:064x}"})
        else:
            for n in range(TRANSFERS):
                self._send(1 + n, {"to": receiver(number, n), "value": hex(number * 1000 + n)})
            self._send(0, {"to": self.till, "data": SET + f"{number:064x}"})
        expected = 1 if number == 1 else TRANSFERS + 1
        wait_for("the transactions", lambda: int(self._call("txpool_status")["pending"], 16) == expected)
        self._call("anvil_mine", "0x1")
        block = wait_for("the block", lambda: self._call("eth_getBlockByNumber", hex(number), True))
        assert len(block["transactions"]) == expected
        if number == 1:
            self.till = self._call("eth_getTransactionReceipt", block["transactions"][0]["hash"])["contractAddress"]
        self.height = number
        return block

    def genesis(self):
        """Block 0."""
        return self._call("eth_getBlockByNumber", "0x0", True)

    def prices(self):
        """What it tells of the head alone."""
        return {method: self._call(method) for method in ("eth_gasPrice", "eth_maxPriorityFeePerGas")}


class Growing:
    """truth: the twin that is compared with; late: one that is `behind` blocks behind it.

    A thread adds a block each `pause` seconds and writes questions about the newest ones to
    `folder`/questions.N, N = 1, 2, ...; each file is there whole or not at all."""

    def __init__(self, anvils, behind, folder, pause, seed):
        self.folder, self.behind, self.pause = folder, behind, pause
        self.truth, self.late = (Twin(one) for one in anvils)
        self.dice = random.Random(f"{seed} questions")
        self.blocks = [self.truth.genesis()]  # by number
        self.prices = [None]
        self.born_us = [0]  # when each was the newest, by the monotonic clock
        self.questions, self.files = [], 0
        self.failed = None
        folder.mkdir(parents=True, exist_ok=True)
        for _ in range(FIRST):
            self._grow()
        self._write()
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        self.thread.join(60)
        assert self.failed is None, self.failed

    def _run(self):
        try:
            while not self.stopping.wait(self.pause):
                self._grow()
                self._write()
        except (AssertionError, OSError) as error:
            self.failed = error

    def _grow(self):
        """The next block of the truth, and one of long ago of the other."""
        self.blocks.append(self.truth.grow())
        self.born_us.append(time.monotonic_ns() // 1000)
        self.prices.append(self.truth.prices())
        if self.truth.height - self.late.height > self.behind:
            again = self.late.grow()
            assert again["hash"] == self.blocks[self.late.height]["hash"], "the twins differ"

    # -- questions

    def _write(self):
        """Questions about the chain of now."""
        fresh = self._make()
        first = len(self.questions)
        self.questions += fresh
        lines = [f'{first + n}\t"method":"{method}","params":{json.dumps(params, separators=(",", ":"))}\n'
                 for n, (method, params) in enumerate(fresh)]
        self.files += 1
        part = self.folder / "part"
        part.write_text("".join(lines))
        part.rename(self.folder / f"questions.{self.files}")

    def _some(self):
        """A block: the newest, one of the newest, or any."""
        top = self.truth.height
        return self.blocks[self.dice.choice([top, self.dice.randint(top - 8, top), self.dice.randint(2, top)])]

    def _make(self):
        top = self.truth.height
        return [*self._of_the_head(), *self._of_blocks(), *self._of_transactions(), *self._of_state(),
                *self._of_logs(), ("eth_getTransactionReceipt", [f"0x{top:064x}"]),
                ("eth_getBlockByNumber", [hex(top + 1000), False])]

    def _of_the_head(self):
        return [("eth_blockNumber", [])] * 3 + [
            ("eth_chainId", []), ("net_version", []), ("eth_gasPrice", []), ("eth_maxPriorityFeePerGas", []),
            ("eth_feeHistory", ["0x4", "latest", [25, 75]]), ("eth_getBlockByNumber", ["latest", False]),
            ("eth_getBlockByNumber", ["latest", True]), ("eth_getBlockByNumber", ["finalized", False])]

    def _of_blocks(self):
        a, b, c, d = (self._some() for _ in range(4))
        return [("eth_getBlockByNumber", [a["number"], False]), ("eth_getBlockByNumber", [b["number"], True]),
                ("eth_getBlockByHash", [c["hash"], False]), ("eth_getBlockByHash", [d["hash"], True]),
                ("eth_getBlockReceipts", [a["number"]]), ("eth_getBlockReceipts", [b["hash"]]),
                ("eth_getBlockTransactionCountByNumber", [c["number"]]),
                ("eth_getTransactionByBlockHashAndIndex", [d["hash"], "0x0"]),
                ("eth_feeHistory", ["0x2", d["number"], []])]

    def _of_transactions(self):
        found = []
        for _ in range(4):
            block = self._some()
            tx = self.dice.choice(block["transactions"])["hash"]
            found += [("eth_getTransactionByHash", [tx]), ("eth_getTransactionReceipt", [tx])]
        return found

    def _of_state(self):
        till, top = self.truth.till, self.truth.height
        block, payer = self._some(), self.truth.accounts[self.dice.randint(1, TRANSFERS)]
        payee = receiver(int(self._some()["number"], 16), self.dice.randrange(TRANSFERS))
        return [("eth_getBalance", [payee, "latest"]), ("eth_getBalance", [payer, "latest"]),
                ("eth_getBalance", [payer, block["number"]]),
                ("eth_getBalance", [payee, {"blockHash": block["hash"]}]),
                ("eth_getTransactionCount", [payer, "latest"]),
                ("eth_getTransactionCount", [payer, hex(top - 60)]),
                ("eth_call", [{"to": till, "data": AMOUNT}, "latest"]),
                ("eth_call", [{"to": till, "data": AMOUNT}, block["number"]]),
                ("eth_call", [{"to": till, "data": COMPLAIN}, "latest"]),
                ("eth_estimateGas", [{"from": payer, "to": till, "data": SET + f"{self.dice.randrange(99):064x}"}, "latest"]),
                ("eth_getCode", [till, "latest"]), ("eth_getStorageAt", [till, "0x0", "latest"]),
                ("eth_getStorageAt", [till, "0x0", block["number"]])]

    def _of_logs(self):
        till, top, block = self.truth.till, self.truth.height, self._some()
        low = self.dice.randint(1, top - 5)
        return [("eth_getLogs", [{"address": till, "fromBlock": hex(top - 5), "toBlock": "latest"}]),
                ("eth_getLogs", [{"address": till, "fromBlock": hex(low), "toBlock": hex(low + 5)}]),
                ("eth_getLogs", [{"address": till, "blockHash": block["hash"]}])]
