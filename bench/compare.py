#!/usr/bin/env python3
"""Runs programs that print their figures as a line of JSON in turns (A B B A, n times) and compares them.

    compare.py [--rounds=N] [--quick] PROGRAM PROGRAM... [-- ARGUMENT...]

A PROGRAM is an executable or NAME=EXECUTABLE; the arguments, and --quick, go to every one. Text figures must
be equal in all runs; of numbers the median, the range and the ratio to the first program are printed. Where a
program does not say what time it took, wall time, processor time and peak memory of the whole process stand for it.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import time


def run(executable, arguments):
    """The figures of one run."""
    started = time.monotonic()
    with subprocess.Popen([executable, *arguments], stdout=subprocess.PIPE, text=True) as process:
        output = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    wall = time.monotonic() - started
    if process.returncode != 0:
        sys.exit(f"compare.py: {executable} {' '.join(arguments)} ended with status {process.returncode}")
    try:
        figures = json.loads(output.splitlines()[-1])
    except (IndexError, ValueError):
        sys.exit(f"compare.py: {executable} printed no line of figures")
    if not any(label.startswith("wall") for label in figures):
        figures["wall s"] = wall
        figures["cpu s"] = usage.ru_utime + usage.ru_stime
        figures["peak MB"] = usage.ru_maxrss / 1024
    return figures


def ratio_text(value, first):
    return f"x{value / first:.2f}" if first else ""


def print_table(names, runs):
    labels = [label for label, value in runs[names[0]][0].items() if not isinstance(value, str)]
    labels += [label for name in names[1:] for label in runs[name][0]
               if label not in labels and not isinstance(runs[name][0][label], str)]
    width = max(len(label) for label in labels)
    for label in labels:
        first = None
        for name in names:
            values = [figures[label] for figures in runs[name] if label in figures]
            if not values:
                continue
            median = statistics.median(values)
            ratio = ""
            if first is None:
                first = median
            else:
                ratio = ratio_text(median, first)
            print(f"{label:<{width}}  {name:<12} {median:>10.4g}  [{min(values):.4g} .. {max(values):.4g}]  {ratio}")


def check_texts(names, runs):
    """The labels of text figures that differ."""
    seen, differing = {}, []
    for name in names:
        for figures in runs[name]:
            for label, value in figures.items():
                if isinstance(value, str) and seen.setdefault(label, value) != value:
                    differing.append(f"{label}: {value} of {name}, {seen[label]} before")
    return differing


def main():
    own, passed = sys.argv[1:], []
    if "--" in own:
        at = own.index("--")
        own, passed = own[:at], own[at + 1:]
    parser = argparse.ArgumentParser(description="Compares programs that print figures, run in turns.")
    parser.add_argument("--rounds", type=int, help="how often A B B A is run (3; 1 with --quick)")
    parser.add_argument("--quick", action="store_true", help="small inputs, one round")
    parser.add_argument("programs", nargs="+", metavar="[NAME=]PROGRAM")
    options = parser.parse_args(own)

    programs = {}
    common = len(os.path.commonprefix([os.path.basename(program) for program in options.programs]))
    for program in options.programs:
        name, _, path = program.rpartition("=")
        path = os.path.abspath(path)
        programs[name or os.path.basename(path)[common:] or os.path.basename(path)] = path
    names = list(programs)
    quick = options.quick or "--quick" in passed
    arguments = [argument for argument in passed if argument != "--quick"] + ["--quick"] * quick
    rounds = options.rounds or (1 if quick else 3)

    runs = {name: [] for name in names}
    for _ in range(rounds):
        for name in names + names[::-1]:
            runs[name].append(run(programs[name], arguments))

    load = os.getloadavg()[0]
    print(f"{' '.join(arguments) or 'no arguments'}: {2 * rounds} runs each, load {load:.1f} at the end")
    print_table(names, runs)
    differing = check_texts(names, runs)
    if differing:
        sys.exit("compare.py: results differ:\n  " + "\n  ".join(differing))


if __name__ == "__main__":
    main()
