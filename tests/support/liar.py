# SPDX-License-Identifier: Apache-2.0
"""Backends in front of a real chain that change some answers, or have none to give."""

import json
import random

from support.proxy import Proxy


def altered(text):
    """Another value of the same form."""
    return text[:-1] + ("1" if text[-1] != "1" else "2")


def untrue(method, result):
    """Something that the hash, the filter or the question tells."""
    if not result:
        return result
    if method == "eth_getBlockByNumber":
        return result | {"stateRoot": altered(result["stateRoot"])}
    if method == "eth_getBlockByHash" and result["transactions"]:
        if isinstance(result["transactions"][0], str):
            return result | {"receiptsRoot": altered(result["receiptsRoot"])}
        result["transactions"][0]["value"] = altered(result["transactions"][0]["value"])
    elif method == "eth_getTransactionByHash":
        return result | {"input": result["input"] + "00"}
    elif method == "eth_getTransactionReceipt":
        return result | {"transactionHash": altered(result["transactionHash"])}
    elif method == "eth_getBlockReceipts":
        result[0]["logsBloom"] = altered(result[0]["logsBloom"])
    elif method == "eth_getLogs":
        result[0]["address"] = altered(result[0]["address"])
    return result


def _places(value):
    """(holder, key) of each hexadecimal value within."""
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
        if isinstance(inner, str) and inner.startswith("0x") and len(inner) > 2:
            yield value, key
        elif isinstance(inner, (dict, list)):
            yield from _places(inner)


class Anywhere:
    """Changes one value of any answer, by a seed."""

    def __init__(self, seed):
        self.dice = random.Random(f"{seed} lies")

    def __call__(self, _method, result):
        whole = [result]
        places = list(_places(whole))
        if places:
            holder, key = self.dice.choice(places)
            holder[key] = altered(holder[key])
        return whole[0]


class Liar(Proxy):
    """`lie(method, result)` gives what is said in place of a result, or the same for the truth.  Of
    those that it would change each `every`-th is changed."""

    def __init__(self, url, lie, every=1):
        self.lie, self.every = lie, every
        self.lies = self.chances = 0
        super().__init__(url)

    def answer(self, body, ask):
        told = ask(body)
        answer = json.loads(told)
        if "result" not in answer:
            return told
        said = self.lie(self.method_of(body), json.loads(json.dumps(answer["result"])))
        if said == answer["result"]:
            return told
        with self.lock:
            self.chances += 1
            if self.chances % self.every:
                return told
            self.lies += 1
        return json.dumps(answer | {"result": said}).encode()


class Useless(Proxy):
    """Answers everything but eth_chainId, of which a node must be told, with an error or with null."""

    ERRORS = [(-32603, "Internal error"), (-32000, "header not found"), (-32000, "missing trie node"),
              (-32005, "request rate exceeded"), (-32602, "invalid params"), (-32601, "method not found")]

    def __init__(self, url, seed):
        self.dice = random.Random(f"{seed} useless")
        self.asked, self.useless = 0, False
        super().__init__(url)

    def answer(self, body, ask):
        if not self.useless or self.method_of(body) == "eth_chainId":
            return ask(body)
        with self.lock:
            self.asked += 1
            code, message = self.dice.choice(self.ERRORS)
            said = {"result": None} if self.dice.random() < 0.5 else \
                {"error": {"code": code, "message": message}}
        return json.dumps({"jsonrpc": "2.0", "id": json.loads(body)["id"]} | said).encode()
