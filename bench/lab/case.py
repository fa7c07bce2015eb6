"""A case: one workload, and the points (peer, and on a curve the place on it) at which it is measured."""
import dataclasses
from typing import Callable

# Figures of which more is better; of all others less is.
HIGHER = ("mmu", "ops/s", "requests/s")


def higher_is_better(figure):
    return figure.startswith(HIGHER) or figure.endswith(HIGHER)


@dataclasses.dataclass
class Point:
    """What one process runs. `x` is the place on a curve: a factor, megabytes, threads."""
    peer: str
    title: str
    command: list
    environment: dict = dataclasses.field(default_factory=dict)
    x: float | None = None
    # The same with the collector telling of itself, run once more at the end; None where it cannot.
    traced: "Point | None" = None

    @property
    def key(self):
        return self.peer if self.x is None else f"{self.peer}@{self.x:g}"


@dataclasses.dataclass
class Case:
    suite: str
    name: str
    title: str
    points: list
    runs: int
    # The figures that tables, ratios and the section about losses show.
    main: tuple = ("wall s", "cpu s", "peak MB")
    limit_s: float = 900
    arguments: tuple = ()
    # Of an Outcome: the figures and texts of a run. Raises ValueError where the output makes no sense.
    extract: Callable = None
    x_label: str | None = None
    # Called with the session and the case before it is measured: adds points, or raises Skipped.
    prepare: Callable | None = None
    notes: list = dataclasses.field(default_factory=list)
    # Whether points at different places of the curve must give the same checksum.
    same_texts: bool = True
    # The smallest heap in MB at which each collector ran, where it was searched.
    minimum: dict = dataclasses.field(default_factory=dict)

    @property
    def id(self):
        return f"{self.suite}/{self.name}"


class Skipped(Exception):
    """A case or a point is not measured; the text says why."""


TEXTS = ("checksum",)
PERCENTILES = (("p50", 50), ("p90", 90), ("p99", 99), ("p99.9", 99.9), ("p99.99", 99.99), ("max", 100))


def program_record(outcome):
    """The figures of a program that keeps the contract of bench/programs/README.md."""
    said = outcome.said
    cost = outcome.cost
    figures = {"wall s": cost["wall_s"], "cpu s": cost["user_s"] + cost["system_s"]}
    texts = {}
    for label, value in said.items():
        if isinstance(value, bool) or value is None:
            continue
        if isinstance(value, (int, float)) and label not in TEXTS:
            figures[label] = float(value)
        elif isinstance(value, str) or label in TEXTS:
            texts[label] = str(value)
    figures["process wall s"] = cost["wall_s"]
    figures["process cpu s"] = cost["user_s"] + cost["system_s"]
    # What the program says of its own memory is its own account; the launcher's is the same for every language.
    figures["peak MB"] = outcome.peak_mb
    record = {"figures": figures, "texts": texts}
    latency = said.get("latency")
    if isinstance(latency, dict):
        scale = {"ns": 1e-3, "us": 1.0, "ms": 1e3, "s": 1e6}.get(latency.get("unit", "ns"))
        if scale is None:
            raise ValueError(f"unknown unit of latency {latency['unit']}")
        for label, _ in PERCENTILES:
            if label in latency:
                figures[f"latency {label} us"] = latency[label] * scale
        record["latency"] = [[float(percent), value * scale] for percent, value in latency.get("curve", [])]
    mmu = said.get("mmu")
    if isinstance(mmu, dict):
        for window, value in mmu.items():
            figures[f"mmu {window} ms"] = float(value)
        record["mmu"] = {window: float(value) for window, value in mmu.items()}
    return record
