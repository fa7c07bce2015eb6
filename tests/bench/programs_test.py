#!/usr/bin/env python3
"""Runs the programs of bench/programs quickly and compares what they computed.

    programs_test.py heaps PROGRAM EXECUTABLE...
    programs_test.py twins EXECUTABLE...

heaps: every entry of programs.json for PROGRAM on each executable <program>-<backend>. twins: every entry in Go and
Java, compiled here, against the first executable of its program; without either toolchain the status is 77 (skipped).
"""
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile

PROGRAMS = pathlib.Path(__file__).resolve().parents[2] / "bench" / "programs"
NUMBERS = ("wall s", "cpu s", "peak MB", "collections")
PERCENTILES = ("p50", "p90", "p99", "p99.9", "p99.99", "max")


def problems_of(figures, entry):
    """What is wrong with the figures of one run."""
    problems = [f"no number \"{key}\"" for key in NUMBERS if not isinstance(figures.get(key), (int, float))]
    checksum = figures.get("checksum", "")
    if len(checksum) != 16 or int(checksum, 16) == 0:
        problems.append(f"checksum {checksum!r}")
    if not entry["latency"]:
        return problems
    latency = figures.get("latency", {})
    values = [latency.get(key, -1) for key in PERCENTILES]
    if not latency.get("count") or values[0] < 0 or values != sorted(values):
        problems.append(f"latency {latency}")
    curve = latency.get("curve") or [[]]
    if curve != sorted(curve) or curve[-1] != [100, latency.get("max")]:
        problems.append(f"curve {curve}")
    if not all(0 <= figures.get("mmu", {}).get(window, -1) <= 1 for window in ("0.1", "1", "10", "100")):
        problems.append(f"mmu {figures.get('mmu')}")
    return problems


def checksum_of(command, entry, problems):
    """Runs it; appends what is wrong to `problems`."""
    if not command:
        return None
    words = [str(word) for word in command] + entry["quick_args"]
    result = subprocess.run(words, capture_output=True, text=True, check=False, timeout=240)
    what = f"{entry['name']}: {pathlib.Path(words[0]).name} {' '.join(words[1:])}"
    try:
        figures = json.loads(result.stdout.splitlines()[-1])
    except (IndexError, ValueError):
        figures = None
    if result.returncode != 0 or figures is None:
        problems.append(f"{what}: status {result.returncode}, {result.stdout[-200:]}{result.stderr[-400:]}")
        return None
    problems += [f"{what}: {problem}" for problem in problems_of(figures, entry)]
    print(f"{figures.get('checksum')}  {figures.get('wall s', 0):6.2f} s  {what}", flush=True)
    return figures.get("checksum")


def compare(entry, commands, problems):
    seen = {checksum_of(command, entry, problems) for command in commands} - {None}
    if len(seen) > 1:
        problems.append(f"{entry['name']}: {len(seen)} checksums: {', '.join(sorted(seen))}")


def twins_in(folder, problems):
    """Functions from an entry to the command of its twin (nothing if it has none), for the toolchains that are here."""
    def go_twin(entry):
        # A toolchain older than a program's build constraint leaves it out.
        path = pathlib.Path(folder, entry["go"])
        return [path] if path.is_file() else None

    toolchains = []
    sources = sorted((PROGRAMS / "java").glob("*.java"))
    for tool, command, twin in (
            ("go", ["go", "build", "-o", f"{folder}/", "./..."], go_twin),
            ("javac", ["javac", "-d", folder, *sources], lambda entry: ["java", "-cp", folder, entry["java"]])):
        if not shutil.which(tool):
            print(f"no {tool} here: its twins are left out")
            continue
        result = subprocess.run(command, cwd=PROGRAMS / "go", capture_output=True, text=True, check=False)
        if result.returncode != 0:
            problems.append(f"{tool}: {result.stdout}{result.stderr}")
        else:
            toolchains.append(twin)
    return toolchains


def main():
    entries = json.loads((PROGRAMS / "programs.json").read_text(encoding="utf-8"))
    problems = []
    if sys.argv[1] == "heaps":
        program, executables = sys.argv[2], sys.argv[3:]
        chosen = [entry for entry in entries if entry["program"] == program]
        if not chosen:
            problems.append(f"programs.json does not list {program}")
        for entry in chosen:
            backends = [path.rsplit("-", 1)[1] for path in executables]
            problems += [f"{entry['name']}: backend {name} is not listed" for name in backends
                         if name not in entry["backends"]]
            compare(entry, [[path] for path in executables], problems)
    else:
        first = {}
        for path in sys.argv[2:]:
            first.setdefault(pathlib.Path(path).name.rsplit("-", 1)[0], path)
        with tempfile.TemporaryDirectory() as folder:
            toolchains = twins_in(folder, problems)
            if not toolchains and not problems:
                return 77
            for entry in entries:
                compare(entry, [[first[entry["program"]]], *(twin(entry) for twin in toolchains)], problems)
    if problems:
        print("\n".join(["", "wrong:", *problems]))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
