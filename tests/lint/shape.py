# SPDX-License-Identifier: Apache-2.0
"""The size of files and functions, and how much is asserted and documented.

Prints the numbers; fails on the hard limits only.  A pure table or switch may be longer when the
line above its function (or the file's first comment) says "shape: " and why.
"""

import re
import statistics
import sys

import sources

FILE_LINES_MAX = 600
FUNCTION_LINES_MAX = 80
LINE_COLUMNS_MAX = 100
TAB = 8


def functions(text):
    """(name, first line, lines, branches, allowed) of each function: kernel style, { at column 0."""
    lines = text.split("\n")
    code = sources.blank(text).split("\n")
    start = None
    for number, line in enumerate(code):
        if line.startswith("{"):
            start = number
        elif line.startswith("}") and start is not None:
            head = number_of_head(code, start)
            signature = " ".join(code[head:start])
            name = re.search(r"(\w+)\s*\(", signature)
            if name and "=" not in signature:
                body = "\n".join(code[start:number + 1])
                branches = 1 + len(re.findall(r"\b(?:if|for|while|case)\b|&&|\|\||\?", body))
                allowed = "shape:" in "\n".join(lines[max(0, head - 6):head])
                yield name.group(1), head + 1, number - head + 1, branches, allowed
            start = None


def number_of_head(code, start):
    """The first line of the signature whose body begins at line start."""
    head = start
    while head > 0 and code[head - 1].strip() and not code[head - 1].startswith(("}", "#")) \
            and not code[head - 1].rstrip().endswith(";"):
        head -= 1
    return head


def prototypes(text):
    """(name, documented) of the public functions of a header."""
    code = sources.blank(text)
    flat = text.split("\n")
    for match in re.finditer(r"^(?!static|typedef|#|struct \w+ \{|enum)([A-Za-z_][^;{}#]*?\b(\w+)\s*\([^;{}]*\)\s*(?:[A-Z_]+(?:\([^)]*\))?\s*)*);",
                             code, re.MULTILINE):
        line = code.count("\n", 0, match.start())
        above = flat[line - 1].strip() if line else ""
        same = "/*" in flat[code.count("\n", 0, match.end())]
        # A comment may speak for the prototypes that follow it without a blank line.
        yield match.group(2), bool(above) or same


def percentile(values, share):
    """The value below which a share of the values lies."""
    return sorted(values)[min(len(values) - 1, int(len(values) * share))] if values else 0


def columns(line):
    """The width of a line with tabs of 8."""
    width = 0
    for char in line:
        width += TAB - width % TAB if char == "\t" else 1
    return width


def main():
    """Prints the shape, and what passes the hard limits."""
    problems, sizes, lengths, branching, undocumented = [], [], [], [], []
    asserts = kloc = documented = 0
    for path in sources.files(sources.CODE, (".c", ".h")):
        text, name = path.read_text(), sources.relative(path)
        count = text.count("\n")
        if path.suffix == ".c":
            sizes.append(count)
            kloc += count / 1000
            asserts += len(re.findall(r"\bassert\(", sources.blank(text)))
        if count > FILE_LINES_MAX and "shape:" not in text[:2000]:
            problems.append(f"{name}: {count} lines, the limit is {FILE_LINES_MAX}")
        for number, line in enumerate(text.split("\n"), 1):
            if columns(line) > LINE_COLUMNS_MAX:
                problems.append(f"{name}:{number}: more than {LINE_COLUMNS_MAX} columns")
        for function, line, length, branches, allowed in functions(text):
            lengths.append(length)
            branching.append(branches)
            if length > FUNCTION_LINES_MAX and not allowed:
                problems.append(f"{name}:{line}: {function}() has {length} lines, "
                                f"the limit is {FUNCTION_LINES_MAX}")
        if path.suffix == ".h":
            for function, good in prototypes(text):
                documented += good
                if not good:
                    undocumented.append(f"{name}: {function}()")
    for line in undocumented:
        print("no comment above: " + line)
    print(f"files: {len(sizes)} .c, median {statistics.median(sizes or [0]):.0f} lines, "
          f"longest {max(sizes or [0])}")
    print(f"functions: {len(lengths)}, median {statistics.median(lengths or [0]):.0f} lines, "
          f"p95 {percentile(lengths, 0.95)}, longest {max(lengths or [0])}")
    print(f"branches: p95 {percentile(branching, 0.95)}; asserts: {asserts / (kloc or 1):.1f} a kloc; "
          f"prototypes: {documented} documented, {len(undocumented)} not")
    return sources.finish("shape", problems, "limits of files, functions and columns")


if __name__ == "__main__":
    sys.exit(main())
