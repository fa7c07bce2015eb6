"""Small loops over one operation: allocation, barrier, marking, handshakes, pool."""
import math
import shutil
import subprocess

from lab import peers
from lab.case import Case, Point
from lab.context import chosen_peers, program_point
from lab.process import tail

SHAPES = ("order", "runs", "shuffled", "random")


def plain_record(outcome):
    """Every number of the line is a figure."""
    figures = {label: float(value) for label, value in outcome.said.items()
               if isinstance(value, (int, float)) and not isinstance(value, bool)}
    if not figures:
        raise ValueError("no figures")
    return {"figures": figures, "texts": {}}


FILTER = "--benchmark_filter="
QUICK_CASES = "^(garbage|replace|occupied/75).*"


def contender_record(outcome):
    """Of the figures "case/contender wall ns" those of the contender that the filter names, without its name."""
    contender = next(word for word in outcome.command if word.startswith(FILTER)).split("/")[-2]
    marker = f"/{contender} "
    figures = {label.replace(marker, " "): float(value) for label, value in outcome.said.items() if marker in label}
    if not figures:
        raise ValueError(f"no figures of {contender}")
    return {"figures": figures, "texts": {}}


def allocate_points(context, executable, quick):
    """A process for each contender; preloaded allocators run malloc's, and one only clears the memory."""
    def point(name, title, contender, environment):
        chosen = f"{FILTER}{QUICK_CASES if context.quick else ''}/{contender}/"
        return Point(name, title, [executable, "--json", chosen, *quick, *context.extra], environment)

    points = [point(peer.name, peer.title, peer.backend, peers.preload(peer)) for peer in context.present
              if peer.language == "C++" and peer.backend in ("tricolor", "boehm", "malloc")]
    return points + [point("limit", "clearing alone", "limit", {})]


def mark_record(outcome):
    return {"figures": {"wall ns/object": outcome.said["wall ns/object"],
                        "cpu ns/object": outcome.said["cpu ns/object"], "peak MB": outcome.peak_mb}, "texts": {}}


def java_heap(peer, live_mb):
    """Java's own limit, a quarter of the machine's memory, is too low for large live data: MB, or None elsewhere."""
    return math.ceil(live_mb * 2.4) + 64 if live_mb and peer.language == "Java" else None


def mark_points(context, twins, words, x=None):
    """The program "mark" at every collector; with the executables alone where no list names it."""
    entry = context.programs().get("mark", {"name": "mark"})
    points = [program_point(context, twins, entry, peer, [*words, *context.extra], x, java_heap(peer, x), trace=False)
              for peer in chosen_peers(context, few=True) if peer.collects]
    return [point for point in points if point]


POOLS = (("tricolor", "sync::Pool"), ("mutex", "free list, mutex"), ("make", "collected, no pool"),
         ("malloc", "malloc (glibc)"), ("go", "Go sync.Pool"))


def pool_case(context, quick):
    def prepare(_session, case):
        # Built by its name alone, as it needs Go.
        if shutil.which("go") and context.executable("pool-bench-go") is None:
            result = subprocess.run(["ninja", "-C", context.build_dir, "bench/pool/pool-bench-go"],
                                    capture_output=True, text=True, check=False)
            if result.returncode != 0:
                context.problems.append(f"pool-bench-go did not compile: {tail(result.stdout + result.stderr)}")
        executables = [(name, title, context.executable(f"pool-bench-{name}")) for name, title in POOLS]
        case.points = [Point(name, title, [executable, *quick, *context.extra])
                       for name, title, executable in executables if executable]

    return Case("micro", "pool", "reusing an object instead of making one", [], context.runs, (),
                extract=plain_record, prepare=prepare)


def plan(context, twins):
    quick = ["--quick"] * context.quick
    cases = []

    executable = context.executable("allocate-bench")
    if executable:
        cases.append(Case("micro", "allocate", "an object that is garbage at once, by size and occupancy",
                          allocate_points(context, executable, quick), context.runs, (), extract=contender_record))

    for name, title in (("barrier", "storing a reference"),
                        ("handshake", "how long a thread is held; assists and stalls")):
        executable = context.executable(f"{name}-bench")
        if executable:
            point = Point("tricolor", "tricolor", [executable, "--json", *quick, *context.extra])
            cases.append(Case("micro", name, title, [point], context.runs, (), extract=plain_record))

    if context.executable("pool-bench-tricolor"):
        cases.append(pool_case(context, quick))

    main = ("wall ns/object", "cpu ns/object", "peak MB")
    for shape in SHAPES:
        points = mark_points(context, twins, [f"--shape={shape}", *quick])
        cases.append(Case("micro", f"mark-{shape}", f"marking a live graph, {shape}", points, context.runs, main,
                          arguments=(f"--shape={shape}",), extract=mark_record))
    return cases
