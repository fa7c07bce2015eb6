"""tricolor against each of the others: ratios with intervals, and which of them are losses.

A ratio is tricolor's figure through the other's, turned around where more is better: below 1, tricolor needs less.
"""
from lab import stats
from lab.case import higher_is_better

SUBJECT = "tricolor"
NO_RIVALS = (SUBJECT, "limit")  # clearing memory alone is a limit
EVEN = 0.01  # a difference of a hundredth is none


def values(case, peer, x, figure):
    return [run["figures"][figure] for run in case["runs"]
            if run["peer"] == peer and run["x"] == x and figure in run["figures"]]


def main_figures(case):
    """The figures that tables show: the case's own choice, or all of them."""
    if case["main"]:
        return list(case["main"])
    return list(dict.fromkeys(label for row in case.get("summary", []) for label in row["figures"]))


def row_of(case, peer, x=None):
    return next((row for row in case.get("summary", []) if row["peer"] == peer and row["x"] == x), None)


_known = {}  # by id of a case, which is kept with it so that the id stays its own


def comparisons(case):
    """[{case, peer, title, x, figure, ratio, low, high, verdict}]; verdict: less, more or even."""
    if id(case) not in _known:
        _known[id(case)] = (case, _compare(case))
    return _known[id(case)][1]


def _compare(case):
    found = []
    for row in case.get("summary", []):
        if row["peer"] in NO_RIVALS:
            continue
        for figure in main_figures(case):
            ours, theirs = values(case, SUBJECT, row["x"], figure), values(case, row["peer"], row["x"], figure)
            if not ours or not theirs:
                continue
            pair = (theirs, ours) if higher_is_better(figure) else (ours, theirs)
            ratio = stats.ratio_interval(*pair)
            if ratio is None:
                continue
            alone = min(len(ours), len(theirs)) < 2  # one run is no evidence
            verdict = "even" if alone else "less" if ratio[2] < 1 - EVEN else "more" if ratio[1] > 1 + EVEN else "even"
            found.append({"case": f"{case['suite']}/{case['name']}", "peer": row["peer"],
                          "title": row["title"], "x": row["x"], "figure": figure, "ratio": ratio[0],
                          "low": ratio[1], "high": ratio[2], "verdict": verdict})
    return found


def all_comparisons(results):
    return [entry for case in results["cases"] if "runs" in case for entry in comparisons(case)]


def losses(results):
    """Where tricolor needs more than somebody else, and its interval says so, the worst first."""
    return sorted((entry for entry in all_comparisons(results) if entry["verdict"] == "more"),
                  key=lambda entry: -entry["ratio"])


def overall(results, suite="programs"):
    """{(peer title, figure): (geometric mean of the ratios, cases)} of the three figures that all programs have."""
    ratios = {}
    for case in results["cases"]:
        if case["suite"] != suite or "runs" not in case:
            continue
        for entry in comparisons(case):
            if entry["x"] is None and entry["figure"] in ("wall s", "cpu s", "peak MB"):
                ratios.setdefault((entry["title"], entry["figure"]), []).append(entry["ratio"])
    return {key: (stats.geometric_mean(all_of), len(all_of)) for key, all_of in ratios.items()}


def failures(results):
    """[(case id, record)] of every failed run."""
    return [(f"{case['suite']}/{case['name']}", run) for case in results["cases"] for run in case.get("runs", [])
            if run["failure"]]


def mismatches(results):
    return [(f"{case['suite']}/{case['name']}", text) for case in results["cases"]
            for text in case.get("mismatch", [])]


def machine_part(results):
    """What the control threads saw over all runs, and who else used the processors."""
    costs = [run["cost"] for case in results["cases"] for run in case.get("runs", [])]
    watched = sum(cost["control"]["watched_s"] for cost in costs)
    wall = sum(cost["wall_s"] for cost in costs)
    own = sum(cost["user_s"] + cost["system_s"] for cost in costs)
    busy = sum(cost["machine_busy_s"] for cost in costs)
    count = results["machine"]["processors"]
    return {
        "gaps_per_s": sum(cost["control"]["gaps"] for cost in costs) / watched if watched else 0.0,
        "lost_share": sum(cost["control"]["lost_s"] for cost in costs) / watched if watched else 0.0,
        "longest_us": max((cost["control"]["longest_us"] for cost in costs), default=0.0),
        "steal_share": sum(cost["machine_steal_s"] for cost in costs) / (wall * count) if wall else 0.0,
        # The control thread's own time is not somebody else's.
        "others_share": max(0.0, busy - own - watched) / (wall * count) if wall else 0.0,
        "runs": len(costs), "wall_s": wall,
    }


def machine_sentence(results):
    part = machine_part(results)
    longest_ms = part["longest_us"] / 1000
    control = (f"the control thread missed {part['lost_share']:.2%} of the time it watched, in "
               f"{part['gaps_per_s']:.0f} gaps of more than 10 us a second, the longest {longest_ms:.1f} ms"
               if part["gaps_per_s"] or part["lost_share"] else "the control thread saw no gap")
    return (f"During {part['runs']} runs ({part['wall_s']:.0f} s) {control}; other processes used "
            f"{part['others_share']:.1%} of the processors, and the host took {part['steal_share']:.1%}.")
