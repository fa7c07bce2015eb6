#!/usr/bin/env python3
"""Adds up what Meson's test logs (JSON lines) say: the cases of the doctest executables, one case for others.

Names what failed and ends with the line "N passed, N failed". Exit status 1 on a failure or when nothing ran.
"""
import json
import re
import sys

CASES = re.compile(r"^\[doctest\] test cases: *\d+ *\| *(\d+) passed *\| *(\d+) failed", re.M)
BROKEN = re.compile(r"^TEST CASE: +(.*)$", re.M)


def main(logs):
    passed = failed = skipped = 0
    for log in logs:
        try:
            lines = open(log, encoding="utf-8").read().splitlines()
        except FileNotFoundError:
            print(f"no test log {log}")
            failed += 1
            continue
        for record in map(json.loads, lines):
            result = record["result"]
            if result == "SKIP":
                skipped += 1
                continue
            fine = result in ("OK", "EXPECTEDFAIL")
            output = record.get("stdout") or ""
            cases = CASES.findall(output)
            good, bad = map(int, cases[-1]) if cases else (int(fine), 0)
            if not fine and bad == 0:
                bad = 1  # it crashed, ran out of time, or a sanitizer objected at its end
            passed += good
            failed += bad
            if not fine:
                names = sorted(set(BROKEN.findall(output)))
                mode = record["env"].get("GODEBUG", "")
                title = f"failed: {record['name']} ({result.lower()}, status {record['returncode']}) {mode}".rstrip()
                print(title, *names, sep="\n    ")
    if skipped:
        print(f"{skipped} skipped")
    if passed + failed == 0:
        print("no test ran")
    print(f"{passed} passed, {failed} failed")
    return 0 if passed and not failed else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
