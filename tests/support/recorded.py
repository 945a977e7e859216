# SPDX-License-Identifier: Apache-2.0
"""What a client script saw on the wire, and how two runs of it compare."""

import base64
import json
import subprocess
import sys

from support import paths

SCRIPTS = {"ethers": ["node", "ethers.mjs"], "viem": ["node", "viem.mjs"],
           "web3.py": [sys.executable, "web3py.py"]}


def run_client(name, url, timeout=120):
    """Runs one client script against a URL; its steps."""
    program, script = SCRIPTS[name]
    done = subprocess.run([program, paths.CLIENTS / script, url], cwd=paths.CLIENTS, timeout=timeout,
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{name} at {url}: exit {done.returncode}\n{done.stderr[-4000:]}"
    return json.loads(done.stdout)


def calls_of(exchange):
    """(call, answer) of each call in one exchange, matched by id."""
    request = json.loads(base64.b64decode(exchange["request"]))
    response = json.loads(base64.b64decode(exchange["response"]))
    if not isinstance(request, list):
        return [(request, response)]
    by_id = {json.dumps(answer["id"]): answer for answer in response}
    assert len(by_id) == len(request), (request, response)
    return [(call, by_id[json.dumps(call["id"])]) for call in request]


def every_answer(step):
    """(method, params, answer) of each call of a step, in the order of the answers."""
    for exchange in step["exchanges"]:
        for call, answer in calls_of(exchange):
            assert answer["id"] == call["id"] and answer["jsonrpc"] == "2.0", (call, answer)
            told = {k: v for k, v in answer.items() if k in ("result", "error")}
            assert len(told) == 1, (call, answer)
            yield call["method"], call.get("params", []), told


def answers_of(step):
    """What each distinct call of a step was answered at last: {"METHOD PARAMS": answer}."""
    return {method + " " + json.dumps(params, sort_keys=True): told
            for method, params, told in every_answer(step)}


def methods_of(steps):
    """The methods that were called, and in how many distinct calls."""
    methods, calls = set(), set()
    for step in steps:
        for key in answers_of(step):
            methods.add(key.split(" ")[0])
            calls.add(key)
    return methods, calls
