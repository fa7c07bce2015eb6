"""Lower bounds of what each heap costs, after Cai, Blackburn, Bond and Maas (ISPASS 2022).

What a program costs without any memory management cannot be measured. An upper bound of it can: the least, over all
heaps, of the total cost minus the part that surely belongs to the heap. Every heap's total divided by that is a lower
bound of its overhead, as the true divisor is at most that large. Here

- the total is the median of the measured runs, of wall or of processor time of the whole process;
- what surely belongs to the heap is what peers.collector_cost() finds in the account of one more run with tracing on,
  taken as a part of that run's own total: for wall time the pauses, for processor time what the collector says it
  used. Heaps without a collector, and costs of allocation and barriers, subtract nothing. tricolor never stops all
  threads, so its wall time subtracts nothing either;
- heaps are compared within a language alone, as a compiler is no part of a heap. A group of one heap would be
  compared with itself: it is given, and means nothing more than its collector's own account.
"""
from lab import peers, stats

KINDS = (("wall s", "wall_s"), ("cpu s", "cpu_s"))


def label_of(row, figure):
    """Whole processes are compared, as a collector's log tells of the whole process; replays have no such figure."""
    return f"process {figure}" if f"process {figure}" in row["figures"] else figure


def surely(traced, part):
    """The part of the total that the collector's account claims, between 0 and 1."""
    if not traced or not traced.get(part):
        return 0.0
    return min(0.95, max(0.0, traced["collector"][part] / traced[part]))


def distilled(rows, traced, figure, part):
    """The least of total minus the collector's part: (seconds, whose). `rows` are of one language."""
    candidates = []
    for row in rows:
        if figure not in row["figures"]:
            continue
        total = row["figures"][label_of(row, figure)]["median"]
        key = row["peer"] if row["x"] is None else f"{row['peer']}@{row['x']:g}"
        candidates.append((total * (1 - surely(traced.get(key), part)), key))
    return min(candidates) if candidates else None


def of_case(case):
    """[{figure, language, peer, x, overhead, low, high, distilled_s, distilled_from}], overhead 0.07 for 7%."""
    known = {peer.name: peer for peer in peers.ALL}
    rows = [row for row in case.get("summary", []) if row["peer"] in known and row["runs"]]
    found = []
    for language in dict.fromkeys(known[row["peer"]].language for row in rows):
        group = [row for row in rows if known[row["peer"]].language == language]
        for figure, part in KINDS:
            least = distilled(group, case.get("traced", {}), figure, part)
            if not least or least[0] <= 0:
                continue
            for row in group:
                if figure not in row["figures"]:
                    continue
                value = row["figures"][label_of(row, figure)]
                found.append({"figure": figure, "language": language, "peer": row["peer"], "title": row["title"],
                              "x": row["x"], "overhead": value["median"] / least[0] - 1,
                              "low": value["low"] / least[0] - 1, "high": value["high"] / least[0] - 1,
                              "distilled_s": least[0], "distilled_from": least[1], "heaps": len(group)})
    return found


def of_results(results):
    """By case id, for the suites in which whole programs run."""
    return {f"{case['suite']}/{case['name']}": of_case(case) for case in results["cases"]
            if case["suite"] in ("programs", "curve", "traces") and "summary" in case}


def means(results, suite="programs"):
    """The geometric mean over a suite's cases: {(peer, figure): (1.07 for 7%, cases)}."""
    values = {}
    for case in results["cases"]:
        if case["suite"] != suite or "summary" not in case:
            continue
        for row in of_case(case):
            if row["x"] is None:
                values.setdefault((row["peer"], row["figure"]), []).append(1 + row["overhead"])
    return {key: (stats.geometric_mean(all_of), len(all_of)) for key, all_of in values.items()}
