# SPDX-License-Identifier: Apache-2.0
"""clang-format 14 would change nothing.  Exit status 77 (skipped) where it is not installed."""

import shutil
import subprocess
import sys

import sources


def main():
    """Asks clang-format about all files at once."""
    tool = shutil.which("clang-format-14")
    if tool is None:
        print("format: clang-format-14 is not installed")
        return 77
    paths = sources.files(sources.CODE + ("tests",), (".c", ".h"))
    answer = subprocess.run([tool, "--dry-run", "--Werror"] + paths, cwd=sources.ROOT,
                            capture_output=True, text=True, check=False)
    problems = [line for line in answer.stderr.splitlines() if "error:" in line]
    if answer.returncode != 0 and not problems:
        problems = answer.stderr.splitlines()
    if problems:
        print("to repair: clang-format-14 -i FILE...")
    return sources.finish("format", problems, f"{len(paths)} files")


if __name__ == "__main__":
    sys.exit(main())
