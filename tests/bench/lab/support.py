"""What the laboratory's tests share."""
import json
import os
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent.parent
sys.path.insert(0, str(ROOT / "bench"))

from lab import measure, process, schedule  # noqa: E402
from lab.case import Case, Point, program_record  # noqa: E402

LAUNCHER = os.environ.get("BENCH_LAUNCH", "")
NEEDS_LAUNCHER = "BENCH_LAUNCH does not name the built bench-launch"


class Silent:
    """Progress that is kept for looking at."""

    def __init__(self):
        self.lines = []

    def step(self, text):
        pass

    def line(self, text):
        self.lines.append(text)


class Anything:
    quick = True


def session(launcher=LAUNCHER):
    return measure.Session(process.Runner(launcher, control=False), Silent(), schedule.Estimate(), Anything())


def shell(text):
    return ["sh", "-c", text]


def saying(figures):
    """A shell command that prints these figures as its last line."""
    return shell(f"echo something; echo '{json.dumps(figures)}'")


def case(*points, runs=2, **more):
    return Case("programs", "made", "a made case", list(points), runs, extract=program_record, **more)


def point(peer, command, x=None):
    return Point(peer, peer, command, {}, x)


def cost():
    """What bench-launch says of a run, for results that are made up."""
    return {"wall_s": 1.0, "user_s": 0.5, "system_s": 0.1, "machine_busy_s": 1.5, "machine_steal_s": 0.0,
            "control": {"watched_s": 0.05, "gaps": 3, "lost_s": 0.001, "longest_us": 400.0}}


def made(values, suite="programs", name="made", main=("wall s",), figure="wall s", **more):
    """A measured case of {peer: values of one figure}, without running anything."""
    points = [point(peer, ["true"]) for peer in values]
    runs = [{"peer": peer, "x": None, "failure": None, "cost": cost(), "figures": {figure: value}, "texts": {}}
            for peer, all_of in values.items() for value in all_of]
    return {"suite": suite, "name": name, "title": name, "main": list(main), "x_label": None, "arguments": [],
            "points": [{"peer": p.peer, "title": p.title, "x": None, "command": p.command, "environment": {}}
                       for p in points],
            "runs": runs, "summary": measure.summarize(runs, points), "mismatch": measure.mismatches(runs),
            "traced": {}, "notes": []} | more


def results(*cases):
    machine = {"cpu": "a processor", "processors": 2, "caches": {"L3": "32M"}, "memory_mb": 8192, "virtual": True,
               "kernel": "Linux 6", "distribution": "Debian", "huge_pages": "madvise", "load_before": 0.1,
               "build": {"compiler": "g++ 12", "buildtype": "release"}, "commit": "abc", "peers": {"glibc": "2.36"}}
    return {"schema": 1, "created": "2026-01-01 00:00:00 UTC", "mode": "full", "runs": 3, "machine": machine,
            "peak_source": "ru_maxrss", "problems": [], "seconds": 12.0, "interrupted": False, "cases": list(cases),
            "overhead": {},
            "missing": [{"peer": "Java ZGC", "why": "no JDK is installed", "package": "openjdk-17-jdk-headless"}]}
