"""A full run in several sittings: what an earlier one measured of the same build on the same machine is kept.

A case is kept when it was measured to its end; one that was skipped, broken off or not begun is measured again. With
--again some cases are measured anew at another commit; the others keep the name of theirs.
"""
from lab import results

# What must be equal for figures to stand in one report.
SAME = ("cpu", "processors", "memory_mb", "kernel", "build", "commit", "peers")


def is_whole(case):
    return not case.get("skipped") and len(case.get("runs", [])) > 0 and not case.get("broken_off")


def differences(earlier, machine, runs, same=SAME):
    """Why the two may not be put together, in words; empty when they may."""
    found = [f"{key} was {earlier['machine'].get(key)}, now it is {machine.get(key)}"
             for key in same if earlier["machine"].get(key) != machine.get(key)]
    if earlier["runs"] != runs:
        found.append(f"runs was {earlier['runs']}, now it is {runs}")
    return found


def load(path, option, machine, runs, same):
    try:
        earlier = results.load(path)
    except results.Unreadable as error:
        raise ValueError(f"{option}: no run to go on with: {error}") from None
    different = differences(earlier, machine, runs, same)
    if different:
        raise ValueError(f"{option}: the earlier run is of something else: " + "; ".join(different))
    return earlier


def kept(path, machine, runs):
    """The earlier run's results; ValueError when there are none, or they are of something else."""
    return load(path, "--resume", machine, runs, SAME)


def kept_of_any_commit(path, machine, runs):
    """The same, of whatever commit: each case says of which."""
    earlier = load(path, "--again", machine, runs, [key for key in SAME if key != "commit"])
    commit = earlier["machine"]["commit"]
    return earlier | {"cases": [{"commit": commit} | case for case in earlier["cases"]]}


def merged(found, earlier):
    """`found` with the earlier run's whole cases where it has none, in the order of `found`; those it does not know
    come last, measured or not."""
    before = {(case["suite"], case["name"]): case for case in earlier["cases"]}
    cases = []
    for case in found["cases"]:
        other = before.pop((case["suite"], case["name"]), case)
        cases.append(other if is_whole(other) and not is_whole(case) else case)
    cases += before.values()
    problems = list(dict.fromkeys(earlier["problems"] + found["problems"]))
    return found | {"created": earlier["created"], "seconds": round(earlier["seconds"] + found["seconds"], 1),
                    "sittings": earlier.get("sittings", 1) + 1, "cases": cases, "problems": problems}


def renewed(found, earlier):
    """The earlier run with the whole cases of `found` in place of its own, and `found`'s description."""
    new = {(case["suite"], case["name"]): case for case in found["cases"] if is_whole(case)}
    cases = [new.pop((case["suite"], case["name"]), case) for case in earlier["cases"]]
    problems = list(dict.fromkeys(earlier["problems"] + found["problems"]))
    return earlier | {key: found[key] for key in ("created", "machine", "interrupted", "missing")} | {
        "seconds": round(earlier["seconds"] + found["seconds"], 1), "sittings": earlier.get("sittings", 1) + 1,
        "cases": cases + list(new.values()), "problems": problems}


def older_commits(found):
    """{commit: the ids of the cases that were measured at it}, for those of other commits than the run's."""
    older = {}
    for case in found["cases"]:
        if is_whole(case) and case.get("commit", found["machine"]["commit"]) != found["machine"]["commit"]:
            older.setdefault(case["commit"], []).append(f"{case['suite']}/{case['name']}")
    return older
