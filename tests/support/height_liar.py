# SPDX-License-Identifier: Apache-2.0
"""A backend that passes everything to a real one, but for what it lies about, or does not tell: the
head."""

import json

from support.proxy import Proxy


class HeightLiar(Proxy):
    """In front of a chain; lie(height) gives the height and the block that it tells instead.  While it
    is mute it knows nothing of blocks, and while it denies none that is named by its number."""

    def __init__(self, behind):
        self.lie = lambda height: height
        self.mute = self.denies = False
        super().__init__(behind)

    def answer(self, body, ask):
        call, told = json.loads(body), ask(body)
        if self.mute and call["method"] == "eth_getBlockByNumber":
            error = {"code": -32601, "message": "the method eth_getBlockByNumber does not exist/is not available"}
            return json.dumps({"jsonrpc": "2.0", "id": call["id"], "error": error}).encode()
        answer = json.loads(told)
        if self.denies and call["method"] == "eth_getBlockByNumber" and call["params"][0].startswith("0x"):
            answer["result"] = None
        elif call["method"] == "eth_blockNumber":
            answer["result"] = hex(self.lie(int(answer["result"], 16)))
        elif call["method"] == "eth_getBlockByNumber" and call["params"][0] in ("latest", "safe", "finalized"):
            height = int(answer["result"]["number"], 16)
            if self.lie(height) != height:
                answer["result"] |= {"number": hex(self.lie(height)), "hash": "0x" + "66" * 32}
        else:
            return told
        return json.dumps(answer).encode()
