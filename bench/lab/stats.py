"""Medians, bootstrap intervals, ratios with intervals, and percentile curves put together from several runs.

The bootstrap draws from a generator with a fixed seed: the same runs give the same interval.
"""
import functools
import math
import random
import statistics

RESAMPLES = 2000
CONFIDENCE = 0.95
SEED = 20220425


def median(values):
    return statistics.median(values)


def _middle(ordered, confidence):
    """The bounds of the middle part of sorted estimates."""
    cut = (1 - confidence) / 2
    low = ordered[int(cut * (len(ordered) - 1))]
    high = ordered[math.ceil((1 - cut) * (len(ordered) - 1))]
    return low, high


@functools.cache
def _draws(count, stream, resamples):
    """Of each resample of `count` sorted values, the places whose mean is its median. Independent by stream."""
    generator = random.Random(SEED + stream)
    places = []
    for _ in range(resamples):
        drawn = sorted(generator.choices(range(count), k=count))
        places.append((drawn[(count - 1) // 2], drawn[count // 2]))
    return places


def _medians(values, stream, resamples):
    ordered = sorted(values)
    return [(ordered[low] + ordered[high]) / 2 for low, high in _draws(len(ordered), stream, resamples)]


def interval(values, confidence=CONFIDENCE, resamples=RESAMPLES):
    """The percentile bootstrap of the median: (low, high). Of one value, itself twice."""
    if len(values) < 2:
        return values[0], values[0]
    return _middle(sorted(_medians(values, 0, resamples)), confidence)


def ratio_interval(values, base, confidence=CONFIDENCE, resamples=RESAMPLES):
    """median(values) / median(base) and its bootstrap interval: (ratio, low, high); None when base is zero."""
    middle = statistics.median(base)
    if middle == 0:
        return None
    ratio = statistics.median(values) / middle
    if len(values) < 2 or len(base) < 2:
        return ratio, ratio, ratio
    estimates = [above / below for above, below in
                 zip(_medians(values, 1, resamples), _medians(base, 2, resamples)) if below != 0]
    return ratio, *_middle(sorted(estimates), confidence)


def summary(values):
    """What the results hold of a figure."""
    low, high = interval(values)
    return {"median": median(values), "low": low, "high": high, "min": min(values), "max": max(values),
            "runs": len(values)}


def geometric_mean(values):
    values = [value for value in values if value > 0]
    return math.exp(sum(map(math.log, values)) / len(values)) if values else None


def value_at(curve, percent):
    """Of a latency curve [[percentile, value], ...] in rising order, by linear interpolation."""
    before = curve[0]
    if percent <= before[0]:
        return before[1]
    for point in curve[1:]:
        if percent <= point[0]:
            width = point[0] - before[0]
            part = (percent - before[0]) / width if width > 0 else 1
            return before[1] + part * (point[1] - before[1])
        before = point
    return before[1]


def median_curve(curves):
    """One latency curve for several runs: at each percentile that any of them names, the median of their values."""
    curves = [sorted(map(list, curve)) for curve in curves if curve]
    if not curves:
        return []
    percents = sorted({point[0] for curve in curves for point in curve})
    return [[percent, statistics.median(value_at(curve, percent) for curve in curves)] for percent in percents]
