"""The tables of all reports as titles, headers and rows: the terminal, RESULTS.md and the page have the same."""
import dataclasses

from lab import compare, overhead, peers
from lab.case import higher_is_better


@dataclasses.dataclass
class Table:
    title: str
    header: list
    rows: list
    note: str = ""


def number(value):
    """Three significant digits, without an exponent."""
    if value == 0:
        return "0"
    size = abs(value)
    if size >= 100:
        return f"{value:,.0f}"
    digits = 1 if size >= 10 else 2 if size >= 1 else 3 if size >= 0.1 else 4
    return f"{value:.{digits}f}"


def ratio(value):
    return f"x{number(value)}"


def percent(value):
    return f"{value:+.1%}" if abs(value) < 0.1 else f"{value:+.0%}"


def with_interval(figure):
    return f"{number(figure['median'])} [{number(figure['low'])} .. {number(figure['high'])}]"


def measured(results, *suites):
    return [case for case in results["cases"] if case["suite"] in suites and case.get("summary")]


def titles_of(cases):
    """Peers in the order of peers.ALL, then what is none, by name: {name: title}."""
    seen = {row["peer"]: row["title"] for case in cases for row in case["summary"]}
    order = [peer.name for peer in peers.ALL if peer.name in seen]
    return {name: seen[name] for name in order + [name for name in seen if name not in order]}


def cell(case, row, figure):
    """The median, and behind it tricolor's ratio to it; a star where single runs failed, "failed" where all did."""
    if row is None:
        return ""
    if figure not in row["figures"]:
        return "failed" if row["failed"] and not row["runs"] else ""
    text = number(row["figures"][figure]["median"]) + "*" * bool(row["failed"])
    found = [entry for entry in compare.comparisons(case)
             if entry["peer"] == row["peer"] and entry["figure"] == figure and entry["x"] == row["x"]]
    return f"{text} ({ratio(found[0]['ratio'])})" if found else text


def matrix(results, suite, figure, title):
    """Cases down, peers across."""
    cases = [case for case in measured(results, suite) if figure in compare.main_figures(case)
             and any(figure in row["figures"] or row["failed"] for row in case["summary"])]
    if not cases:
        return None
    titles = titles_of(cases)
    rows = [[case["name"]] + [cell(case, compare.row_of(case, name), figure) for name in titles] for case in cases]
    more = "more" if higher_is_better(figure) else "less"
    return Table(f"{title}: {figure}", ["", *titles.values()], rows,
                 f"Medians; {more} is better. In brackets tricolor's ratio to it: below 1, tricolor is better.")


def figure_table(case):
    """One case in full: peers down, figures across, with intervals."""
    figures = compare.main_figures(case)
    if len(figures) > 6 or not case["main"]:
        rows = []
        titles = titles_of([case])
        for figure in figures:
            rows.append([figure] + [cell(case, compare.row_of(case, name), figure) for name in titles])
        return Table(case["title"], ["", *titles.values()], rows)
    rows = []
    for row in case["summary"]:
        place = [] if case["x_label"] is None else ["" if row["x"] is None else number(row["x"])]
        values = [with_interval(row["figures"][figure]) if figure in row["figures"] else
                  ("failed" if row["failed"] else "") for figure in figures]
        failed = f"{row['failed']} failed" if row["failed"] else ""
        rows.append([row["title"], *place, *values, failed])
    place = [] if case["x_label"] is None else [case["x_label"]]
    return Table(case["title"], ["", *place, *figures, ""], rows, "Medians with the bootstrap's 95% interval.")


def losses(results, most=None):
    """`most`: so many rows at most."""
    every = compare.losses(results)
    rows = [[entry["case"] + ("" if entry["x"] is None else f" at {number(entry['x'])}"), entry["figure"],
             entry["title"], ratio(entry["ratio"]), f"{ratio(entry['low'])} .. {ratio(entry['high'])}"]
            for entry in every[:most]]
    return Table("Where tricolor loses", ["", "figure", "against", "ratio", "95% interval"], rows,
                 f"Every comparison whose whole interval is on the wrong side, {len(every)} in all, the worst first"
                 + (f"; here the first {most}." if most and len(every) > most else "."))


def balance(results):
    """How often tricolor is better, even, worse, for each peer."""
    counts = {}
    for entry in compare.all_comparisons(results):
        counts.setdefault(entry["title"], {"less": 0, "even": 0, "more": 0})[entry["verdict"]] += 1
    means = compare.overall(results)
    rows = []
    for title, count in counts.items():
        row = [title, str(count["less"]), str(count["even"]), str(count["more"])]
        for figure in ("wall s", "cpu s", "peak MB"):
            mean = means.get((title, figure))
            row.append(f"{ratio(mean[0])} of {mean[1]}" if mean else "")
        rows.append(row)
    return Table("tricolor against each", ["", "better", "even", "worse", "wall s", "cpu s", "peak MB"], rows,
                 "Comparisons of all suites by their intervals; then tricolor's ratio in the programs, as the "
                 "geometric mean over so many of them: below 1, tricolor needs less.")


def overheads(results):
    means = overhead.means(results)
    names = list(dict.fromkeys(peer for peer, _ in means))
    rows = []
    for name in [peer.name for peer in peers.ALL if peer.name in names]:
        row = [peers.by_name(name).title, peers.by_name(name).language]
        for figure in ("wall s", "cpu s"):
            mean = means.get((name, figure))
            row.append(f"{percent(mean[0] - 1)} of {mean[1]}" if mean else "")
        rows.append(row)
    return Table("Lower bounds of the overhead", ["", "among", "wall", "CPU"], rows,
                 "Against the cheapest heap of the same language less what its collector surely cost; the geometric "
                 "mean over so many programs. A lower bound, at each one's own default heap size.")


def curve_overheads(results):
    """The same with equal multiples of the smallest heap."""
    rows = []
    for case in measured(results, "curve"):
        for entry in results.get("overhead", {}).get(f"curve/{case['name']}", []):
            if entry["x"] is not None and entry["figure"] == "wall s":
                cpu = next((other for other in results["overhead"][f"curve/{case['name']}"]
                            if other["figure"] == "cpu s" and other["peer"] == entry["peer"]
                            and other["x"] == entry["x"]), None)
                rows.append([case["name"], entry["title"], number(entry["x"]), percent(entry["overhead"]),
                             percent(cpu["overhead"]) if cpu else ""])
    return Table("Lower bounds of the overhead at equal multiples of the smallest heap",
                 ["", "heap", "x smallest", "wall", "CPU"], rows)


def minima(results):
    cases = [case for case in measured(results, "curve") if case.get("minimum_mb")]
    names = list(dict.fromkeys(name for case in cases for name in case["minimum_mb"]))
    rows = [[case["name"]] + [number(case["minimum_mb"][name]) if name in case["minimum_mb"] else ""
                              for name in names] for case in cases]
    return Table("Smallest heap in MB", ["", *[peers.by_name(name).title for name in names]], rows)


def decode_shares(results):
    """The replayer's own part of each trace's processor time, against its bound of a fifth."""
    cases = [case for case in measured(results, "traces")
             if any("decode share" in row["figures"] for row in case["summary"])]
    titles = titles_of(cases)
    rows = []
    for case in cases:
        rows.append([case["name"]])
        for name in titles:
            row = compare.row_of(case, name)
            share = row["figures"].get("decode share") if row else None
            rows[-1].append(f"{share['median']:.0%}" + " (beyond 20%)" * (share["median"] > 0.2) if share else "")
    return Table("The replayer's own part of the processor time", ["", *titles.values()], rows)


def missing(results):
    rows = [[entry["peer"], entry["why"], f"apt-get install {entry['package']}" if entry["package"] else ""]
            for entry in results["missing"]]
    return Table("Not compared", ["", "why", "what brings it"], rows)


def skipped(results):
    rows = [[f"{case['suite']}/{case['name']}", case["skipped"]] for case in results["cases"] if "skipped" in case]
    rows += [[f"{case['suite']}/{case['name']}", note] for case in results["cases"] for note in case.get("notes", [])]
    rows += [["", problem] for problem in results["problems"]]
    if results["interrupted"]:
        rows.append(["", "the run was interrupted"])
    return Table("Left out, and notes", ["", "why"], rows)


LATENCIES = ("latency p99.9 us", "latency p99.99 us", "latency max us")


def overview(results, most_losses=None):
    """The tables of the terminal and of RESULTS.md, without empty ones, in order."""
    tables = []
    for suite, title, figures in (("programs", "Programs", ("wall s", "cpu s", "peak MB", *LATENCIES)),
                                  ("traces", "Traces", ("wall s", "cpu s", "peak MB", "longest stall us")),
                                  ("micro", "Marking", ("wall ns/object", "cpu ns/object"))):
        tables += [matrix(results, suite, figure, title) for figure in figures]
    tables += [figure_table(case) for case in measured(results, "micro") if not case["main"]]
    tables += [minima(results)]
    tables += [figure_table(case) for case in measured(results, "curve", "scaling")]
    tables += [decode_shares(results), overheads(results), curve_overheads(results), balance(results),
               losses(results, most_losses), skipped(results), missing(results)]
    return [table for table in tables if table and (table.rows or table.title == "Where tricolor loses")]
