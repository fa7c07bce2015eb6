"""What the checks share: the files of the tree, and what of a C++ file is comment."""
import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parent.parent
CPP = (".cc", ".h", ".hpp")
LIBRARY = ("include/", "runtime/", "gc/", "pool/", "traced/", "observe/")


def files():
    """Paths of the files that are ours, relative to the root: tracked ones and new ones that git does not ignore."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return sorted({name for name in listed.split("\0") if name and (ROOT / name).is_file()})


def cpp_files(*folders):
    return [name for name in files() if name.endswith(CPP) and (not folders or name.startswith(folders))]


def read(name):
    return (ROOT / name).read_text(encoding="utf-8")


def opening_comment(text):
    """The number of the last line of the comment a header begins with (#pragma once may precede it), or 0."""
    last = 0
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("//"):
            last = number
        elif last or line.strip() not in ("", "#pragma once"):
            break
    return last


def report(problems, kind):
    """Prints the problems, one a line; the exit status."""
    for problem in problems:
        print(problem)
    if problems:
        print(f"{len(problems)} {kind}")
    return 1 if problems else 0
