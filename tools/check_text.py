#!/usr/bin/env python3
"""What no file of the tree may hold: marks of unfinished work, over-long files and lines, stray white space."""
import re
import sys

import source_tree

MAX_LINES = 500
WRITTEN_BY_PROGRAMS = ("bench/RESULTS.md",)
MAX_COLUMNS = {".cc": 120, ".h": 120, ".hpp": 120, ".py": 120, ".pml": 120, ".md": 120, ".build": 120, "": 120}
WORDS = ("TO" "DO", "FIX" "ME", "X" "XX", "HA" "CK", "st" "ub", "not imple" "mented", "unimple" "mented")
UNFINISHED = re.compile(r"\b(" + "|".join(WORDS) + r")\b")


def suffix(name):
    base = name.rsplit("/", 1)[-1].lstrip(".")
    return "." + base.rsplit(".", 1)[1] if "." in base else ""


def main():
    problems = []
    for name in source_tree.files():
        if name.startswith("bench/traces/"):
            continue
        try:
            text = source_tree.read(name)
        except UnicodeDecodeError:
            continue
        lines = text.split("\n")
        if text and lines.pop() != "":
            problems.append(f"{name}: no newline at the end")
        if len(lines) > MAX_LINES and name not in WRITTEN_BY_PROGRAMS:
            problems.append(f"{name}: {len(lines)} lines, {MAX_LINES} at most: two ideas in one place?")
        columns = MAX_COLUMNS.get(suffix(name)) if name not in WRITTEN_BY_PROGRAMS else None
        for number, line in enumerate(lines, 1):
            word = UNFINISHED.search(line)
            if word:
                problems.append(f"{name}:{number}: unfinished: {word.group(0)}")
            if line != line.rstrip():
                problems.append(f"{name}:{number}: white space at the end of the line")
            if columns and len(line) > columns and "http" not in line and not line.lstrip().startswith("|"):
                problems.append(f"{name}:{number}: {len(line)} columns, {columns} at most")
    return source_tree.report(problems, "text problems")


if __name__ == "__main__":
    sys.exit(main())
