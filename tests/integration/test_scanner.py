# SPDX-License-Identifier: Apache-2.0
"""The envelope scanner against Python's json, on bodies made at random from a seed.

Python decides what is JSON, and the rules of JSON-RPC 2.0 are written down once more here.  Python's
json is told to refuse NaN and Infinity and to leave numbers alone; then the two differ in nothing.
"""

import json
import random
import struct
import subprocess

from support import paths
from support.counts import count

SCAN = paths.BUILD / "tests/support/scan"


class Pairs(list):
    """An object as the list of its members: repeated names stay visible."""


def refuse(word):
    raise ValueError(word)


def parse(body):
    return json.loads(body.decode("utf-8"), object_pairs_hook=Pairs, parse_constant=refuse,
                      parse_int=lambda s: 0, parse_float=lambda s: 0.0)


def kind(call):
    """C, N or E, as JSON-RPC 2.0 section 4 and [E3] have it."""
    if not isinstance(call, Pairs):
        return "E"
    members = dict(call)
    if len(members) != len(call) or len(call) > 16:
        return "E"
    if members.get("jsonrpc") != "2.0" or not isinstance(members.get("method"), str):
        return "E"
    if "params" in members and not isinstance(members["params"], list):
        return "E"
    if "id" not in members:
        return "N"
    i = members["id"]
    return "C" if i is None or (isinstance(i, (str, int, float)) and not isinstance(i, bool)) else "E"


def expected(body):
    try:
        value = parse(body)
    except ValueError:  # UnicodeDecodeError and JSONDecodeError are ValueErrors
        return "parse"
    if isinstance(value, Pairs):
        return "ok " + kind(value) if kind(value) != "E" else "request"
    if isinstance(value, list):
        return "ok " + "".join(kind(v) for v in value) if value else "request"
    return "request"


STRINGS = ['"a"', '""', '"\\u0069d"', '"\\n\\t\\\\"', '"é€😀"', '"\\ud800"', '"\\ud83d\\ude00"', '"2.0"',
           '"eth_call"', '"' + "x" * 40 + '"']
SCALARS = ["0", "-1", "1.5e+9", "123456789012345678901234567890", "1e999", "true", "false", "null"]


def value(rng, depth):
    what = rng.randrange(4 if depth else 2)
    if what == 0:
        return rng.choice(SCALARS)
    if what == 1:
        return rng.choice(STRINGS)
    space = rng.choice(["", " ", "\r\n\t"])
    if what == 2:
        return "[" + ("," + space).join(value(rng, depth - 1) for _ in range(rng.randrange(4))) + space + "]"
    members = (rng.choice(STRINGS) + space + ":" + value(rng, depth - 1) for _ in range(rng.randrange(4)))
    return "{" + (space + ",").join(members) + "}"


def call(rng):
    members = [rng.choice(['"jsonrpc":"2.0"'] * 9 + ['"jsonrpc":"1.0"', '"jsonrpc":2.0']),
               rng.choice(['"method":"m"'] * 9 + ['"m\\u0065thod":"\\u0065th"', '"method":1'])]
    if rng.randrange(4):
        members.append('"id":' + rng.choice(SCALARS + STRINGS + ["[]", "{}"]))
    if rng.randrange(2):
        members.append('"params":' + value(rng, 3))
    if rng.randrange(8) == 0:
        members.append(rng.choice(STRINGS) + ":" + value(rng, 2))
    rng.shuffle(members)
    return "{" + ",".join(members) + "}"


def body(rng):
    what = rng.randrange(10)
    if what < 4:
        text = call(rng)
    elif what < 7:
        text = "[" + ",".join(call(rng) if rng.randrange(5) else value(rng, 2)
                              for _ in range(rng.randrange(6))) + "]"
    else:
        text = value(rng, 5)
    out = bytearray(text.encode("utf-8"))
    for _ in range(rng.choice([0, 0, 1, 2])):
        if out:
            at = rng.randrange(len(out))
            if rng.randrange(3) == 0:
                del out[at:at + rng.randrange(1, 4)]
            elif rng.randrange(2):
                out[at] = rng.choice(b'{}[],:"\\0e.-+ntf\x80\xc3\xed\xf0 \n\x01\x00')
            else:
                out[at:at] = out[at:at + rng.randrange(1, 6)]
    return bytes(out)


def scan(bodies):
    data = b"".join(struct.pack(">I", len(b)) + b for b in bodies)
    done = subprocess.run([str(SCAN)], input=data, capture_output=True, timeout=300, check=True)
    lines = done.stdout.decode().splitlines()
    assert len(lines) == len(bodies)
    return lines


def test_scanner_and_python_judge_alike():
    rng = random.Random(count("seed"))
    bodies = [body(rng) for _ in range(count("scanner_bodies"))]
    seen = {}
    for text, got in zip(bodies, scan(bodies)):
        want = expected(text)
        assert got == want, text
        seen[want.split()[0]] = seen.get(want.split()[0], 0) + 1
    assert min(seen[k] for k in ("ok", "parse", "request")) > len(bodies) // 20, seen


def test_what_python_takes_and_json_does_not():
    """The differences that are switched off above are real."""
    assert json.loads("NaN") != 0 and json.loads("-Infinity") < 0
    assert scan([b"NaN", b"[-Infinity]", b"\xef\xbb\xbf{}"]) == ["parse", "parse", "parse"]
