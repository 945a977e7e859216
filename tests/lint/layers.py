# SPDX-License-Identifier: Apache-2.0
"""Includes follow the layers, and stand in order: own header, system, libraries, ours.

Which layer may use which is the table below, and nothing else.
"""

import re
import sys

import sources

# layer (longest matching path wins): the layers that it may include besides itself
_BASE = ["relay/base"]
_L1 = _BASE + ["relay/crypto", "relay/config"]
_L2 = _L1 + ["chains"]
_L3 = _L2 + ["relay/receipt", "relay/rpc", "relay/cache", "session"]
_L4 = _L3 + ["relay/ledger", "relay/upstream", "relay/link", "session/registry"]
_L5 = _L4 + ["relay/audit", "relay/gateway", "relay/node"]
_L6 = _L5 + ["relay/admin"]
LAYERS = {
    "relay/base": [],
    "relay/crypto": _BASE, "relay/config": _BASE,
    "chains": _L1,
    "relay/receipt": _L2, "relay/rpc": _L2, "relay/cache": _L2,
    # the one arrow within a layer: table_root is a tree of the receipts' own kind
    "session": _L2 + ["relay/receipt"],
    "relay/ledger": _L3, "relay/upstream": _L3, "session/registry": _L3,
    # recovery moves what the ledger holds over a link
    "relay/link": _L3 + ["relay/ledger"],
    # the auditor reads files only: no event loop, no network
    "relay/audit": _L3 + ["relay/ledger", "session/registry"],
    "relay/gateway": _L4, "relay/node": _L4,
    "relay/sim": _L5,
    "relay/admin": _L5,
    "relay/cli": _L6,
}
LIBRARIES = ("event2/", "curl/", "openssl/", "jansson.h", "sodium", "sqlite3.h", "yaml.h", "uthash.h",
             "utlist.h", "cmocka.h")
OWN, SYSTEM, LIBRARY, OURS = range(4)
GROUPS = ("own header", "system", "libraries", "ours")


GENERATED = {"relay/ledger/migrations.h"}  # made by the build, from files beside it


def layer_of(path):
    """The layer that a file belongs to, or None."""
    best = None
    for layer in LAYERS:
        if path.startswith(layer + "/") and (best is None or len(layer) > len(best)):
            best = layer
    return best


def check_layers(path, line, target, problems):
    """One include of ours: the file exists and is in a layer that may be used."""
    if target not in GENERATED and not (sources.ROOT / target).exists():
        problems.append(f"{path}:{line}: {target} is not a path from the root")
        return
    mine, theirs = layer_of(path), layer_of(target)
    if mine is None or theirs == mine:
        return
    if theirs is None or theirs not in LAYERS[mine]:
        problems.append(f"{path}:{line}: {mine} may not include {target}")


def group_of(path, bracket, target, first):
    """In which group an include stands.  A file's own header has its name, or is of its folder."""
    if bracket == '"':
        folder, _, name = path.rpartition("/")
        same = target.rpartition("/")[0] == folder or target.endswith("/" + name[:-2] + ".h")
        return OWN if path.endswith(".c") and first and same else OURS
    return LIBRARY if target.startswith(LIBRARIES) else SYSTEM


def check_order(path, includes, problems):
    """Groups in order, each sorted.  A block ends where other code stands between includes."""
    before = None
    for line, bracket, target, fresh in includes:
        group = group_of(path, bracket, target, before is None)
        if before and not fresh:
            if group < before[0]:
                problems.append(f"{path}:{line}: {target} ({GROUPS[group]}) stands after "
                                f"{before[1]} ({GROUPS[before[0]]})")
            elif group == before[0] and target < before[1]:
                problems.append(f"{path}:{line}: {target} stands after {before[1]}")
        before = (group, target)


def read_includes(path):
    """(line, bracket, target, whether other code stands between it and the one before)."""
    found, fresh = [], True
    text = sources.blank(path.read_text(), strings=False)
    for number, line in enumerate(text.split("\n"), 1):
        match = re.match(r'\s*#\s*include\s+([<"])([^>"]+)[>"]', line)
        if match:
            found.append((number, match.group(1), match.group(2), fresh))
            fresh = False
        elif line.strip():
            fresh = True
    return found


def main():
    """Checks every C file of the code and the tests."""
    problems, order = [], []
    paths = sources.files(sources.CODE + ("tests",), (".c", ".h"))
    count = 0
    for path in paths:
        name = sources.relative(path)
        if not name.startswith("tests/") and layer_of(name) is None:
            problems.append(f"{name}: belongs to no layer")
        includes = [i for i in read_includes(path) if not i[2].endswith(".def")]
        count += len(includes)
        for line, bracket, target, _ in includes:
            if bracket == '"' and not name.startswith("tests/"):
                check_layers(name, line, target, problems)
        check_order(name, includes, order)
    return sources.finish("layers", problems + order, f"{len(paths)} files, {count} includes")


if __name__ == "__main__":
    sys.exit(main())
