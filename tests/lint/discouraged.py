# SPDX-License-Identifier: Apache-2.0
"""Calls, headers and words that do not belong where they stand.

Escape for a call: a comment on its line, "allowed: why".
"""

import re
import sys

import sources

TEXT = (".c", ".h", ".def", ".py", ".mjs", ".js", ".go", ".sql", ".md", ".yaml", ".yml", ".toml", ".sh",
        ".build", ".txt", ".lua", ".html", ".json")

# pattern in code: what is wrong with it; the files that may use it all the same
CALLS = [
    (r"\b(?:time|gettimeofday|clock_gettime|localtime|gmtime|ftime)\s*\(",
     "only relay/base/clock.c reads a clock", ("relay/base/clock.c",)),
    (r"\b(?:rand|random|srand|srandom|rand_r|drand48|randombytes_\w+)\s*\(",
     "random numbers come from relay/base/rng.h", ("relay/base/rng.c", "relay/crypto/digest.c",
                                                 "relay/crypto/key.c", "relay/crypto/key_file.c")),
    (r"\b(?:v?sprintf|strcpy|strcat|strncat|stpcpy|strtok|gets|alloca)\s*\(",
     "unbounded, or with hidden state", ()),
    (r"\b(?:atoi|atol|atoll|atof)\s*\(", "does not tell an error", ()),
    (r"(?<![\w.>])(?:malloc|calloc|realloc|strdup|strndup)\s*\(",
     "memory comes from relay/base/mem.h", ("relay/base/mem.c",)),
    (r"\bdefault\s*:\s*(?:assert|abort)", "name the values of an enum, so that the compiler sees a gap",
     ()),
]

# header: the only places that may include it
HEADERS = [
    (r"event2/", ("relay/base/", "relay/upstream/", "relay/link/", "relay/gateway/", "relay/node/",
                  "relay/admin/", "relay/cli/", "relay/ledger/", "session/registry/keeper.c",
                  "session/registry/serve")),
    (r"curl/", ("relay/upstream/", "relay/base/", "relay/cli/", "session/registry/")),
    (r"sqlite3\.h", ("relay/ledger/", "session/registry/", "relay/base/", "relay/cli/")),
    (r"sodium", ("relay/crypto/", "relay/base/", "relay/cli/")),
    (r"openssl/", ("relay/crypto/", "relay/link/", "relay/base/")),
    (r"(?:sys/)?time\.h", ("relay/base/", "relay/cli/", "relay/link/", "relay/upstream/",
                           "relay/gateway/", "relay/node/", "relay/admin/", "relay/ledger/",
                           "session/registry/")),
    (r"(?:sys/socket|netinet/\w+|arpa/inet|netdb|poll|sys/epoll)\.h",
     ("relay/base/", "relay/link/", "relay/upstream/", "relay/gateway/", "relay/node/",
      "relay/admin/", "relay/cli/", "relay/config/", "session/registry/")),
]

# words of unfinished work, and paths of somebody's machine
WORDS = [
    (r"\b(?:TO" r"DO|FIX" r"ME|X" r"XX|HA" r"CK)\b", "unfinished work belongs to an issue"),
    (r"(?i)\b(?:place" r"holder|dum" r"my|st" r"ub(?:s|bed)?)\b", "say what it is"),
    (r"(?<![\w.$}/-])/(?:wo" r"rk|home/\w+|ro" r"ot)/\w", "a path of one machine"),
    (r"/tmp/c" r"f(?![\w-])", "a path of one machine"),
    (r"registry\.npm" r"js|py" r"pi\.org|proxy\.gol" r"ang", "a registry's host"),
]


def check_code(path, name, problems):
    """Calls and headers of one C file."""
    text = path.read_text()
    lines = text.split("\n")
    for number, line in enumerate(sources.blank(text).split("\n"), 1):
        if "allowed:" in lines[number - 1]:
            continue
        for pattern, why, places in CALLS:
            match = re.search(pattern, line)
            if match and name not in places:
                problems.append(f"{name}:{number}: {match.group().strip('( ')}: {why}")
    for number, line in enumerate(sources.blank(text, strings=False).split("\n"), 1):
        match = re.match(r'\s*#\s*include\s+[<"]([^>"]+)[>"]', line)
        if not match or "allowed:" in lines[number - 1]:
            continue
        for pattern, places in HEADERS:
            if re.match(pattern, match.group(1)) and not name.startswith(places):
                problems.append(f"{name}:{number}: <{match.group(1)}> is not for this layer")


def check_words(path, name, problems):
    """Words of any text file."""
    for number, line in enumerate(path.read_text(errors="replace").split("\n"), 1):
        if "allowed:" in line:
            continue
        for pattern, why in WORDS:
            match = re.search(pattern, line)
            if match:
                problems.append(f"{name}:{number}: {match.group()!r}: {why}")


def main():
    """Checks the code for calls and headers, everything for words."""
    problems = []
    code = sources.files(sources.CODE, (".c", ".h"))
    for path in code:
        check_code(path, sources.relative(path), problems)
    texts = [p for p in sources.files((".",), TEXT) if p.name != "package-lock.json"
             and "vectors" not in p.parts]
    texts += [sources.ROOT / "tests/run"] + sources.files(("deploy",), ("install", "up"))
    for path in texts:
        name = sources.relative(path)
        if not name.startswith("build"):
            check_words(path, name, problems)
    return sources.finish("discouraged", problems, f"{len(code)} files of code, {len(texts)} texts")


if __name__ == "__main__":
    sys.exit(main())
