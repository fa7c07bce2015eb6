"""The page: one file that needs nothing else, with every table and the pictures in it."""
import base64
import html

from lab import compare, machine, overhead, peers, plots, sittings, tables
from lab.measure import failure_text
from lab.schedule import duration

STYLE = """
:root { color-scheme: light; }
body { font: 15px/1.55 system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; color: #2a2f35;
  background: #fbfbfa; margin: 0; }
main { max-width: 1080px; margin: 0 auto; padding: 2.2rem 1.4rem 5rem; }
h1 { font-size: 1.7rem; font-weight: 600; margin: 0 0 .3rem; }
h2 { font-size: 1.25rem; font-weight: 600; margin: 3rem 0 .7rem; padding-top: .8rem; border-top: 1px solid #e3e5e8; }
h3 { font-size: 1.02rem; font-weight: 600; margin: 2.1rem 0 .3rem; }
p, li { max-width: 76ch; }
.note { color: #6a7178; font-size: .88rem; margin: .25rem 0 .6rem; }
nav a { margin-right: 1.1em; }
a { color: #1f5f99; text-decoration: none; } a:hover { text-decoration: underline; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .86rem; margin: .4rem 0 .8rem; font-variant-numeric: tabular-nums; }
th, td { padding: .22rem .75rem .22rem 0; text-align: right; white-space: nowrap;
  border-bottom: 1px solid #eceef0; }
th { color: #5a6068; font-weight: 500; border-bottom-color: #cfd3d8; }
th:first-child, td:first-child { text-align: left; padding-right: 1.4rem; }
.words td, .words th { text-align: left; white-space: normal; }
tr.subject td { background: #eef4f9; }
img { max-width: 100%; height: auto; display: block; margin: .7rem 0; }
pre { background: #f3f4f5; padding: .7rem .9rem; overflow-x: auto; font-size: .82rem; }
.bad { background: #fbefe9; border-left: 3px solid #b4532a; padding: .6rem 1rem; margin: 1rem 0; }
details { margin: .5rem 0; } summary { cursor: pointer; color: #5a6068; font-size: .9rem; }
"""


def e(text):
    return html.escape(str(text))


def picture(svg, alt):
    if svg is None:
        return ""
    data = base64.b64encode(svg.encode()).decode()
    return f'<img alt="{e(alt)}" src="data:image/svg+xml;base64,{data}">\n'


def table(of, words=False, heading=None):
    """`words`: the cells are text rather than numbers."""
    if of is None:
        return ""
    title = f"<{heading}>{e(of.title)}</{heading}>\n" if heading else ""
    note = f'<p class="note">{e(of.note)}</p>\n' if of.note else ""
    if not of.rows:
        return title + note + "<p>Nowhere that the intervals would show.</p>\n"
    head = "".join(f"<th>{e(cell)}</th>" for cell in of.header)
    rows = "".join(f'<tr{_subject(row)}>' + "".join(f"<td>{e(cell)}</td>" for cell in row) + "</tr>\n"
                   for row in of.rows)
    kind = ' class="words"' if words else ""
    return f'{title}{note}<div class="scroll"><table{kind}>\n<tr>{head}</tr>\n{rows}</table></div>\n'


def _subject(row):
    return ' class="subject"' if row and row[0] == "tricolor" else ""


def problems(results):
    """What went wrong, before anything else is said."""
    parts = []
    for case, run in compare.failures(results):
        parts.append(f'<div class="bad"><b>{e(case)}: a run failed</b><pre>{e(failure_text(run))}</pre></div>')
    for case, text in compare.mismatches(results):
        parts.append(f'<div class="bad"><b>{e(case)}: results differ</b><p>{e(text)}</p></div>')
    if not parts:
        return ""
    return '<h2 id="failed">What failed</h2>\n' + "\n".join(parts)


def case_part(case, draw):
    parts = [f'<h3>{e(case["suite"])}/{e(case["name"])}</h3>']
    arguments = " ".join(case.get("arguments", []))
    parts.append(f'<p class="note">{e(case["title"])}{": " + e(arguments) if arguments else ""}</p>')
    if "skipped" in case:
        return parts[0] + f"<p>Left out: {e(case['skipped'])}.</p>\n"
    of = tables.figure_table(case)
    of.title = ""
    parts.append(table(of))
    if draw:
        kinds = ((plots.curves, "by place"),) if case["x_label"] else (
            (plots.ratio_bars, "ratios"), (plots.latency_curves, "latency by percentile"),
            (plots.utilisation, "minimum mutator utilisation"), (plots.heaps_over_time, "heap over time"))
        parts += [picture(make(case), f"{case['name']}: {what}") for make, what in kinds]
    failed = [run for run in case["runs"] if run["failure"]]
    if failed:
        parts.append(f'<p class="bad">{len(failed)} of {len(case["runs"])} runs failed; see above.</p>')
    parts += [f'<p class="note">{e(note)}</p>' for note in case.get("notes", [])]
    commands = "\n".join(f"{point['peer']}{'' if point['x'] is None else ' ' + format(point['x'], 'g')}: "
                         + " ".join([f"{key}={value}" for key, value in point["environment"].items()]
                                    + point["command"]) for point in case["points"])
    parts.append(f"<details><summary>commands</summary><pre>{e(commands)}</pre></details>")
    return "\n".join(part for part in parts if part) + "\n"


SECTIONS = (("programs", "Programs"), ("traces", "Traces of real programs"), ("curve", "Time against space"),
            ("scaling", "Scaling"), ("micro", "Single operations"))
HOW = """
<p>Every run is a fresh process; the contenders take turns forwards and backwards (A B B A), so that what the machine
does meanwhile hits all alike. Figures are medians; brackets hold the 95% interval of a percentile bootstrap of the
median, ratios have the interval of the ratio of two such medians. Wall and processor time of programs are their own,
from the first to the last operation; the peak of memory is the process's, the same way for every language. Collectors
run with their defaults, except on the curves, where each gets multiples of its own smallest heap. A control thread
looks at the clock for a twentieth of the time beside each run; a gap of more than 10 us is time that the machine, or
the program that fills it, took. Differing checksums and failed runs are named above and never left out.</p>
"""


def page(results):
    draw = plots.available()
    by_suite = {suite: [case for case in results["cases"] if case["suite"] == suite] for suite, _ in SECTIONS}
    links = [("summary", "Summary"), ("losses", "Where tricolor loses"), ("overhead", "Overhead")]
    links += [(suite, title) for suite, title in SECTIONS if by_suite[suite]] + [("about", "About this run")]
    failed = problems(results)
    if failed:
        links.insert(0, ("failed", "What failed"))
    means = {(peers.by_name(name).title, figure): value
             for (name, figure), value in overhead.means(results).items()}
    parts = [
        f"<h1>tricolor: benchmarks</h1>\n<p class='note'>{e(results['created'])}, {e(results['mode'])}, "
        f"{results['runs']} runs of each, {e(duration(results['seconds']))}</p>",
        "<nav>" + "".join(f'<a href="#{name}">{e(title)}</a>' for name, title in links) + "</nav>", failed,
        '<h2 id="summary">Summary</h2>', table(tables.balance(results)),
        picture(plots.overall_bars(results) if draw else None, "ratios over all programs"),
        '<p class="note">Bars: the geometric mean of tricolor\'s ratios in the programs, on the left where it needs '
        "less. Thin lines: from the least to the greatest ratio of a single program.</p>" if draw else "",
        "" if draw else "<p class='bad'>matplotlib is not installed: the page has no pictures "
                        "(apt-get install python3-matplotlib).</p>",
        '<h2 id="losses">Where tricolor loses</h2>', table(tables.losses(results)),
        '<h2 id="overhead">Lower bounds of the overhead</h2>', table(tables.overheads(results)),
        picture(plots.overhead_bars(means) if draw else None, "lower bounds of the overhead"),
        table(tables.curve_overheads(results), heading="h3") if by_suite["curve"] else "",
    ]
    for suite, title in SECTIONS:
        if by_suite[suite]:
            parts.append(f'<h2 id="{suite}">{e(title)}</h2>')
            if suite == "curve":
                parts.append(table(tables.minima(results), heading="h3"))
            if suite == "traces":
                parts.append(table(tables.decode_shares(results), heading="h3"))
            parts += [case_part(case, draw) for case in by_suite[suite]]
    versions = "".join(f"<li>{e(title)}: {e(version)}</li>" for title, version in results["machine"]["peers"].items())
    missing, skipped = tables.missing(results), tables.skipped(results)
    parts += [
        '<h2 id="about">About this run</h2>', f"<p>{e(machine.sentence(results['machine']))}.</p>",
        *[f"<p>Measured at {e(commit)}: {e(', '.join(cases))}.</p>"
          for commit, cases in sittings.older_commits(results).items()],
        f"<p>Peak memory: {e(results['peak_source'])}.</p><p>{e(compare.machine_sentence(results))}</p>",
        f"<ul>{versions}</ul>", table(missing, words=True, heading="h3") if missing.rows else "",
        table(skipped, words=True, heading="h3") if skipped.rows else "", "<h3>How it is measured</h3>", HOW,
    ]
    body = "\n".join(part for part in parts if part)
    return (f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>tricolor: benchmarks</title>\n'
            f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style></head>\n'
            f"<body><main>\n{body}\n</main></body></html>\n")
