"""Runs one program in a fresh process and gives what it cost, what it said, or why it failed.

bench-launch (launch.cc) starts the program, so that the peak the kernel reports is the program's own. Its memory is
read from a control group (v2, memory.peak) where one may be made below our own, else it is the kernel's ru_maxrss
of its largest process. What a program prints goes to files: nobody reads beside it while it runs.
"""
import dataclasses
import json
import os
import pathlib
import shlex
import signal
import subprocess
import tempfile

LAST_LINES = 12


@dataclasses.dataclass
class Outcome:
    """`cost` is bench-launch's record, `said` the JSON of the last line of output, `failure` a text or None."""
    command: list
    environment: dict
    cost: dict = dataclasses.field(default_factory=dict)
    said: dict = dataclasses.field(default_factory=dict)
    peak_mb: float = 0.0
    stderr: str = ""
    stdout: str = ""
    failure: str | None = None

    def shell(self):
        """The command as a shell would take it."""
        return " ".join([f"{key}={shlex.quote(value)}" for key, value in self.environment.items()]
                        + [shlex.quote(str(word)) for word in self.command])


def tail(text, lines=LAST_LINES):
    return "\n".join(text.rstrip().splitlines()[-lines:])


def explain(cost, limit_s):
    """Why a process counts as failed, or None."""
    if cost["exec_errno"]:
        return f"could not be started: {os.strerror(cost['exec_errno'])}"
    if cost["timed_out"]:
        return f"was ended after {limit_s:.0f} s"
    if cost["signal"]:
        try:
            name = signal.Signals(cost["signal"]).name
        except ValueError:
            name = str(cost["signal"])
        return f"was ended by signal {name}"
    if cost["exit"]:
        return f"exit status {cost['exit']}"
    return None


class Cgroup:
    """A control group for one process after the other, where the system lets us have one."""

    def __init__(self):
        self.folder, self.reason = None, None
        try:
            lines = pathlib.Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines()
            own = next(line.split("::", 1)[1] for line in lines if line.startswith("0::"))
            below = pathlib.Path("/sys/fs/cgroup") / own.lstrip("/")
            if not (below / "cgroup.controllers").is_file():
                self.reason = "no unified control groups (v2)"
                return
            folder = below / f"tricolor-bench-{os.getpid()}"
            folder.mkdir()
        except StopIteration:
            self.reason = "no unified control groups (v2)"
            return
        except OSError as error:
            self.reason = f"no control group may be made ({error.strerror})"
            return
        if (folder / "memory.peak").is_file():
            self.folder = folder
        else:
            self.reason = "the control group counts no peak of memory (memory.peak)"
            folder.rmdir()

    def source(self):
        """How peaks were measured, for the report."""
        return "control group, memory.peak" if self.folder else f"ru_maxrss of the largest process: {self.reason}"

    def begin(self):
        """The folder that the next process enters, empty and with its peak at zero."""
        if self.folder is None:
            return "-"
        self.close_child()
        (self.folder / "run").mkdir()
        return str(self.folder / "run")

    def peak_mb(self):
        return int((self.folder / "run/memory.peak").read_text(encoding="ascii")) / 2**20

    def close_child(self):
        if self.folder and (self.folder / "run").is_dir():
            (self.folder / "run").rmdir()

    def close(self):
        if self.folder:
            self.close_child()
            self.folder.rmdir()
            self.folder, self.reason = None, "closed"


class Runner:
    """Runs programs one after the other."""

    def __init__(self, launcher, control=True, cgroup=None):
        self.launcher, self.control = str(launcher), control
        self.cgroup = cgroup if cgroup is not None else Cgroup()

    def run(self, command, environment=None, limit_s=600.0, json_expected=True):
        """The Outcome of one run. Only a launcher that is missing or broken raises."""
        command = [str(word) for word in command]
        outcome = Outcome(command, dict(environment or {}))
        with tempfile.TemporaryDirectory(prefix="bench-") as folder:
            out, err, result = (pathlib.Path(folder) / name for name in ("out", "err", "result"))
            group = self.cgroup.begin()
            with open(out, "wb") as out_file, open(err, "wb") as err_file:
                launched = subprocess.run(
                    [self.launcher, result, str(limit_s), group, "1" if self.control else "0", *command],
                    stdin=subprocess.DEVNULL, stdout=out_file, stderr=err_file,
                    env=clean_environment() | outcome.environment, check=False)
            outcome.stdout = out.read_text(encoding="utf-8", errors="replace")
            outcome.stderr = err.read_text(encoding="utf-8", errors="replace")
            if launched.returncode != 0 or not result.is_file():
                raise RuntimeError(f"{self.launcher} failed (status {launched.returncode}): {tail(outcome.stderr)}")
            outcome.cost = json.loads(result.read_text(encoding="ascii"))
            outcome.peak_mb = self.cgroup.peak_mb() if group != "-" else outcome.cost["maxrss_kb"] / 1024
        outcome.failure = explain(outcome.cost, limit_s)
        if outcome.failure is None and json_expected:
            try:
                outcome.said = json.loads(outcome.stdout.rstrip().splitlines()[-1])
                if not isinstance(outcome.said, dict):
                    raise ValueError
            except (IndexError, ValueError):
                outcome.said = {}
                outcome.failure = "the last line of its output is no JSON object"
        return outcome


# Settings of the caller that would change what a collector does.
SETTINGS = ("GOGC", "GOMEMLIMIT", "GOMAXPROCS", "GODEBUG", "GCTRACE", "JAVA_TOOL_OPTIONS", "LD_PRELOAD",
            "MALLOC_ARENA_MAX", "GLIBC_TUNABLES")


def clean_environment():
    return {key: value for key, value in os.environ.items()
            if key not in SETTINGS and not key.startswith(("GC_", "MIMALLOC_", "MALLOC_"))}
