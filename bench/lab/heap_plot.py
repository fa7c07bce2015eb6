"""Draws the heap over time from the cycles of a trace: as a line of text, or as a picture with matplotlib."""

BLOCKS = "▁▂▃▄▅▆▇█"
ASCII = "_.-=*%#@"


def heap_points(cycles):
    """The heap's size over time, as far as known: it grows to the end of marking and falls to what is live."""
    points = []
    for cycle in cycles:
        points += [(cycle.at, cycle.start), (cycle.finished, cycle.end), (cycle.finished, cycle.live)]
    return points


def sparkline(times, values, width=64, characters=BLOCKS, greatest=None):
    """One character an interval of time: the greatest value in it; a gap where it has none repeats the last."""
    if not values:
        return ""
    first, length = times[0], max(times[-1] - times[0], 1e-9)
    columns = [None] * width
    for time, value in zip(times, values):
        column = min(width - 1, int((time - first) / length * width))
        columns[column] = value if columns[column] is None else max(columns[column], value)
    top = greatest or max(values) or 1
    text, last = "", values[0]
    for value in columns:
        last = last if value is None else value
        text += characters[min(len(characters) - 1, int(last / top * len(characters)))]
    return text


def text_plot(cycles, encoding="utf-8", width=64):
    """Two lines, drawn to one scale."""
    characters = BLOCKS if "utf" in encoding.lower() else ASCII
    times = [cycle.at for cycle in cycles]
    heap = [max(cycle.start, cycle.end) for cycle in cycles]
    live = [cycle.live for cycle in cycles]
    top = max(max(heap), 1)
    return (f"  heap {sparkline(times, heap, width, characters, top)} at most {max(heap)} MB\n"
            f"  live {sparkline(times, live, width, characters, top)} at most {max(live)} MB")


def draw(axes, cycles, color, label="heap"):
    """The heap, what is live and the goal on matplotlib's axes."""
    points = heap_points(cycles)
    axes.plot([x for x, _ in points], [y for _, y in points], color=color, linewidth=0.9, label=label)
    axes.plot([c.finished for c in cycles], [c.live for c in cycles], color=color, linewidth=1.6, alpha=0.45,
              label="live")
    axes.step([c.at for c in cycles], [c.goal for c in cycles], where="post", color="#9a9a9a", linewidth=0.8,
              linestyle="--", label="goal")
    axes.set_xlabel("seconds since the process began")
    axes.set_ylabel("MB")
    axes.set_ylim(bottom=0)


def save(processes, path, title):
    """A picture with the processes below each other; the file's suffix says which kind. ImportError without
    matplotlib, ValueError for a kind it does not know."""
    import matplotlib
    matplotlib.use("Agg")
    from matplotlib import pyplot
    processes = processes[:8]
    figure, grid = pyplot.subplots(len(processes), 1, figsize=(9, 3.4 * len(processes)), squeeze=False)
    for number, (axes, process) in enumerate(zip(grid[:, 0], processes), 1):
        draw(axes, process.cycles, "#2b6ca3")
        axes.set_title(title if len(processes) == 1 else f"{title}, process {number}", loc="left", fontsize=10)
        axes.grid(color="#e6e6e6", linewidth=0.6)
        axes.legend(frameon=False, fontsize=8, loc="upper left", ncols=3)
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
    figure.tight_layout()
    figure.savefig(path)
    pyplot.close(figure)
