# SPDX-License-Identifier: Apache-2.0
"""One-line faults in C: where they can be put, and how the line reads then.

Works on text, line by line, with comments and strings blanked; so it sees what a hand at the
keyboard sees, and not what the compiler does.  A fault that does not compile, or changes nothing,
is found out later by compiling it.  Assertions are left alone: they guard against our own faults.
"""

import dataclasses
import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lint"))

import sources  # noqa: E402

_LIMIT = re.compile(r"\b[A-Z][A-Z0-9_]*_(?:MAX|MIN|BYTES|SIZE|END|WIDTH|LEVELS|BITS)\b")
_NUMBER = re.compile(r"(?<![\w.])(0x[0-9a-fA-F]+|\d+)([uUlL]*)(?![\w.])")
_COMPARE = re.compile(r"(?<=\s)(==|!=|<=|>=|<|>)(?=\s)")
_ARITHMETIC = re.compile(r"(?<=[\w)\]] )(\+|-|\+=|-=|<<|>>|&|\||\*|/|%)(?= )|\+\+|--")
_CONDITION = re.compile(r"^(\s*(?:\} else )?(?:if|while) \()(.*)(\)(?: \{)?)$")
_RETURN = re.compile(r"^(\s*return )(.+)(;)$")
_CALL = re.compile(r"\b([a-z_]\w*)\(")
_DECLARATION = re.compile(
    r"^(?:CLEANUP\b|(?:[A-Za-z_]\w*\s+)*[A-Za-z_]\w*[\s*]+[A-Za-z_]\w*\s*(?:[=;,\[]|$))")
_STATEMENT = re.compile(r"^(?:\*?[A-Za-z_(+-].*;)$")
_LENGTH_LAST = ("memcpy", "memcmp", "memmove", "memset", "memchr", "buf_put", "sha256", "strncmp")

_COMPARED = {"==": ["!="], "!=": ["=="], "<": ["<=", ">="], "<=": ["<", ">"], ">": [">=", "<="],
             ">=": [">", "<"]}
_COUNTED = {"+": "-", "-": "+", "+=": "-=", "-=": "+=", "<<": ">>", ">>": "<<", "&": "|", "|": "&",
            "*": "+", "/": "*", "%": "/", "++": "--", "--": "++"}


@dataclasses.dataclass(frozen=True)
class Fault:
    """A line of a file, and what stands there instead."""
    path: str
    line: int  # from 1
    operator: str
    before: str
    after: str


def find(root, paths):
    """Faults of the files, as {(path, line): [Fault, ...]}, always in the same order."""
    found = {}
    for path in paths:
        for fault in _of_file(path, (root / path).read_text()):
            found.setdefault((path, fault.line), []).append(fault)
    return found


def _of_file(path, text):
    lines, code = text.split("\n"), sources.blank(text).split("\n")
    asserted = _asserted("\n".join(code))
    kinds = _kinds_of_functions(code)
    for number, (line, blank) in enumerate(zip(lines, code)):
        if number in asserted or not blank.strip() or re.match(r"#(?!define)", blank):
            continue
        starts = _starts_statement(code, number)
        for operator, after in _of_line(line, blank, starts, kinds.get(number)):
            if after != line:
                yield Fault(path, number + 1, operator, line, after)


def _of_line(line, blank, starts, kind):
    """(operator, new line) of each fault that the line can have."""
    declared = bool(_DECLARATION.match(blank.strip())) and not blank.strip().startswith("return")
    yield from _swapped_symbols(line, blank)
    yield from _numbers(line, blank, declared)
    yield from _conditions(line, blank)
    if kind:
        yield from _calls(line, blank)
    for match in re.finditer(r"!(?!=)", blank):
        yield "not removed", line[:match.start()] + line[match.end():]
    if kind and starts:
        yield from _statements(line, blank, declared, starts, kind)


def _swapped_symbols(line, blank):
    if blank.startswith("#"):
        return
    for match in _COMPARE.finditer(blank):
        for other in _COMPARED[match.group()]:
            yield "comparison", line[:match.start()] + other + line[match.end():]
    for match in _ARITHMETIC.finditer(blank):
        yield "arithmetic", line[:match.start()] + _COUNTED[match.group()] + line[match.end():]
    for match in re.finditer(r"&&|\|\|", blank):
        other = "||" if match.group() == "&&" else "&&"
        yield "and/or", line[:match.start()] + other + line[match.end():]


def _numbers(line, blank, declared):
    for match in _NUMBER.finditer(blank):
        before = blank[:match.start()].rstrip()
        if (declared and before.endswith("[")) or blank[match.start() - 1:match.end() + 1] == "{0}":
            continue  # room for an array, or zeros: not a number that means something
        value = int(match.group(1), 0)
        for other in (value + 1, value - 1):
            if other >= 0:
                number = f"{other}{match.group(2)}"
                yield "constant", line[:match.start()] + number + line[match.end():]
    if blank.startswith("#"):
        return
    for match in _LIMIT.finditer(blank):
        if declared and blank[:match.start()].rstrip().endswith("["):
            continue
        for sign in "+-":
            yield "limit", f"{line[:match.start()]}({match.group()} {sign} 1){line[match.end():]}"


def _conditions(line, blank):
    match = _CONDITION.match(blank)
    if match and _balanced(match.group(2)):
        head, tail = line[:match.end(1)], line[match.start(3):]
        condition = line[match.end(1):match.start(3)]
        yield "condition negated", f"{head}!({condition}){tail}"
        yield "condition dropped", f"{head}0{tail}"
        if "while" not in head:
            yield "condition dropped", f"{head}1{tail}"
        for part in _without_operand(condition, blank[match.end(1):match.start(3)]):
            yield "condition dropped", head + part + tail
    match = _RETURN.match(blank)
    if match and _balanced(match.group(2)):
        head, tail = line[:match.end(1)], line[match.start(3):]
        for part in _without_operand(line[match.end(1):match.start(3)], match.group(2)):
            yield "condition dropped", head + part + tail


def _without_operand(text, blank):
    """`a && b` without a, and without b; only operators that stand outside brackets."""
    cuts = [(i, i + 2) for i in range(len(blank) - 1)
            if blank[i:i + 2] in ("&&", "||") and _balanced(blank[:i])]
    edges = [(0, 0)] + cuts + [(len(blank), len(blank))]
    parts = [text[a[1]:b[0]].strip() for a, b in zip(edges, edges[1:])]
    for i in range(len(parts) if cuts else 0):
        symbols = [text[a:b] for a, b in cuts]
        del symbols[min(i, len(symbols) - 1)]
        rest = parts[:i] + parts[i + 1:]
        yield " ".join(rest[:1] + [f"{s} {p}" for s, p in zip(symbols, rest[1:])])


def _calls(line, blank):
    for match in _CALL.finditer(blank):
        if match.group(1) in ("if", "while", "for", "switch", "return", "sizeof", "err_set"):
            continue
        places = _arguments(blank, match.end())
        texts = [line[a:b] for a, b in places]
        for i in range(len(texts) - 1):
            (a, b), (c, d) = places[i], places[i + 1]
            yield "arguments swapped", (line[:a] + texts[i + 1] + line[b:c] + texts[i] + line[d:])
        if texts and match.group(1) in _LENGTH_LAST:
            a, b = places[-1]
            yield "length", f"{line[:a]}({texts[-1]}) - 1{line[b:]}"


def _arguments(blank, at):
    """Where the arguments of a call stand whose bracket opens before at; [] if it does not end."""
    places, depth, begin = [], 0, at
    for i in range(at, len(blank)):
        if blank[i] in "([{":
            depth += 1
        elif depth == 0 and blank[i] in ",)":
            places.append((begin + len(blank[begin:i]) - len(blank[begin:i].lstrip()), i))
            if blank[i] == ")":
                return [p for p in places if p[0] < p[1]]
            begin = i + 1
        elif blank[i] in ")]}":
            depth -= 1
    return []


def _statements(line, blank, declared, starts, kind):
    body, indent = blank.strip(), line[:len(line) - len(line.lstrip())]
    match = _RETURN.match(blank)
    if match and kind == "bool" and _balanced(match.group(2)):
        returned = line[match.end(1):match.start(3)]
        other = {"true": "false", "false": "true"}.get(returned, f"!({returned})")
        yield "return", f"{line[:match.end(1)]}{other};"
    whole = _STATEMENT.match(body) and _balanced(body)
    if whole and not declared and not body.startswith("return"):
        yield "statement deleted", indent + "{}"
    if starts == "free" and not declared and re.match(r"[A-Za-z_*(].*[;{)]$", body) \
            and not body.startswith(("return", "case", "else")):
        for value in {"bool": (" true", " false"), "void": ("",)}.get(kind, ()):
            yield "return early", f"{indent}return{value}; {line.strip()}"


def _balanced(text):
    depth = 0
    for char in text:
        depth += (char in "([{") - (char in ")]}")
        if depth < 0:
            return False
    return depth == 0


def _starts_statement(code, number):
    """"free": a statement begins on the line; "bound": it is the body of the line above."""
    above = number - 1
    while above >= 0 and not code[above].strip():
        above -= 1
    before = code[above].strip() if above >= 0 else ""
    if before.endswith((";", "{", "}", ":")):
        return "free"
    ends_head = before.endswith(")") and re.match(r"(?:\} else )?(?:if|for|while)\b", before)
    return "bound" if ends_head or before == "else" else ""


def _asserted(code):
    """The numbers, from 0, of lines that belong to an assert()."""
    lines = set()
    for match in re.finditer(r"\bassert\(", code):
        depth, end = 1, match.end()
        while depth and end < len(code):
            depth += (code[end] == "(") - (code[end] == ")")
            end += 1
        lines.update(range(code.count("\n", 0, match.start()), code.count("\n", 0, end) + 1))
    return lines


def _kinds_of_functions(code):
    """{line, from 0: what its function returns}: "bool", "void" or "other"; none outside."""
    kinds, kind = {}, None
    for number, line in enumerate(code):
        if line.startswith("{"):
            head, above = "", number - 1
            while above >= 0 and code[above].strip() and not code[above].startswith(("}", "#")):
                head = code[above] + " " + head
                above -= 1
            match = re.search(r"\b(bool|void)\s+\w+\(", head)
            kind = match.group(1) if match else "other"
        elif line.startswith("}"):
            kind = None
        elif kind:
            kinds[number] = kind
    return kinds
