#!/usr/bin/env python3
"""The direction of includes: pool, traced, observe -> gc -> runtime -> runtime/base, the public headers under all.

A quoted include is written from the root of the tree and names a file of ours; public headers are included as
<tricolor/...>. Headers begin with a comment and have #pragma once; they include each other without cycles.
"""
import re
import sys

import source_tree

# What the files of a folder may include; the longest folder that fits decides.
ALLOWED = {
    "include/": ("include/",),
    "runtime/base/": ("include/", "runtime/base/"),
    "runtime/os/": ("include/", "runtime/base/", "runtime/os/", "runtime/arch/"),
    "runtime/arch/": ("include/", "runtime/base/", "runtime/os/", "runtime/arch/"),
    "runtime/": ("include/", "runtime/"),
    "gc/": ("include/", "runtime/", "gc/"),
    "pool/": ("include/", "runtime/", "gc/", "pool/"),
    "observe/": ("include/", "runtime/", "gc/", "observe/"),
    "traced/": ("include/", "runtime/", "gc/", "traced/"),
    "bench/": ("include/", "runtime/", "gc/", "pool/", "traced/", "observe/", "bench/", "tools/"),
    "examples/": ("include/",),
    "tools/": ("include/", "runtime/", "gc/", "pool/", "traced/", "observe/", "bench/", "tools/"),
    "tests/": ("include/", "runtime/", "gc/", "pool/", "traced/", "observe/", "bench/", "tools/", "tests/"),
}
INCLUDE = re.compile(r'^\s*#\s*include\s*(["<])([^">]+)[">]')


def folder_of(name):
    fitting = [folder for folder in ALLOWED if name.startswith(folder)]
    return max(fitting, key=len, default=None)


def includes_of(name, known):
    """(line number, the file of ours that is meant, complaint or None) for each include that concerns us."""
    for number, line in enumerate(source_tree.read(name).splitlines(), 1):
        match = INCLUDE.match(line)
        if not match:
            continue
        quote, target = match.groups()
        if quote == "<":
            if target.startswith("tricolor/"):
                target = "include/" + target
                yield number, target, None if target in known else f"no such public header: {target}"
        elif target.startswith(("include/", "tricolor/")):
            yield number, target, "a public header is included as <tricolor/...>"
        elif target not in known:
            yield number, target, f'not a path from the root of the tree: "{target}"'
        elif target.endswith(".cc"):
            yield number, target, "a source is not included"
        else:
            yield number, target, None


def cycles(graph):
    """One message for each include cycle among the headers."""
    found, state = [], {}

    def visit(name, path):
        state[name] = "open"
        for target in graph.get(name, ()):
            if state.get(target) == "open":
                found.append("include cycle: " + " -> ".join(path[path.index(target):] + [target]))
            elif target not in state:
                visit(target, path + [target])
        state[name] = "done"

    for name in graph:
        if name not in state:
            visit(name, [name])
    return found


def main():
    problems, graph = [], {}
    known = set(source_tree.cpp_files())
    for name in sorted(known):
        folder = folder_of(name)
        if folder is None:
            problems.append(f"{name}: a source outside {', '.join(sorted(ALLOWED))}")
            continue
        graph[name] = []
        for number, target, complaint in includes_of(name, known):
            if complaint is None and not target.startswith(ALLOWED[folder]):
                complaint = f"{folder} must not include {target}"
            if complaint:
                problems.append(f"{name}:{number}: {complaint}")
            else:
                graph[name].append(target)
        if name.endswith(".cc"):
            continue
        text = source_tree.read(name)
        if source_tree.opening_comment(text) == 0:
            problems.append(f"{name}:1: a header begins with a comment that says what it is")
        if "#pragma once" not in text.splitlines():
            problems.append(f"{name}: no #pragma once")
    return source_tree.report(problems + cycles(graph), "include problems")


if __name__ == "__main__":
    sys.exit(main())
