"""Reads a timeline as its viewers do, and says what is wrong with it.

Prints "NAME COUNT" of its events, and "dropped COUNT"; ends with 1 after a line that begins with "wrong: ".
"""
import collections
import json
import sys


def nanoseconds(text):
    """Exact: a time is written with three decimals of a microsecond."""
    whole, decimals = text.split(".")
    assert len(decimals) == 3, text
    assert not whole.startswith("-"), text
    return int(whole) * 1000 + int(decimals)


def refuse(constant):
    raise ValueError(constant)


def check(trace):
    assert set(trace) == {"displayTimeUnit", "traceEvents", "otherData"}, sorted(trace)
    names, tracks, counts = {}, collections.defaultdict(list), collections.Counter()
    latest = 0
    for event in trace["traceEvents"]:
        assert isinstance(event["pid"], int) and event["pid"] > 0, event
        if event["ph"] == "M":
            assert event["name"] in ("process_name", "thread_name", "thread_sort_index"), event
            if event["name"] == "thread_name":
                assert event["tid"] not in names, event
                names[event["tid"]] = event["args"]["name"]
            continue
        assert event["ts"] >= latest, ("times go back", event)
        latest = event["ts"]
        assert event["tid"] in names, ("a track without a name", event)
        counts[event["name"]] += 1
        if event["ph"] == "X":
            tracks[event["tid"]].append((event["ts"], event["ts"] + event["dur"], event["name"]))
        elif event["ph"] == "C":
            assert event["args"]["bytes"] >= 0, event
        else:
            assert event["ph"] == "i" and event["s"] == "t", event
    for tid, track in tracks.items():
        check_nesting(f"{names[tid]} ({tid})", track)
    return counts, names


def check_nesting(name, track):
    """Stretches of one track lie in each other or apart."""
    open_ends = []
    for begin, end, what in track:
        while open_ends and open_ends[-1][0] <= begin:
            open_ends.pop()
        if open_ends:
            assert end <= open_ends[-1][0], (
                f"{name}: {what} from {begin} to {end} ns ends behind {open_ends[-1][1]}, at {open_ends[-1][0]}")
        open_ends.append((end, what))


def main():
    with open(sys.argv[1], encoding="ascii") as file:
        trace = json.load(file, parse_float=nanoseconds, parse_constant=refuse)
    try:
        counts, names = check(trace)
    except (AssertionError, KeyError, ValueError, TypeError) as error:
        print("wrong:", repr(error))
        return 1
    for name, count in sorted(counts.items()):
        print(name, count)
    for name in sorted(names.values()):
        print("track", name)
    print("dropped", trace["otherData"]["dropped_events"])
    return 0


if __name__ == "__main__":
    sys.exit(main())
