#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Turns numbered migrations into a C table: embed.py OUT FILE...; name_NNNN_what.sql, from 0001."""
import pathlib
import sys

out, files = sys.argv[1], sorted(sys.argv[2:])
sets = {}
for f in map(pathlib.Path, files):
    name, number, _ = f.stem.split("_", 2)
    sets.setdefault(name, []).append((int(number), f))
text = "/* Made from the migrations by embed.py. */\n"
for name, rows in sets.items():
    assert [n for n, _ in rows] == list(range(1, len(rows) + 1)), f"{name}: numbers have a gap"
    text += f"static const char *const {name}_migrations[] = {{\n"
    for _, f in rows:
        for line in f.read_text().splitlines():
            line = line.replace("\\", "\\\\").replace('"', '\\"').replace("\t", "\\t")
            text += f'\t"{line}\\n"\n'
        text += "\t,\n"
    text += "};\n"
pathlib.Path(out).write_text(text)
