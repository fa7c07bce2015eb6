#!/usr/bin/env python3
"""Every source is named in a meson.build above it: one that is forgotten there is neither built nor tested."""
import pathlib
import sys

import source_tree


def built(name):
    path = pathlib.PurePosixPath(name)
    for folder in path.parents:
        listing = source_tree.ROOT / folder / "meson.build"
        if listing.is_file() and f"'{path.relative_to(folder)}'" in listing.read_text(encoding="utf-8"):
            return True
    return False


def main():
    problems = [f"{name}: no meson.build names it"
                for name in source_tree.files()
                if name.endswith((".cc", ".S")) and name != "tests/install/program.cc" and not built(name)]
    return source_tree.report(problems, "sources outside the build")


if __name__ == "__main__":
    sys.exit(main())
