#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes docs/errors.md, docs/configuration.md, docs/metrics.md and docs/methods.md from the tables of the
code, and docs/hostile.md from that of the tests.

  docs/generate.py           writes them
  docs/generate.py --check   exits with 1, and says which, when one of them is stale
"""

import pathlib
import re
import sys
import tomllib

ROOT = pathlib.Path(__file__).resolve().parent.parent

TOKEN = re.compile(r'\s*("(?:[^"\\]|\\.)*"|[A-Za-z_][A-Za-z0-9_]*|-?[0-9]+|[(),])')


def text_of(token):
    """The text of a C string literal."""
    return re.sub(r"\\(.)", r"\1", token[1:-1])


def rows(path):
    """Yields (macro, [argument, ...]) for each row of a .def file; strings that stand together are
    one argument.  Lines of the preprocessor and comments are skipped."""
    source = (ROOT / path).read_text(encoding="utf-8")
    source = re.sub(r"/\*.*?\*/", "", source, flags=re.S)
    source = re.sub(r"^#.*$", "", source, flags=re.M)
    at = 0
    while source[at:].strip():
        macro, at = next_token(source, at, path)
        opening, at = next_token(source, at, path)
        if opening != "(":
            raise SystemExit(f"{path}: ( expected after {macro}")
        arguments, current = [], None
        while True:
            token, at = next_token(source, at, path)
            if token in ",)":
                arguments.append(current)
                current = None
                if token == ")":
                    break
            elif token.startswith('"') and current is not None:
                current += text_of(token)
            else:
                current = text_of(token) if token.startswith('"') else token
        yield macro, arguments


def next_token(source, at, path):
    """The token at a place, and where it ends."""
    match = TOKEN.match(source, at)
    if match is None:
        raise SystemExit(f"{path}: cannot read: {source[at:at + 40]!r}")
    return match.group(1), match.end()


def cell(text):
    """A text as a cell of a Markdown table."""
    return text.replace("|", "\\|").replace("\n", " ")


def head(title, table):
    """The first lines of a page."""
    return [f"# {title}", "",
            f"Made from [{table}](../{table}) by `docs/generate.py`; change the table, not this page.", ""]


def errors():
    """docs/errors.md"""
    out = head("Errors", "relay/base/err.def")
    out += ["Each error has a name, which logs, metrics (`result`) and refusals use. *JSON-RPC* is the code",
            "that a dApp sees in `error.code`, *HTTP* the status of that answer. *Wire* is the code in ERROR",
            "frames and in refusal leaves (docs/protocol.md [F9]); codes are never reused, and an error",
            "without one never crosses a link. *Retried*: the gateway may ask another node.", "",
            "| name | wire | JSON-RPC | HTTP | retried | meaning |", "|---|---|---|---|---|---|"]
    for macro, (name, wire, http, rpc, retry, text) in rows("relay/base/err.def"):
        assert macro == "E"
        out.append(f"| `{name.lower()}` | {wire if wire != '0' else '-'} | {rpc} | {http} | "
                   f"{'yes' if retry == 'true' else 'no'} | {cell(text)} |")
    return out


WHO = {"GATEWAY": "gateway", "NODE": "node", "BOTH": "both"}
TYPES = {"STRING": "text", "PATH": "path", "SOURCE": "path or URL", "ADDRESS": "address", "SIZE": "size",
         "DURATION": "duration", "UINT": "number", "BOOL": "true or false", "WORD": "word", "KEY": "key",
         "LIST": "list", "MAP": "map"}


def configuration():
    """docs/configuration.md"""
    out = head("Configuration", "relay/config/config.def")
    out += ["One YAML file configures a gateway, a node, or both; `counterfoil init` writes one with every",
            "option explained. Each option can be given in four places; the first of these that has it counts:",
            "", "1. the command line: `--section.option VALUE`",
            "2. the environment: `COUNTERFOIL_SECTION_OPTION=VALUE`",
            "3. the file: `section:` and below it `option: VALUE`", "4. the default", "",
            "`counterfoil check-config FILE` reports everything that is wrong, each with file, line and column;",
            "with `--print` it shows the values in force and where each comes from. Anchors, aliases, tags and",
            "several documents in one file are refused.", "",
            "| type | written as |", "|---|---|",
            "| path | relative to the folder of the file; on the command line and in the environment to the "
            "working folder |",
            "| address | `host:port`, `[v6]:port` or `unix:PATH`; port 0 is any free one |",
            "| size | a number with `B`, `KiB`, `MiB` or `GiB` |",
            "| duration | a number with `us`, `ms`, `s`, `min`, `h` or `d` |",
            "| key | 64 lower-case hex digits, a public key |",
            "| list | a YAML list, or one item; on the command line and in the environment `a,b,c` |",
            "| map | a YAML map of names to lists; on the command line and in the environment `x=a,b;y=c` |"]
    for macro, row in rows("relay/config/config.def"):
        if macro == "SECTION":
            out += ["", f"## {row[0]}", "", row[1], "",
                    "| option | type | default | allowed | read by | meaning |", "|---|---|---|---|---|---|"]
        elif macro == "OPT":
            section, name, kind, who, default, allowed, text = row
            shown = {"NULL": "unset", "REQUIRED": "must be given"}.get(default, f"`{default}`")
            limits = "" if allowed == "NULL" else f"`{allowed}`"
            out.append(f"| `{section}.{name}` | {TYPES[kind]} | {shown} | {limits} | {WHO[who]} | "
                       f"{cell(text)} |")
    out += ["", "`COUNTERFOIL_PASSPHRASE` opens an encrypted key where `passphrase_file` is not set."]
    return out


UNITS = {"NONE": "", "US": "_seconds", "BYTES": "_bytes"}


def metrics():
    """docs/metrics.md"""
    out = head("Metrics", "relay/base/metrics.def")
    out += ["`GET /metrics` of the address `admin.listen`, in Prometheus' text format. Names are only ever",
            "deprecated. Labels have bounded sets of values, none of which a stranger can choose.", "",
            "| metric | type | labels | meaning |", "|---|---|---|---|"]
    labels = {macro_row[1][0]: macro_row[1][1:] for macro_row in rows("relay/base/metrics.def")
              if macro_row[0] == "LABEL"}
    for macro, row in rows("relay/base/metrics.def"):
        if macro != "M":
            continue
        name, kind, unit, first, second, text = row
        total = "_total" if kind == "COUNTER" else ""
        names = ", ".join(f"`{labels[label][0]}`" for label in (first, second) if label != "NONE")
        out.append(f"| `counterfoil_{name.lower()}{UNITS[unit]}{total}` | {kind.lower()} | {names} | "
                   f"{cell(text)} |")
    out += ["", "| label | values |", "|---|---|"]
    for name, values in labels.values():
        meaning = {"DYNAMIC": "named by the operator or the registry, at most 64; what comes after is `other`",
                   "ERRORS": "`ok`, or the name of an error ([errors.md](errors.md))"}.get(values)
        words = ", ".join(f"`{word}`" for word in values.split() if word != "-")
        out.append(f"| `{name}` | {meaning or words} |")
    return out


SIDES = {"node": ("A gateway against a node", "tests/integration/test_hostile_gateway.py"),
         "gateway": ("A supplier against a gateway", "tests/integration/test_hostile_node.py"),
         "client": ("A client against a gateway", "tests/integration/test_client_rules.py"),
         "registry": ("A supplier against the registry", "tests/integration/test_reward_attacks.py")}


def hostile():
    """docs/hostile.md"""
    table = tomllib.loads((ROOT / "tests/hostile.toml").read_text(encoding="utf-8"))
    rules = re.findall(r"^- \*\*\[([A-Z]\d+)\]\*\*", (ROOT / "docs/protocol.md").read_text(encoding="utf-8"),
                       re.MULTILINE)
    out = head("Hostile peers", "tests/hostile.toml")
    out += ["Every rule of [protocol.md](protocol.md), and the peers that break it in the tests, written in",
            "Python against the real programs. While they do, an honest peer is served beside them, and at the",
            "end every receipt that was delivered is in both ledgers. What must come of a case:", "",
            "| then | |", "|---|---|",
            "| close REASON [ERROR] | the link ends; log and `counterfoil_link_closed_total` say REASON; the ERROR "
            "frame says ERROR, or REASON when none is named (`-`: none can be sent) |",
            "| error NAME | an ERROR frame; the link goes on |",
            "| refuse NAME | a leaf of kind 3; the link goes on |",
            "| ignored | nothing; the link goes on and is served |",
            "| fault WEIGHT NAME | the gateway drops the supplier for the session: `gateway.fault` in the log, "
            "NAME in `counterfoil_gateway_faults_total`; the dApp is answered by another |",
            "| retry NAME | the call goes to another supplier, NAME in `counterfoil_gateway_retries_total` |",
            "| http STATUS [CODE] | the HTTP status, and the JSON-RPC code |",
            "| refused NAME | the registry refuses the claim; nothing is recorded, and nobody loses anything |",
            "| forfeit NAME | the claim is recorded and its proof refused; NAME is kept, the value stays in escrow, and as much "
            "of the supplier's stake is burned |", "",
            "## Rules", "", "| rule | broken by |", "|---|---|"]
    for rule in rules:
        broken = [f"[{c['name']}](#{c['side']})" for c in table["case"] if rule in c["breaks"]]
        out.append(f"| [{rule}] | {', '.join(broken) or 'nobody: ' + cell(table['why_not'][rule])} |")
    for side, (title, where) in SIDES.items():
        out += ["", f'<a id="{side}"></a>', f"## {title}", "", f"Played by [{where.rpartition('/')[2]}](../{where}).",
                "", "| case | breaks | what the peer does | then |", "|---|---|---|---|"]
        out += [f"| {c['name']} | {', '.join('[' + r + ']' for r in c['breaks'])} | {cell(c['does'])} | "
                f"{c['then']} |" for c in table["case"] if c["side"] == side]
    return out


PLACES = {"NONE": "-", "FILTER": "filter", "OTHER": "not read", "P0": "1st", "P1": "2nd", "P2": "3rd"}
FORMS = {"NONE": "", "NUMBER": "number", "HASH": "hash", "ANY": "number or hash"}
LIVES = {"NEVER": "-", "HEAD": "to the next block", "BLOCK": "with the block", "ITEM": "with its block",
         "FOREVER": "for ever"}
EMPTIES = {"VALUE": "-", "MISSING": "null", "MISSING_LIST": "null, []"}
REFUSALS = {"CHAIN_STATEFUL": "it lives in one node's memory; a gateway keeps filters of logs and blocks itself", "CHAIN_ACCOUNT": "it uses accounts of a node",
            "CHAIN_OPERATOR": "it is for a node's operator", "CHAIN_DEVELOPER": "it controls a development chain",
            "CHAIN_INTERNAL": "it is internal to a node"}
NEXT = {"ANSWER": "nobody: it is the answer", "OPINION": "one other owner", "OTHERS": "others, within the budget"}
BLAMES = {"NONE": "-", "THROTTLE": "busy", "ERROR": "an error"}


def method_rows():
    """A row for each relayed method of EVM chains."""
    traits = {row[0]: row[1:] for _, row in rows("chains/methods/evm_traits.def")}
    for macro, row in rows("chains/methods/evm.def"):
        if macro != "METHOD":
            continue
        number, name, units, part_units, _ = row
        place, form, absent, life, empty, pin, send, _, exact = traits[name]
        where = f"{PLACES[place]} {FORMS[form]}".strip()
        if absent == "LATEST":
            where += " (`latest`)"
        yield (f"| `{name}` | {number} | {units} | {part_units} | {where} | {pin.lower().replace('none', '-')} | "
               f"{LIVES[life]} | {EMPTIES[empty]} | {send.lower()} | {'yes' if exact == 'EXACT' else '-'} |")


def methods():
    """docs/methods.md"""
    out = head("Methods", "chains/methods/")
    out += ["What is known of the methods of EVM chains, and of their errors. A method that has no row is entry 0,",
            "`*`: it costs what that costs and is sent once; nothing else is assumed of it.", "",
            "## Relayed", "",
            "*id*, *CU* (compute units) and *part* (CU of each further 64 KiB of a long answer) are the table that",
            "both sides agree on (docs/protocol.md [M1]). The rest is what is known of a method besides:", "",
            "- *block*: the parameter that names the block, what it may be, and in brackets what it is when it is",
            "  left out; *filter*: `fromBlock` and `toBlock`, or `blockHash`, of the first parameter.",
            "- *pinned*: with what a tag there may be replaced; a hash as EIP-1898 has it, or a number.",
            "- *holds*: how long an answer may be kept.",
            "- *missing*: the answers that say that something is not there, or not yet, rather than answer.",
            "- *sent*: whether a call may go out more than once: *once*, never; *again*, to another after one has",
            "  failed, for it is too much work to be done twice; *hedge*, also to another while one is slow; *spread*,",
            "  to several at once, for twice is the same as once.",
            "- *exact*: all honest nodes say the same at one block.", "",
            "| method | id | CU | part | block | pinned | holds | missing | sent | exact |",
            "|---|---:|---:|---:|---|---|---|---|---|---|"]
    out += method_rows()
    out += ["", "## Not relayed", "", "| method | because |", "|---|---|"]
    for macro, row in rows("chains/methods/evm.def"):
        if macro in ("REFUSE", "NAMESPACE"):
            star = "\\*, unless it stands above" if macro == "NAMESPACE" else ""
            out.append(f"| `{row[0]}`{star} | {REFUSALS[row[1]]} |")
    out += ["", "## Errors", "",
            "The classes of errors that backends answer, and what may be done about an error before the client gets",
            "it as the backend wrote it. A call that may be sent only once is not sent again, whatever its error.", "",
            "| class | meaning | asked next | the same again | in parts | says of the supplier |",
            "|---|---|---|---|---|---|"]
    for _, (_, word, then, again, divide, blame, text) in rows("chains/errors.def"):
        out.append(f"| `{word}` | {cell(text)} | {NEXT[then]} | {'later' if again == 'true' else '-'} | "
                   f"{'yes' if divide == 'true' else '-'} | {BLAMES[blame]} |")
    out += ["", "A message or its data with one of these phrases (in any case; `*` is any text) is of the class; the",
            "first that is found decides, in the order of [the table](../chains/methods/evm_errors.def). Without",
            "any of them the code does. All else is `server`.", "", "| class | phrases | codes |", "|---|---|---|"]
    words = {row[0]: row[1] for _, row in rows("chains/errors.def")}
    signs = {name: ([], []) for name in words}
    for macro, row in rows("chains/methods/evm_errors.def"):
        if macro == "BLOCKS":
            continue
        phrases, codes = signs["EXECUTION" if macro.startswith("RAN_") else row[1]]
        (codes if macro.endswith("CODE") else phrases).append(row[0])
    for name, (phrases, codes) in signs.items():
        if phrases or codes:
            out.append(f"| `{words[name]}` | {', '.join(f'`{cell(phrase)}`' for phrase in phrases)} | "
                       f"{', '.join(codes)} |")
    return out


def main():
    """Writes or checks the pages."""
    pages = {"errors.md": errors, "configuration.md": configuration, "metrics.md": metrics,
             "methods.md": methods, "hostile.md": hostile}
    check = sys.argv[1:] == ["--check"]
    if sys.argv[1:] and not check:
        print(__doc__.strip(), file=sys.stderr)
        return 3
    stale = []
    for name, make in pages.items():
        path = ROOT / "docs" / name
        text = "\n".join(make()) + "\n"
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        stale.append(name)
        if not check:
            path.write_text(text, encoding="utf-8")
    for name in stale:
        print(f"docs/{name}: {'stale; run docs/generate.py' if check else 'written'}")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
