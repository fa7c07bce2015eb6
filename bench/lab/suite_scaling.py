"""How figures grow with what is live, 64 MB to 8 GB, and with the number of threads."""
from lab import machine
from lab.case import Case, Skipped, program_record
from lab.context import chosen_peers, program_point
from lab.suite_micro import java_heap, mark_points, mark_record

LIVE_MB = (64, 512, 2048, 8192)
QUICK_LIVE_MB = (32, 128)
# Beyond so much a graph in random order takes some collectors minutes a run to build and to mark.
RANDOM_MB = 512
THREADS = (1, 2, 4, 16)
QUICK_THREADS = (1, 4)
LIVE_PROGRAMS = ("lru-cache", "syntax-trees")
OBJECT_BYTES = 64
# A heap of so much live data needs up to this many times the memory: garbage, tables, and the graph's order.
NEEDS = 2.4


def fitting(context, case, most=LIVE_MB[-1]):
    """The sizes up to `most` that this machine has the memory for; what is left out is noted."""
    available = min(machine.memory_mb("MemAvailable"), machine.memory_limit_mb())
    sizes = [live for live in (QUICK_LIVE_MB if context.quick else LIVE_MB) if live <= most]
    for live in [live for live in sizes if live * NEEDS > available]:
        case.notes.append(f"{live} MB of live data are left out: {live * NEEDS:.0f} MB of memory needed, "
                          f"{available} MB available")
    return [live for live in sizes if live * NEEDS <= available]


def live_cases(context, twins):
    cases = []
    for name, shape, most in (("live", "order", LIVE_MB[-1]), ("live-random", "random", RANDOM_MB)):
        words = [f"--bytes={OBJECT_BYTES}", f"--shape={shape}"]

        def prepare(_session, case, words=words, most=most):
            for live in fitting(context, case, most):
                sized = [*words, f"--objects={live * 2**20 // OBJECT_BYTES}",
                         f"--collections={2 if context.quick else 3}"]
                case.points += mark_points(context, twins, sized, live)
            if not case.points:
                raise Skipped("the program mark is not there")

        cases.append(Case("scaling", name, f"a full collection of a graph ({shape}), by the size of what is live", [],
                          max(2, context.runs // 3), ("wall ns/object", "cpu ns/object", "peak MB"),
                          arguments=tuple(words), extract=mark_record, prepare=prepare, x_label="MB live",
                          same_texts=False))
    return cases[:1] if context.quick else cases


def live_program_cases(context, twins):
    """Programs with requests, at several sizes of what is live: does their latency grow with the heap?"""
    cases = []
    entries = context.programs()
    for name in [name for name in LIVE_PROGRAMS if entries.get(name, {}).get("live")]:
        entry = entries[name]

        def prepare(_session, case, entry=entry):
            for live in fitting(context, case):
                for peer in chosen_peers(context, few=True):
                    words = [*context.arguments(entry), f"--live-mb={live}"]
                    point = program_point(context, twins, entry, peer, words, live, java_heap(peer, live), trace=False)
                    if point:
                        case.points.append(point)

        cases.append(Case("scaling", f"live-{name}", f"{entry['title']}, by the size of what is live", [],
                          max(2, context.runs // 3), ("wall s", "latency p99.9 us", "latency max us", "peak MB"),
                          limit_s=120 if context.quick else 1800, arguments=tuple(context.arguments(entry)),
                          extract=program_record, prepare=prepare, x_label="MB live", same_texts=False))
    return cases[:0] if context.quick else cases


def thread_cases(context, twins):
    cases = []
    for name, entry in context.programs().items():
        if not entry.get("threads"):
            continue
        counts = QUICK_THREADS if context.quick else THREADS
        arguments = [word for word in context.arguments(entry) if not word.startswith("--threads=")]

        def prepare(_session, case, entry=entry, arguments=arguments, counts=counts):
            for peer in chosen_peers(context, few=True):
                for count in counts:
                    words = [*arguments, f"--threads={count}"]
                    point = program_point(context, twins, entry, peer, words, count, trace=False)
                    if point:
                        case.points.append(point)

        cases.append(Case("scaling", f"threads-{name}", f"{entry.get('title', name)}, by threads", [],
                          max(2, context.runs // 3), ("wall s", "cpu s", "peak MB"),
                          limit_s=120 if context.quick else 900, arguments=tuple(arguments), extract=program_record,
                          prepare=prepare, x_label="threads", same_texts=False))
    return cases[:1] if context.quick else cases


def plan(context, twins):
    return [*live_cases(context, twins), *thread_cases(context, twins), *live_program_cases(context, twins)]
