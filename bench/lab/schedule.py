"""In what order runs take their turns, and how long the rest will take."""
import sys
import time


def turns(names, runs):
    """A B C, C B A, A B C ...: as many runs of each, so that what the machine does meanwhile hits all alike."""
    order = []
    for number in range(runs):
        order += names if number % 2 == 0 else names[::-1]
    return order


def duration(seconds):
    """As people say it."""
    seconds = max(0, round(seconds))
    if seconds < 90:
        return f"{seconds} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02} min"


class Estimate:
    """How long runs take: known from this session, else from an earlier one, else the mean of what was seen."""

    def __init__(self, history=None, guess_s=2.0):
        self.history, self.seen, self.guess_s = dict(history or {}), {}, guess_s

    def ended(self, key, seconds):
        self.seen.setdefault(key, []).append(seconds)

    def of(self, key):
        if key in self.seen:
            return sum(self.seen[key]) / len(self.seen[key])
        if key in self.history:
            return self.history[key]
        if self.seen:
            means = [sum(all_of) / len(all_of) for all_of in self.seen.values()]
            return sum(means) / len(means)
        return self.guess_s

    def remaining(self, keys):
        """Seconds, of (key, count) pairs."""
        return sum(self.of(key) * count for key, count in keys)

    def save(self):
        """The history for the next session."""
        return self.history | {key: sum(all_of) / len(all_of) for key, all_of in self.seen.items()}


class Progress:
    """A line on the terminal that is overwritten; a line for each case where there is no terminal."""

    def __init__(self, stream=sys.stderr):
        self.stream, self.terminal, self.began = stream, stream.isatty(), time.monotonic()

    def step(self, text):
        if self.terminal:
            self.stream.write(f"\r\033[K{text[:150]}")
            self.stream.flush()

    def line(self, text):
        self.stream.write(f"\r\033[K{text}\n" if self.terminal else f"{text}\n")
        self.stream.flush()

    def elapsed(self):
        return time.monotonic() - self.began
