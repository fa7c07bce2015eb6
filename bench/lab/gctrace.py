"""Reads the lines of GCTRACE and of Go's GODEBUG=gctrace=1 and says what they add up to.

Anything may stand between the lines (a program's own output, pacer and scavenger lines). A line that begins like one
of a cycle and cannot be read, because it was cut off or two processes wrote at once, is counted as broken.
"""
import dataclasses
import re
import statistics

NUMBER = r"(\d+(?:\.\d+)?)"
# A program's logger may have put a time or a name in front of a line.
CYCLE = re.compile(
    rf"\bgc (\d+) @{NUMBER}s (\d+)%: {NUMBER}\+{NUMBER}\+{NUMBER} ms clock, "
    rf"{NUMBER}\+{NUMBER}/{NUMBER}/{NUMBER}\+{NUMBER} ms cpu, "
    r"(\d+)->(\d+)->(\d+) MB, (\d+) MB goal(?:, (\d+) MB stacks, (\d+) MB globals)?, (\d+) P( \(forced\))?")
DETAIL = re.compile(r"\bgc (\d+) detail: (.*)")
PAIR = re.compile(rf"(\w+)={NUMBER}(?!\S)")
BEGINS = re.compile(r"\bgc \d+ @")


@dataclasses.dataclass
class Cycle:
    """One line. Times of the clock and of processors are ms, sizes MB, `at` seconds since the process began."""
    number: int
    at: float
    share: int
    clock: tuple  # entering, marking, termination
    cpu: tuple    # entering, assists, background, idle, termination
    start: int
    end: int
    live: int
    goal: int
    stacks: int
    roots: int
    processors: int
    forced: bool
    detail: dict = dataclasses.field(default_factory=dict)

    @property
    def seconds(self):
        return sum(self.clock) / 1000

    @property
    def finished(self):
        return self.at + self.seconds


@dataclasses.dataclass
class Process:
    """The cycles of one process, in order."""
    cycles: list = dataclasses.field(default_factory=list)


@dataclasses.dataclass
class Trace:
    processes: list = dataclasses.field(default_factory=list)
    lines: int = 0
    broken: int = 0

    @property
    def cycles(self):
        return [cycle for process in self.processes for cycle in process.cycles]


def parse_cycle(line):
    """The cycle that a line tells of, or None."""
    match = CYCLE.search(line)
    if not match:
        return None
    groups = match.groups()
    return Cycle(int(groups[0]), float(groups[1]), int(groups[2]), tuple(map(float, groups[3:6])),
                 tuple(map(float, groups[6:11])), *(int(group) for group in groups[11:15]),
                 int(groups[15] or 0), int(groups[16] or 0), int(groups[17]), groups[18] is not None)


class Parser:
    """Takes lines one after the other. A cycle number that is not greater than the last begins a new process."""

    def __init__(self):
        self.trace = Trace()

    def feed(self, line):
        """Gives the cycle when the line was one."""
        self.trace.lines += 1
        cycle = parse_cycle(line)
        processes = self.trace.processes
        if cycle:
            if not processes or cycle.number <= processes[-1].cycles[-1].number:
                processes.append(Process())
            processes[-1].cycles.append(cycle)
            return cycle
        detail = DETAIL.search(line)
        if detail:
            last = processes[-1].cycles[-1] if processes else None
            if last and last.number == int(detail.group(1)):
                last.detail = {key: float(value) for key, value in PAIR.findall(detail.group(2))}
            else:
                self.trace.broken += 1
        elif BEGINS.search(line):
            self.trace.broken += 1
        return None


def parse(lines):
    parser = Parser()
    for line in lines:
        parser.feed(line)
    return parser.trace


def percentile(values, percent):
    """By the nearest rank; 0 of nothing."""
    ordered = sorted(values)
    if not ordered:
        return 0.0
    return ordered[min(len(ordered) - 1, max(0, -(-len(ordered) * percent // 100) - 1))]


def spread(values):
    return {"p50": percentile(values, 50), "p90": percentile(values, 90), "p99": percentile(values, 99),
            "max": max(values, default=0.0)}


def slope(points):
    """The median of the slopes between pairs (Theil and Sen), which single outliers do not move; 0 of one point."""
    step = max(1, len(points) // 200)
    points = points[::step]
    slopes = [(y2 - y1) / (x2 - x1) for i, (x1, y1) in enumerate(points) for x2, y2 in points[i + 1:] if x2 > x1]
    return statistics.median(slopes) if slopes else 0.0


def allocated(cycles):
    """MB allocated while cycles ran, and between them, as far as the lines, in whole MB, show it."""
    while_marking = sum(max(0, cycle.end - cycle.start) for cycle in cycles)
    between = sum(max(0, after.start - before.live) for before, after in zip(cycles, cycles[1:]))
    return while_marking, between + cycles[0].start


def summarize(process):
    """The figures of one process, by name; rates are per second since the process began."""
    cycles = process.cycles
    last = cycles[-1]
    elapsed = max(last.finished, 1e-3)
    within = min(sum(cycle.seconds for cycle in cycles), elapsed)
    marking_mb, between_mb = allocated(cycles)
    cpu = [sum(cycle.cpu[kind] for cycle in cycles) / 1000 for kind in range(5)]
    later = [(cycle.at, cycle.live) for cycle in cycles[len(cycles) // 2:]]
    summary = {
        "cycles": len(cycles), "forced": sum(cycle.forced for cycle in cycles), "seconds": elapsed,
        "processors": last.processors,
        "cycles_per_s": len(cycles) / elapsed,
        "interval_s": spread([after.at - before.at for before, after in zip(cycles, cycles[1:])]),
        "idle_share": 1 - within / elapsed,
        "cycle_ms": spread([sum(cycle.clock) for cycle in cycles]),
        "enter_ms": spread([cycle.clock[0] for cycle in cycles]),
        "terminate_ms": spread([cycle.clock[2] for cycle in cycles]),
        "live_first_mb": cycles[0].live, "live_last_mb": last.live, "live_max_mb": max(c.live for c in cycles),
        "heap_max_mb": max(max(cycle.start, cycle.end) for cycle in cycles), "goal_last_mb": last.goal,
        "beyond_goal": sum(cycle.end > cycle.goal for cycle in cycles),
        "live_slope_mb_per_s": slope([(cycle.at, cycle.live) for cycle in cycles]),
        "live_slope_later_mb_per_s": slope(later),
        "allocated_mb": marking_mb + between_mb,
        "allocated_mb_per_s": (marking_mb + between_mb) / elapsed,
        "allocated_mb_per_s_in_cycles": marking_mb / within if within > 0 else 0.0,
        "allocated_mb_per_s_between": between_mb / (elapsed - within) if elapsed > within else 0.0,
        "cpu_s": sum(cpu), "assist_cpu_s": cpu[1], "background_cpu_s": cpu[2], "idle_cpu_s": cpu[3],
        "collector_share": sum(cpu) / (elapsed * max(1, last.processors)), "collector_share_said": last.share / 100,
    }
    for key in ("max_handshake_us", "max_stall_us", "max_assist_us"):
        values = [cycle.detail[key] for cycle in cycles if key in cycle.detail]
        if values:
            summary[key] = spread(values)
    return summary
