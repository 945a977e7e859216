# SPDX-License-Identifier: Apache-2.0
"""What chains know of methods, calls, answers and errors, by tests/support/methods_main.c."""

import json
import subprocess

from support import paths

PROGRAM = paths.BUILD / "tests/support/methods"


class Methods:
    """One program that answers line by line."""

    def __init__(self):
        self.child = subprocess.Popen([PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def close(self):
        """Ends it; its exit code, which a sanitizer's report changes."""
        self.child.stdin.close()
        return self.child.wait(60)

    def _ask(self, *words):
        assert not any("\t" in word or "\n" in word for word in words), words
        self.child.stdin.write("\t".join(words) + "\n")
        self.child.stdin.flush()
        return self.child.stdout.readline().rstrip("\n")

    def pinned(self, method, params, block):
        """The parameters with this block in the place of a tag; None when nothing may be pinned."""
        text = self._ask("pin", method, json.dumps(params), block["number"], block["hash"])
        assert text != "odd", (method, params)
        return None if text == "none" else json.loads(text)

    def block(self, method, params, result):
        """(number, hash) of the block that an answer is of; None for what is not known."""
        answer = self._ask("block", method, json.dumps(params), json.dumps(result))
        return tuple(None if word == "-" else word for word in answer.split())

    def error_class(self, error):
        """The class of an error object."""
        data = json.dumps(error["data"]) if "data" in error else ""
        return self._ask("class", str(error["code"]), json.dumps(error["message"])[1:-1], data)
