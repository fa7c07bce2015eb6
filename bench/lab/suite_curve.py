"""The time-space curve: each collector with 1.2 to 5 times the smallest heap that it can run in.

The smallest heap is searched by bisection: the least limit with which the program ends with status 0 in at most so
many times the time that it takes without a limit, and, where the limit is a soft one (tricolor, Go), with a peak of
resident memory of at most a tenth and a fixed part beyond it. How each is limited: peers.limited().
"""
import math

from lab import peers
from lab.case import Case, Skipped, program_record
from lab.context import chosen_peers, program_point
from lab.measure import failure_text

FACTORS = (1.2, 1.5, 2, 3, 5)
QUICK_FACTORS = (1.5, 3)
PROGRAMS = ("binary-trees", "gcbench", "syntax-trees")
QUICK_PROGRAMS = ("binary-trees",)
SLOWER = 8          # times as long as without a limit still counts as running
SOFT_EXCESS = 1.1   # and so far beyond a soft limit
SOFT_BASE_MB = 8    # what lies outside of the limit: code, libraries, stacks


def smallest(works, high, tolerance):
    """The least whole number for which works() holds, to within a part of itself; None when none up to 4 x high."""
    top = high * 4
    while not works(high):
        high *= 2
        if high > top:
            return None
    low = 0
    while high - low > max(1, high * tolerance):
        middle = (low + high) // 2
        if works(middle):
            high = middle
        else:
            low = middle
    return high


def fits(record, peer_soft, megabytes):
    if record["failure"]:
        return False
    return not peer_soft or record["figures"]["peak MB"] <= megabytes * SOFT_EXCESS + SOFT_BASE_MB


def minimum_heap(session, case, make_point, peer, soft):
    """MB, or None; `make_point(heap_mb)` gives the point with that limit."""
    free, _ = session.run(case, make_point(None))
    if free["failure"]:
        session.progress.line(f"{case.id}: FAILED {failure_text(free)}")
        case.notes.append(f"{peer.title}: fails without a limit: {free['failure']}")
        return None
    limit_s, case.limit_s = case.limit_s, max(2.0, SLOWER * free["cost"]["wall_s"])

    def works(megabytes):
        session.progress.step(f"[{session.done + 1}/{session.total}] {case.id} smallest heap of {peer.title}: "
                              f"{megabytes} MB?")
        record, _ = session.run(case, make_point(megabytes))
        return fits(record, soft, megabytes)

    try:
        found = smallest(works, max(4, math.ceil(free["figures"]["peak MB"])), 0.25 if session.context.quick else 0.04)
    finally:
        case.limit_s = limit_s
    if found is None:
        case.notes.append(f"{peer.title}: no limit found with which it runs")
    return found


def plan(context, twins):
    cases = []
    entries = context.programs()
    wanted = QUICK_PROGRAMS if context.quick else PROGRAMS
    factors = QUICK_FACTORS if context.quick else FACTORS
    for name in [name for name in wanted if name in entries]:
        entry = entries[name]
        arguments = context.arguments(entry)

        def prepare(session, case, entry=entry, arguments=arguments):
            for peer in chosen_peers(context, few=True):
                def point(heap_mb, peer=peer, x=None):
                    return program_point(context, twins, entry, peer, arguments, x, heap_mb, trace=x is not None)

                if point(None) is None:
                    continue
                if not peer.collects:
                    case.points.append(point(None))
                    continue
                if session.over():
                    raise Skipped("no time left")
                least = minimum_heap(session, case, point, peer, peers.limit_is_soft(peer))
                if least is None:
                    continue
                case.minimum[peer.name] = least
                case.points += [point(math.ceil(least * factor), x=factor) for factor in factors]

        cases.append(Case("curve", name, f"{entry.get('title', name)}: time against space", [],
                          2 if context.quick else max(4, context.runs // 2), ("wall s", "cpu s", "peak MB"),
                          limit_s=120 if context.quick else 900, arguments=tuple(arguments), extract=program_record,
                          prepare=prepare, x_label="times the smallest heap"))
    return cases
