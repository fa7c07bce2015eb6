"""A full run in several sittings: what an earlier one measured of the same build on the same machine is kept.

A case is kept when it was measured to its end; one that was skipped, broken off or not begun is measured again.
"""
from lab import results

INTERRUPTED = "the run was interrupted"  # a problem, until it is resumed
# What must be equal for figures to stand in one report.
SAME = ("cpu", "processors", "memory_mb", "kernel", "build", "commit", "peers")


def is_whole(case):
    return not case.get("skipped") and len(case.get("runs", [])) > 0 and not case.get("broken_off")


def differences(earlier, machine, runs):
    """Why the two may not be put together, in words; empty when they may."""
    found = [f"{key} was {earlier['machine'].get(key)}, now it is {machine.get(key)}"
             for key in SAME if earlier["machine"].get(key) != machine.get(key)]
    if earlier["runs"] != runs:
        found.append(f"runs was {earlier['runs']}, now it is {runs}")
    return found


def kept(path, machine, runs):
    """The earlier run's results; ValueError when there are none, or they are of something else."""
    try:
        earlier = results.load(path)
    except results.Unreadable as error:
        raise ValueError(f"--resume: no run to go on with: {error}") from None
    different = differences(earlier, machine, runs)
    if different:
        raise ValueError("--resume: the earlier run is of something else: " + "; ".join(different))
    return earlier


def merged(found, earlier):
    """`found` with the earlier run's whole cases where it has none, in the order of `found`; those it does not know
    come last, measured or not."""
    before = {(case["suite"], case["name"]): case for case in earlier["cases"]}
    cases = []
    for case in found["cases"]:
        other = before.pop((case["suite"], case["name"]), case)
        cases.append(other if is_whole(other) and not is_whole(case) else case)
    cases += before.values()
    problems = [problem for problem in earlier["problems"] if problem != INTERRUPTED]
    problems = list(dict.fromkeys(problems + found["problems"]))
    return found | {"created": earlier["created"], "seconds": round(earlier["seconds"] + found["seconds"], 1),
                    "sittings": earlier.get("sittings", 1) + 1, "cases": cases, "problems": problems}
