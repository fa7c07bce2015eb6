"""The pictures of the page, each as SVG text, or None where there is nothing to draw."""
import io
import math

from lab import compare, heap_plot
from lab.gctrace import Cycle

COLORS = {
    "tricolor": "#1f5f99", "boehm": "#b0722e", "malloc": "#6f7680", "mimalloc": "#9a8fb5", "jemalloc": "#b58f9f",
    "shared": "#8a7a52", "arena": "#b9bec4", "go": "#2b8f84", "java-g1": "#a2465b", "java-parallel": "#c07c8b",
    "java-zgc": "#7d3f98", "java-shenandoah": "#b48ac9", "limit": "#c9c9c9", "mutex": "#8a7a52",
    "make": "#7f9fbf",
}
BETTER, WORSE, EVEN = "#2f7f6f", "#b4532a", "#8a9099"


def available():
    try:
        import matplotlib  # noqa: F401
        return True
    except ImportError:
        return False


def pyplot():
    import matplotlib
    matplotlib.use("Agg")
    from matplotlib import pyplot as plt
    plt.rcParams.update({
        "svg.fonttype": "none", "svg.hashsalt": "tricolor", "font.family": "sans-serif", "font.size": 9,
        "axes.spines.top": False, "axes.spines.right": False, "axes.edgecolor": "#b5bac0",
        "axes.labelcolor": "#444b52", "xtick.color": "#5a6068", "ytick.color": "#5a6068", "axes.titlesize": 10,
        "axes.titlelocation": "left", "axes.titlecolor": "#2a2f35", "axes.grid": True, "grid.color": "#eceef0",
        "axes.axisbelow": True, "legend.frameon": False, "legend.fontsize": 8, "figure.dpi": 96,
    })
    return plt


def svg(plt, figure):
    buffer = io.StringIO()
    figure.tight_layout()
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    plt.close(figure)
    text = buffer.getvalue()
    return text[text.index("<svg"):]


def plain_log(axis, ticks=None):
    """Numbers instead of powers at a logarithmic axis."""
    from matplotlib import ticker
    if ticks:
        axis.set_major_locator(ticker.FixedLocator(ticks))
    axis.set_major_formatter(ticker.FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(ticker.NullFormatter())


def line_of(row):
    return {"color": COLORS.get(row["peer"], "#999999"), "linewidth": 2.2 if row["peer"] == "tricolor" else 1.3,
            "zorder": 3 if row["peer"] == "tricolor" else 2, "label": row["title"]}


RATIO_TICKS = (0.05, 0.1, 0.2, 0.33, 0.5, 0.67, 1, 1.5, 2, 3, 5, 10, 20)


def ratio_panel(axes, entries, title):
    """entries: (label, ratio, low, high). A logarithmic axis with 1 in it; left of it tricolor needs less."""
    for place, (_, ratio, low, high) in enumerate(entries):
        color = BETTER if high < 1 else WORSE if low > 1 else EVEN
        axes.barh(place, ratio - 1, left=1, height=0.55, color=color, alpha=0.75)
        axes.plot([low, high], [place, place], color="#2a2f35", linewidth=1.1)
    values = [value for entry in entries for value in entry[1:]]
    axes.set_xscale("log")
    low, high = min([*values, 0.8]) / 1.15, max([*values, 1.25]) * 1.15
    axes.set_xlim(low, high)
    ticks = [1]
    for tick in [tick for tick in RATIO_TICKS if low <= tick <= high]:
        if all(abs(math.log(tick / other)) > math.log(high / low) / 8 for other in ticks):
            ticks.append(tick)
    plain_log(axes.xaxis, ticks)
    axes.axvline(1, color="#2a2f35", linewidth=0.9)
    axes.set_yticks(range(len(entries)), [entry[0] for entry in entries])
    axes.set_ylim(len(entries) - 0.4, -0.6)
    axes.grid(axis="y", visible=False)
    axes.set_title(title)


def ratio_bars(case):
    """Of one case: a panel a figure, a bar a peer, with the interval."""
    entries = [entry for entry in compare.comparisons(case) if entry["x"] is None]
    figures = [figure for figure in case["main"] if any(entry["figure"] == figure for entry in entries)][:4]
    if not figures:
        return None
    plt = pyplot()
    most = max(sum(entry["figure"] == figure for entry in entries) for figure in figures)
    figure_, grid = plt.subplots(1, len(figures), figsize=(3.7 * len(figures), 0.7 + 0.27 * most), squeeze=False)
    for axes, figure in zip(grid[0], figures):
        ratio_panel(axes, [(e["title"], e["ratio"], e["low"], e["high"]) for e in entries if e["figure"] == figure],
                    f"{figure}: tricolor / other")
    return svg(plt, figure_)


def overall_bars(results):
    """Geometric means over the programs; the thin line spans the least and the greatest ratio of single ones."""
    means = compare.overall(results)
    ranges = {}
    for entry in compare.all_comparisons(results):
        if entry["case"].startswith("programs/") and entry["x"] is None:
            ranges.setdefault((entry["title"], entry["figure"]), []).append(entry["ratio"])
    panels = [figure for figure in ("wall s", "cpu s", "peak MB") if any(key[1] == figure for key in means)]
    if not panels:
        return None
    plt = pyplot()
    most = max(sum(key[1] == figure for key in means) for figure in panels)
    figure_, grid = plt.subplots(1, len(panels), figsize=(3.9 * len(panels), 0.8 + 0.3 * most), squeeze=False)
    for axes, figure in zip(grid[0], panels):
        ratio_panel(axes, [(title, mean, min(ranges[title, label]), max(ranges[title, label]))
                           for (title, label), (mean, _) in means.items() if label == figure],
                    f"{figure}: tricolor / other")
    return svg(plt, figure_)


def latency_curves(case):
    """Latency by percentile, on an axis where each nine takes the same room."""
    rows = [row for row in case["summary"] if row["latency"] and row["x"] is None]
    if not rows:
        return None
    plt = pyplot()
    figure, axes = plt.subplots(figsize=(9.6, 3.4))
    far = 0.99
    for row in rows:
        points = [(1 - min(percent, 99.99999) / 100, max(value, 1e-3)) for percent, value in row["latency"]
                  if percent < 100]
        if points:
            axes.plot([1 / max(rest, 1e-7) for rest, _ in points], [value for _, value in points], **line_of(row))
            far = max(far, 1 / max(points[-1][0], 1e-7))
    ticks = [(1 / (1 - part), f"{part * 100:g}%") for part in (0.0, 0.5, 0.9, 0.99, 0.999, 0.9999, 0.99999, 0.999999)]
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xticks([x for x, _ in ticks if x <= far * 1.01], [text for x, text in ticks if x <= far * 1.01])
    axes.minorticks_off()
    plain_log(axes.yaxis)
    axes.set_ylabel("us")
    axes.set_xlabel("percentile")
    axes.set_title("latency: how long the slowest took")
    axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5))
    return svg(plt, figure)


def utilisation(case):
    """Minimum mutator utilisation by the length of the window."""
    lines = []
    for row in case["summary"]:
        points = sorted((float(label.split()[1]), value["median"]) for label, value in row["figures"].items()
                        if label.startswith("mmu "))
        if points and row["x"] is None:
            lines.append((row, points))
    if not lines:
        return None
    plt = pyplot()
    figure, axes = plt.subplots(figsize=(6.6, 3))
    for row, points in lines:
        axes.plot([x for x, _ in points], [y * 100 for _, y in points], marker="o", markersize=3.5, **line_of(row))
    axes.set_xscale("log")
    plain_log(axes.xaxis, [x for x, _ in lines[0][1]])
    axes.set_ylim(-3, 103)
    axes.set_xlabel("window, ms")
    axes.set_ylabel("% left to the program")
    axes.set_title("minimum mutator utilisation")
    axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5))
    return svg(plt, figure)


def by_x(case):
    """{peer: rows in the order of x}, and the rows without a place."""
    placed = {}
    for row in case["summary"]:
        if row["x"] is not None:
            placed.setdefault(row["peer"], []).append(row)
    return ({peer: sorted(rows, key=lambda row: row["x"]) for peer, rows in placed.items()},
            [row for row in case["summary"] if row["x"] is None])


def curves(case):
    """The main figures over x; for time against space one more panel over the peak of memory."""
    placed, fixed = by_x(case)
    panels = [(figure, case["x_label"], lambda row: row["x"]) for figure in case["main"]
              if any(figure in row["figures"] for row in case["summary"])]
    if case["suite"] == "curve" and any("peak MB" in row["figures"] for row in case["summary"]):
        panels = panels[:2] + [("wall s", "peak MB", lambda row: row["figures"]["peak MB"]["median"])]
    if not placed or not panels:
        return None
    plt = pyplot()
    figure_, grid = plt.subplots(1, len(panels), figsize=(4.1 * len(panels), 3.3), squeeze=False)
    for axes, (figure, label, place) in zip(grid[0], panels):
        for rows in placed.values():
            rows = [row for row in rows if figure in row["figures"]]
            if rows:
                values = [row["figures"][figure] for row in rows]
                xs = [place(row) for row in rows]
                errors = [[v["median"] - v["low"] for v in values], [v["high"] - v["median"] for v in values]]
                axes.errorbar(xs, [v["median"] for v in values], yerr=errors, marker="o", markersize=3.5,
                              elinewidth=0.9, **line_of(rows[0]))
        for row in fixed:
            if figure not in row["figures"]:
                continue
            if label == "peak MB":
                axes.plot([place(row)], [row["figures"][figure]["median"]], marker="D", markersize=5,
                          **{**line_of(row), "linewidth": 0})
            else:
                axes.axhline(row["figures"][figure]["median"], linestyle=":", **line_of(row))
        if label == "peak MB":
            axes.set_xlim(left=0)
        else:
            axes.set_xscale("log")
            plain_log(axes.xaxis, sorted({row["x"] for rows in placed.values() for row in rows}))
        axes.set_ylim(bottom=0)
        axes.set_xlabel(label)
        axes.set_title(figure)
    grid[0][-1].legend(loc="center left", bbox_to_anchor=(1.01, 0.5))
    return svg(plt, figure_)


def heaps_over_time(case):
    """The heap over time of those that told of it."""
    told = [(row, case["traced"][row["peer"]]["heap"]) for row in case["summary"]
            if row["x"] is None and case.get("traced", {}).get(row["peer"], {}).get("heap")]
    if not told:
        return None
    plt = pyplot()
    figure, grid = plt.subplots(1, len(told), figsize=(4.6 * len(told), 2.7), squeeze=False)
    for axes, (row, heap) in zip(grid[0], told):
        cycles = [Cycle(0, at, 0, (0, (finished - at) * 1000, 0), (0,) * 5, start, end, live, goal, 0, 0, 1, False)
                  for at, finished, start, end, live, goal in heap]
        heap_plot.draw(axes, cycles, COLORS.get(row["peer"], "#999999"))
        axes.set_title(f"heap of {row['title']}")
        axes.legend(ncols=3)
    return svg(plt, figure)


def overhead_bars(table):
    """Of {(peer title, figure): (factor, cases)}: percent above the distilled cost."""
    if not table:
        return None
    plt = pyplot()
    figures = list(dict.fromkeys(figure for _, figure in table))
    figure_, grid = plt.subplots(1, len(figures), figsize=(4.6 * len(figures), 0.8 + 0.3 * max(
        sum(key[1] == figure for key in table) for figure in figures)), squeeze=False)
    for axes, figure in zip(grid[0], figures):
        rows = sorted(((factor, name) for (name, label), (factor, _) in table.items() if label == figure))
        axes.barh(range(len(rows)), [(factor - 1) * 100 for factor, _ in rows], height=0.55, alpha=0.85,
                  color=[COLORS["tricolor"] if name == "tricolor" else "#a9b1ba" for _, name in rows])
        axes.set_yticks(range(len(rows)), [name for _, name in rows])
        axes.invert_yaxis()
        axes.grid(axis="y", visible=False)
        axes.set_xlabel("% above the lower bound")
        axes.set_title(figure)
    return svg(plt, figure_)
