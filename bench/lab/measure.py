"""Measures cases: points in turns, failures recorded and passed over, checksums compared, figures summed up."""
import dataclasses
import time

from lab import peers, stats
from lab.case import Skipped
from lab.gctrace import parse
from lab.process import tail
from lab.schedule import duration, turns

GIVE_UP_AFTER = 2  # failures of one point


@dataclasses.dataclass
class Session:
    """What all cases share. `deadline` is a time of time.monotonic() after which nothing new begins, or None."""
    runner: object
    progress: object
    estimate: object
    context: object
    deadline: float | None = None
    done: int = 0
    total: int = 0
    later: list = dataclasses.field(default_factory=list)  # (key, runs) of what comes after the present case

    def over(self):
        return self.deadline is not None and time.monotonic() > self.deadline

    def left(self, keys):
        return duration(self.estimate.remaining(list(keys) + self.later))

    def run(self, case, point, **options):
        """One process. The record of it, whatever happened."""
        outcome = self.runner.run(point.command, point.environment, case.limit_s, **options)
        record = {"peer": point.peer, "x": point.x, "failure": outcome.failure, "cost": outcome.cost}
        if outcome.failure is None:
            try:
                record |= case.extract(outcome)
            except (ValueError, KeyError, TypeError, IndexError) as error:
                outcome.failure = record["failure"] = f"its output makes no sense: {error}"
        if outcome.failure:
            record |= {"command": outcome.shell(), "stderr": tail(outcome.stderr), "figures": {}, "texts": {}}
        return record, outcome


def failure_text(record):
    """A failure for people: who, what happened, how to do it again, what it said last."""
    said = "".join(f"\n    {line}" for line in record["stderr"].splitlines())
    return f"{record['peer']}: {record['failure']}\n    {record['command']}{said}"


def measure(session, case):
    """The results of one case as JSON takes them; a case that cannot be measured gives {"skipped": why}."""
    result = {"suite": case.suite, "name": case.name, "title": case.title, "x_label": case.x_label,
              "main": list(case.main), "arguments": list(case.arguments), "runs_planned": case.runs}
    try:
        if case.prepare:
            case.prepare(session, case)
        if not case.points:
            raise Skipped("nobody to measure")
    except Skipped as reason:
        session.progress.line(f"{case.id}: skipped: {reason}")
        return result | {"skipped": str(reason), "notes": case.notes}

    by_key = {point.key: point for point in case.points}
    order = turns(list(by_key), case.runs)
    runs, failures, broken_off = [], {}, False
    for number, key in enumerate(order):
        if failures.get(key, 0) >= GIVE_UP_AFTER:
            continue
        if session.over() and number >= len(by_key):
            broken_off = True
            break
        rest = [(f"{case.id}:{other}", 1) for other in order[number:]]
        session.progress.step(f"[{session.done + 1}/{session.total}] {case.id} run {number + 1}/{len(order)} {key}; "
                              f"about {session.left(rest)} left")
        record, outcome = session.run(case, by_key[key])
        session.estimate.ended(f"{case.id}:{key}", outcome.cost["wall_s"])
        runs.append(record)
        if record["failure"]:
            failures[key] = failures.get(key, 0) + 1
            session.progress.line(f"{case.id}: FAILED {failure_text(record)}")
    if broken_off:
        case.notes.append(f"time was over: {len(runs)} of {len(order)} runs")
        result["broken_off"] = True
    result["points"] = [{"peer": point.peer, "title": point.title, "x": point.x,
                         "command": [str(word) for word in point.command], "environment": point.environment}
                        for point in case.points]
    result["runs"] = runs
    result["summary"] = summarize(runs, case.points)
    result["mismatch"] = mismatches(runs, case.same_texts)
    for text in result["mismatch"]:
        session.progress.line(f"{case.id}: CHECKSUM {text}")
    result["traced"] = trace_points(session, case, failures)
    result["notes"] = case.notes
    if case.minimum:
        result["minimum_mb"] = case.minimum
    return result


def summarize(runs, points):
    """Of each point: every figure's median and interval, the latency curve, the machine's part, failed runs."""
    rows = []
    for point in points:
        mine = [run for run in runs if run["peer"] == point.peer and run["x"] == point.x]
        good = [run for run in mine if not run["failure"]]
        labels = list(dict.fromkeys(label for run in good for label in run["figures"]))
        row = {"peer": point.peer, "title": point.title, "x": point.x, "runs": len(good),
               "failed": len(mine) - len(good),
               "figures": {label: stats.summary([run["figures"][label] for run in good if label in run["figures"]])
                           for label in labels},
               "latency": stats.median_curve([run["latency"] for run in good if run.get("latency")])}
        rows.append(row)
    return rows


def mismatches(runs, everywhere=True):
    """What differs among texts that must be equal, one sentence each; `everywhere`: over all places of a curve."""
    problems = []
    seen = {}
    for run in runs:
        for label, value in run["texts"].items():
            seen.setdefault((label, None if everywhere else run["x"]), {}).setdefault(value, []).append(run["peer"])
    for (label, x), values in seen.items():
        if len(values) > 1:
            told = "; ".join(f"{value}: {', '.join(sorted(set(who)))}" for value, who in values.items())
            place = "" if x is None else f" at {x:g}"
            problems.append(f"{label} differs{place}: {told}")
    return problems


def trace_points(session, case, failures):
    """One more run of each collector that tells of its cycles: what it cost by its own account, and the heap."""
    traced = {}
    for point in case.points:
        if point.traced is None or failures.get(point.key) or session.over():
            continue
        session.progress.step(f"[{session.done + 1}/{session.total}] {case.id} tracing {point.key}")
        record, outcome = session.run(case, point.traced)
        if record["failure"]:
            session.progress.line(f"{case.id}: tracing FAILED {failure_text(record)}")
            continue
        cost = outcome.cost
        total = {"wall_s": cost["wall_s"], "cpu_s": cost["user_s"] + cost["system_s"]}
        entry = total | {"collector": peers.collector_cost(peers.by_name(point.peer), outcome.stderr, total)}
        cycles = parse(outcome.stderr.splitlines()).cycles
        step = max(1, len(cycles) // 1500)
        if cycles:
            entry["heap"] = [[cycle.at, cycle.finished, cycle.start, cycle.end, cycle.live, cycle.goal]
                             for cycle in cycles[::step]]
        traced[point.key] = entry
    return traced
