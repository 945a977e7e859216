# SPDX-License-Identifier: Apache-2.0
"""What the lints read: the files of the project, C without its comments and strings."""

import os
import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parents[2]
CODE = ("relay", "session", "chains")
SKIPPED_FOLDERS = {".git", ".cache", "node_modules", "__pycache__", "corpus"}

_TOKENS = re.compile(
    r"""/\*.*?\*/ | //[^\n]* | "(?:\\.|[^"\\\n])*" | '(?:\\.|[^'\\\n])*'""",
    re.DOTALL | re.VERBOSE)


def files(folders, suffixes):
    """The files with one of the suffixes below the folders, in a fixed order."""
    found = []
    for folder in folders:
        for path, inner, names in os.walk(ROOT / folder):
            inner[:] = sorted(n for n in inner if n not in SKIPPED_FOLDERS
                              and not n.startswith("build"))
            found += [pathlib.Path(path, name) for name in sorted(names)
                      if name.endswith(suffixes)]
    return found


def relative(path):
    """The path as the project writes it."""
    return path.relative_to(ROOT).as_posix()


def blank(text, strings=True):
    """C with its comments (and strings) blanked; lines stay where they are."""
    def spaces(match):
        token = match.group()
        if token[0] in "\"'" and not strings:
            return token
        return re.sub(r"[^\n]", " ", token)
    return _TOKENS.sub(spaces, text)


PRINTED_MAX = 40


def finish(name, problems, summary):
    """Prints what was found; the exit status of the lint."""
    for problem in problems[:PRINTED_MAX]:
        print(problem)
    if len(problems) > PRINTED_MAX:
        print(f"... and {len(problems) - PRINTED_MAX} more")
    print(f"{name}: {len(problems)} problems; {summary}")
    return 1 if problems else 0
