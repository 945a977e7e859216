# SPDX-License-Identifier: Apache-2.0
"""A backend that gives what real networks have said, and changes some of it."""

import json

from support import beacon, paths
from support.proxy import Proxy

FOLDER = paths.ROOT / "tests/data/mainnet-21925176"


def recorded(name):
    """One result of block 21925176."""
    return json.loads((FOLDER / f"{name}.json").read_text())


def values(node, path=""):
    """(path, container, key) of each value that is digits; elements of a list have the path of the list."""
    pairs = node.items() if isinstance(node, dict) else enumerate(node)
    for key, value in pairs:
        below = path if isinstance(node, list) else f"{path}.{key}".lstrip(".")
        if isinstance(value, (dict, list)):
            yield from values(value, below)
        elif isinstance(value, str) and value.startswith("0x") and len(value) > 2:
            yield below, node, key


class Mainnet(Proxy):
    """Answers about block 21925176 (its header and all receipts) and about the blocks that
    support.beacon has, with whole transactions.  `lie(method, result)` gives what is said, or the same
    object for the truth; nobody is behind it."""

    def __init__(self):
        super().__init__("")
        self.lie = lambda method, result: result
        self.lies = 0
        header = recorded("block")
        self.blocks = {header["number"]: header, header["hash"]: header}
        self.receipts = recorded("receipts")

    def add_block(self, name):
        """One of beacon.NAMES; the block."""
        block = beacon.block(name)
        self.blocks[block["number"]] = self.blocks[block["hash"]] = block
        return block

    def result(self, method, params):
        """What is true."""
        if method.startswith("eth_getBlockBy"):
            return self.blocks.get(params[0])
        if method == "eth_getBlockReceipts":
            return self.receipts
        return "0x1"

    def answer(self, body, ask):
        call = json.loads(body)
        true = self.result(call["method"], call["params"])
        said = self.lie(call["method"], true)
        self.lies += said is not true
        return json.dumps({"jsonrpc": "2.0", "id": call["id"], "result": said}, separators=(",", ":")).encode()
