# SPDX-License-Identifier: Apache-2.0
"""Every numbered rule of docs/protocol.md is cited by a test, and nobody cites one that is not there.

Every rule has also a case that breaks it in tests/hostile.toml, or the reason why no peer can.

With --list it prints the rules without a test and goes on; without, they fail.
"""

import re
import sys
import tomllib

import sources


def hostile(rules):
    """What is wrong with tests/hostile.toml."""
    table = tomllib.loads((sources.ROOT / "tests/hostile.toml").read_text())
    broken = {rule for case in table["case"] for rule in case["breaks"]}
    names = [case["name"] for case in table["case"]]
    told = broken | set(table["why_not"])
    problems = [f"tests/hostile.toml: [{r}] has neither a case nor a reason" for r in rules if r not in told]
    problems += [f"tests/hostile.toml: [{r}] is no rule of docs/protocol.md" for r in told if r not in rules]
    problems += [f"tests/hostile.toml: [{r}] has a case and a reason why there can be none"
                 for r in broken & set(table["why_not"])]
    return problems + [f"tests/hostile.toml: {n} stands twice" for n in set(names) if names.count(n) > 1]

CITED = (".c", ".h", ".def", ".py", ".go", ".mjs", ".sql", ".md", ".toml", ".build")


def main():
    """Compares the rules with what cites them."""
    text = (sources.ROOT / "docs/protocol.md").read_text()
    rules = re.findall(r"^- \*\*\[([A-Z]\d+)\]\*\*", text, re.MULTILINE)
    letters = "".join(sorted({rule[0] for rule in rules}))
    bracket = re.compile(rf"(?<![\w\])])\[((?:[{letters}]\d+)(?:,\s*[{letters}]\d+)*)\]")
    problems = [f"docs/protocol.md: [{r}] stands twice" for r in set(rules) if rules.count(r) > 1]
    problems += hostile(rules)
    cited = {}
    for path in sources.files(sources.CODE + ("tests", "docs"), CITED):
        name = sources.relative(path)
        if name.startswith("tests/lint/"):
            continue
        for number, line in enumerate(path.read_text(errors="replace").split("\n"), 1):
            for tags in bracket.findall(line):
                for tag in re.split(r",\s*", tags):
                    if tag not in rules:
                        problems.append(f"{name}:{number}: [{tag}] is no rule of docs/protocol.md")
                    if name.startswith("tests/"):
                        cited.setdefault(tag, set()).add(name)
    missing = [rule for rule in rules if rule not in cited]
    if "--list" in sys.argv:
        print(f"rules without a citing test ({len(missing)} of {len(rules)}): " + " ".join(missing))
    else:
        problems += [f"docs/protocol.md: no test cites [{rule}]" for rule in missing]
    return sources.finish("rules", problems, f"{len(rules)} rules, {len(rules) - len(missing)} with tests")


if __name__ == "__main__":
    sys.exit(main())
