#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes docs/errors.md, docs/configuration.md and docs/metrics.md from the tables of the code, and
docs/hostile.md from that of the tests.

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
         "client": ("A client against a gateway", "tests/integration/test_client_rules.py")}


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
            "| http STATUS [CODE] | the HTTP status, and the JSON-RPC code |", "",
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


def main():
    """Writes or checks the pages."""
    pages = {"errors.md": errors, "configuration.md": configuration, "metrics.md": metrics,
             "hostile.md": hostile}
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
