"""In what order runs take their turns, and how long the rest will take."""
import statistics
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


def is_run(key):
    """Runs are CASE:POINT; cases, some hundred runs together, are CASE."""
    return ":" in key


class Estimate:
    """How long runs and cases take, in seconds: known from this session, else from an earlier one, else the mean of
    those seen, else a guess."""

    def __init__(self, history=None, guess_run_s=2.0, guess_case_s=180.0):
        self.history, self.seen = dict(history or {}), {}
        self.guess_run_s, self.guess_case_s = guess_run_s, guess_case_s

    def ended(self, key, seconds):
        self.seen.setdefault(key, []).append(seconds)

    def of(self, key):
        if key in self.seen:
            return statistics.mean(self.seen[key])
        if key in self.history:
            return self.history[key]
        means = [statistics.mean(times) for other, times in self.seen.items() if is_run(other) == is_run(key)]
        if means:
            return statistics.mean(means)
        return self.guess_run_s if is_run(key) else self.guess_case_s

    def remaining(self, keys):
        """Seconds, of (key, count) pairs."""
        return sum(self.of(key) * count for key, count in keys)

    def save(self):
        """The history for the next session."""
        return self.history | {key: statistics.mean(times) for key, times in self.seen.items()}


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
