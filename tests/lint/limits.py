# SPDX-License-Identifier: Apache-2.0
"""docs/limits.md is true: each row's option has that default, its metrics exist, and so do its tests; and
each option that looks like a limit has a row.

A row without a test fails.
"""

import re
import sys

import sources

PAGE = sources.ROOT / "docs/limits.md"
WHERE = {".c": "tests/unit", ".py": "tests/integration"}
LOOKS_LIKE_A_LIMIT = re.compile(r"(_max|_max_cu|max_bytes|timeout)$")
COLUMNS = ("limit", "option", "default", "beyond it", "metric", "test")


def options():
    """{section.name: default} of config.def's sizes, numbers and durations."""
    text = (sources.ROOT / "relay/config/config.def").read_text()
    rows = re.findall(r'^OPT\((\w+), (\w+), (?:SIZE|UINT|DURATION), \w+, "([^"]*)"', text, re.MULTILINE)
    return {f"{section}.{name}": default for section, name, default in rows}


def metrics():
    """The names of docs/metrics.md, without their prefix."""
    return set(re.findall(r"`counterfoil_(\w+)", (sources.ROOT / "docs/metrics.md").read_text()))


def words():
    """The values of labels: those of metrics.def, and errors."""
    found = set(re.findall(r"\w+", " ".join(re.findall(
        r'"([^"]*)"', (sources.ROOT / "relay/base/metrics.def").read_text().partition("#define LABEL")[2]))))
    errors = (sources.ROOT / "relay/base/err.def").read_text()
    return found | {name.lower() for name in re.findall(r"^E\((\w+),", errors, re.MULTILINE)}


def rows(text):
    """(line, cells) of each row of a table with our columns."""
    ours = False
    for number, line in enumerate(text.split("\n"), 1):
        if not line.startswith("|"):
            ours = False
            continue
        cells = tuple(cell.strip() for cell in line.strip("|").split("|"))
        if cells == COLUMNS:
            ours = True
        elif ours and not set(line) <= set("|-"):
            yield number, cells


def check_tests(where, cell, problems):
    """Each is FILE::NAME, and NAME is defined there."""
    names = cell.split()
    if not names:
        problems.append(f"{where}: no test crosses it")
    for one in names:
        file, _, name = one.partition("::")
        path = sources.ROOT / WHERE.get(file[file.rfind("."):], "tests") / file
        if not path.is_file():
            problems.append(f"{where}: no file {file}")
        elif not re.search(rf"^(?:static void|def) {re.escape(name)}\(", path.read_text(), re.MULTILINE):
            problems.append(f"{where}: {file} has no {name}")


def check_metrics(where, cell, known, labels, problems):
    """Each is `NAME` or `NAME{VALUE}`."""
    found = re.findall(r"`(\w+)(?:\{(\w+)\})?`", cell)
    if not found:
        problems.append(f"{where}: no metric shows it")
    for name, value in found:
        if name not in known:
            problems.append(f"{where}: no metric counterfoil_{name}")
        if value and value not in labels:
            problems.append(f"{where}: no label value {value}")


def main():
    """Compares the page with the tables and the tests."""
    text, known, all_options, labels = PAGE.read_text(), metrics(), options(), words()
    problems, count = [], 0
    for number, cells in rows(text):
        where, count = f"docs/limits.md:{number}", count + 1
        if len(cells) != len(COLUMNS):
            problems.append(f"{where}: {len(cells)} cells")
            continue
        option = cells[1].strip("`")
        if option != "-" and all_options.get(option) != cells[2].strip("`"):
            problems.append(f"{where}: the default of {option} is {all_options.get(option)}")
        check_metrics(where, cells[4], known, labels, problems)
        check_tests(where, cells[5], problems)
    for option in sorted(all_options):
        if LOOKS_LIKE_A_LIMIT.search(option) and f"`{option}`" not in text:
            problems.append(f"docs/limits.md: nothing of {option}")
    return sources.finish("limits", problems, f"{count} limits, each with a test")


if __name__ == "__main__":
    sys.exit(main())
