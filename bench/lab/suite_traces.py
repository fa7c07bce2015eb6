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
               "longest stall us": said["longest_stall_us"], "longest 1024 operations us": said["longest_batch_us"],
               "decode share": said["decode_share"]}
    return {"figures": figures, "texts": {"checksum": said["checksum"]}}


def record_of_oracle(outcome):
    """What is dead and kept at full collections. That nothing alive is reclaimed is checked by the replay itself."""
    oracle = outcome.said["oracle"]
    return {"figures": {"live MB": oracle["live_bytes_mean"] / MIB, "kept MB": oracle["kept_bytes_mean"] / MIB,
                        "kept at most MB": oracle["kept_bytes_max"] / MIB, "held MB": oracle["held_bytes_mean"] / MIB},
            "texts": {}}


def replay_points(context, trace, words, collectors_only=False):
    points = []
    for peer in [peer for peer in context.present if peer.language == "C++"]:
        executable = context.executable(f"replay-{peer.backend}")
        if executable is None or (collectors_only and not peer.collects):
            continue
        point = Point(peer.name, peer.title, [executable, trace, *words, *context.extra], peers.preload(peer))
        if peer.collects and not collectors_only:
            point.traced = Point(peer.name, peer.title, point.command, peers.traced(peer)[1])
        points.append(point)
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


def case_of(context, name, title, words, points=(), prepare=None):
    return Case("traces", name, title, list(points), context.runs, ("wall s", "cpu s", "peak MB", "longest stall us"),
                arguments=tuple(words), extract=record_of, prepare=prepare)


def plan(context, _twins):
    cases = []
    words = ["--repeat", "1" if context.quick else "3"]
    for trace in sorted((context.root / "bench/traces").glob("*.trace")):
        name = trace.name.removesuffix(".trace")
        cases.append(case_of(context, name, f"trace of {name}", words, replay_points(context, trace, words)))
        oracle = ["--check", "3" if context.quick else "20"]
        cases.append(Case("traces", f"{name}-oracle", f"what is dead and kept, trace of {name}",
                          replay_points(context, trace, oracle, True), min(2, context.runs),
                          ("live MB", "kept MB", "kept at most MB", "held MB"), arguments=tuple(oracle),
                          extract=record_of_oracle))
    if not context.quick and shutil.which("sqlite3"):
        def prepare(_session, case):
            case.points = replay_points(context, record_sqlite(context), words)

        cases.append(case_of(context, "sqlite3-fresh", "trace of sqlite3, recorded here", words, prepare=prepare))
    return cases
