#!/usr/bin/env python3
"""Invariant tags: what a comment of a header promises is checked somewhere and tried by a test.

`// [sweep.once]  a span is swept ...` at the start of a line of a header's opening comment, or with two spaces
behind the tag in a later comment, defines it. It must stand again in a comment or string of the library's code
(a source, or the body of a header) and in a test or model under tests/. A tag that C++ or a text names and no
header defines, and one defined twice, dangle as well; a model may have properties of its own.
"""
import re
import sys
from collections import defaultdict

import source_tree

TAG = r"\[([a-z][a-z0-9_-]*\.[a-z][a-z0-9_-]*)\]"
DEFINITION = re.compile(r"^\s*//\s+" + TAG + r"(\s+)")
USE = re.compile(r"(?<![\w)\]])" + TAG)
QUOTING = re.compile(r'//|"|/\*')  # where a tag may stand in C++; elsewhere brackets are code


def uses(name, text):
    for number, line in enumerate(text.splitlines(), 1):
        start = 0
        if name.endswith(source_tree.CPP):
            match = QUOTING.search(line)
            if not match:
                continue
            start = match.start()
        for match in USE.finditer(line, start):
            yield number, match.group(1)


def main():
    defined, checked, tested, used = {}, set(), set(), defaultdict(list)
    problems = []
    for name in source_tree.files():
        in_library = name.startswith(source_tree.LIBRARY) and name.endswith(source_tree.CPP)
        in_tests = name.startswith("tests/")
        if not (in_library or in_tests or name.endswith(".md")):
            continue
        text = source_tree.read(name)
        header = in_library and not name.endswith(".cc")
        opening = source_tree.opening_comment(text) if header else 0
        defining = set()
        for number, line in enumerate(text.splitlines() if header else (), 1):
            match = DEFINITION.match(line)
            if match and number > opening and len(match.group(2)) < 2:
                continue
            if match and match.group(1) in defined:
                problems.append(f"{name}:{number}: [{match.group(1)}] is defined in {defined[match.group(1)]} too")
            elif match:
                defined[match.group(1)] = name
                defining.add(number)
        for number, tag in uses(name, text):
            if not name.endswith(".pml"):
                used[tag].append(f"{name}:{number}")
            if in_tests:
                tested.add(tag)
            elif in_library and number > opening and number not in defining:
                checked.add(tag)
    for tag, name in sorted(defined.items()):
        missing = [what for what, where in (("code", checked), ("tests", tested)) if tag not in where]
        if missing:
            problems.append(f"{name}: [{tag}] is not found again in {' and '.join(missing)}")
    for tag, places in sorted(used.items()):
        if tag not in defined:
            problems.append(f"{places[0]}: [{tag}] is defined in no header")
    return source_tree.report(problems, "dangling tags")


if __name__ == "__main__":
    sys.exit(main())
