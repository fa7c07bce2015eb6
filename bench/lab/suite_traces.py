"""Recorded traces of real programs, replayed on every heap: bench/replay."""
import shutil
import subprocess

from lab import peers
from lab.case import Case, Point, Skipped

MIB = 2**20


def record_of(outcome):
    said = outcome.said
    figures = {"wall s": said["wall_s"], "cpu s": said["cpu_s"],
               "peak MB": (said["peak_bytes"] - said["base_bytes"]) / MIB,
               "live MB": said["live_peak_bytes"] / MIB, "collections": said["collections"],
               "longest stall us": said["longest_stall_us"], "longest 1024 operations us": said["longest_batch_us"]}
    return {"figures": figures, "texts": {} if said["backend"] == "decode-only" else {"checksum": said["checksum"]}}


def replay_points(context, trace, repeat):
    points = []
    words = [trace, "--repeat", repeat, *context.extra]
    for peer in [peer for peer in context.present if peer.language == "C++"]:
        executable = context.executable(f"replay-{peer.backend}")
        if executable is None:
            continue
        point = Point(peer.name, peer.title, [executable, *words], peers.preload(peer))
        if peer.collects:
            point.traced = Point(peer.name, peer.title, point.command, peers.traced(peer)[1])
        points.append(point)
    malloc = context.executable("replay-malloc")
    if malloc:
        points.append(Point("decode", "decoding alone", [malloc, *words, "--decode-only"]))
    return points


def record_sqlite(context):
    """A larger trace than the one that ships, made on the spot."""
    trace = context.out_dir / "sqlite3-fresh.trace"
    if trace.is_file():
        return trace
    result = subprocess.run([context.root / "bench/traces/record-sqlite3", context.build_dir, trace, "3"],
                            capture_output=True, text=True, check=False)
    if result.returncode != 0:
        trace.unlink(missing_ok=True)
        raise Skipped(f"recording failed: {result.stderr.strip()[-300:]}")
    return trace


def plan(context, _twins):
    cases = []
    repeat = 1 if context.quick else 3
    main = ("wall s", "cpu s", "peak MB", "longest stall us")
    for trace in sorted((context.root / "bench/traces").glob("*.trace")):
        name = trace.name.removesuffix(".trace")
        cases.append(Case("traces", name, f"trace of {name}, replayed {repeat} times",
                          replay_points(context, trace, repeat), context.runs, main, extract=record_of,
                          arguments=("--repeat", str(repeat))))
    if not context.quick and shutil.which("sqlite3"):
        def prepare(_session, case):
            case.points = replay_points(context, record_sqlite(context), repeat)

        cases.append(Case("traces", "sqlite3-fresh", "trace of sqlite3, recorded here", [], context.runs, main,
                          extract=record_of, prepare=prepare))
    return cases
