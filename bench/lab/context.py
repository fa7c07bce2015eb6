"""What the suites plan with: folders, who is here, the programs and their twins, and how much is to be run."""
import dataclasses
import json
import pathlib
import shlex
import shutil
import subprocess

from lab import peers
from lab.case import Point
from lab.process import tail


@dataclasses.dataclass
class Context:
    root: pathlib.Path
    build_dir: pathlib.Path
    out_dir: pathlib.Path
    quick: bool
    runs: int
    extra: list = dataclasses.field(default_factory=list)  # arguments of the user's, for every program
    present: list = dataclasses.field(default_factory=list)
    problems: list = dataclasses.field(default_factory=list)  # for the report: what could not be built

    def executable(self, name):
        """A program of the build, or None."""
        for folder in ("bench", "bench/lab", "bench/programs", "bench/pool", "bench/replay"):
            path = self.build_dir / folder / name
            if path.is_file():
                return path
        return None

    def cpp_executable(self, program, peer):
        return self.executable(f"{program}-{peer.backend}")

    def programs(self):
        """bench/programs/programs.json, by name."""
        try:
            listed = json.loads((self.root / "bench/programs/programs.json").read_text(encoding="utf-8"))
        except OSError:
            return {}
        return {entry["name"]: entry for entry in listed}

    def arguments(self, entry):
        """What a program of the list is run with."""
        given = entry.get("quick_args" if self.quick else "args") or []
        words = shlex.split(given) if isinstance(given, str) else [str(word) for word in given]
        return words + self.extra


class Twins:
    """The programs' twins in Go and Java, compiled at the first use; one that does not compile is a problem."""

    def __init__(self, context):
        self.context = context
        self.go_dir = self.java_dir = None
        self.tried = set()

    def _compile(self, what, command, folder):
        try:
            result = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=600, check=False)
            problem = tail(result.stdout + result.stderr) if result.returncode else None
        except (OSError, subprocess.TimeoutExpired) as error:
            problem = str(error)
        if problem:
            self.context.problems.append(f"{what} did not compile: {problem}")
        return problem is None

    def go(self, entry):
        """The executable, or None."""
        source = self.context.root / "bench/programs/go"
        if not entry.get("go") or not shutil.which("go") or not source.is_dir():
            return None
        if "go" not in self.tried:
            self.tried.add("go")
            out = self.context.out_dir / "go"
            out.mkdir(parents=True, exist_ok=True)
            if self._compile("bench/programs/go", ["go", "build", "-o", f"{out}/", "./..."], source):
                self.go_dir = out
        name = entry["go"]
        path = self.go_dir / name if self.go_dir else None
        return path if path and path.is_file() else None

    def java(self, entry):
        """(folder of classes, name of the class), or None."""
        source = self.context.root / "bench/programs/java"
        if not entry.get("java") or not shutil.which("javac") or not source.is_dir():
            return None
        if "java" not in self.tried:
            self.tried.add("java")
            out = self.context.out_dir / "java"
            out.mkdir(parents=True, exist_ok=True)
            files = [str(path) for path in sorted(source.rglob("*.java"))]
            if self._compile("bench/programs/java", ["javac", "-nowarn", "-d", str(out), *files], source):
                self.java_dir = out
        name = entry["java"]
        if self.java_dir and (self.java_dir / f"{name.replace('.', '/')}.class").is_file():
            return self.java_dir, name
        return None


def program_point(context, twins, entry, peer, arguments, x=None, heap_mb=None, trace=True):
    """The point of a program at a peer, or None when that peer has no such program."""
    java_words, environment = [], {}
    if heap_mb is not None:
        java_words, environment = peers.limited(peer, heap_mb)
    if peer.language == "C++":
        listed = entry.get("backends")
        executable = context.cpp_executable(entry.get("program", entry["name"]), peer)
        if executable is None or (listed and peer.backend not in listed):
            return None
        command, environment = [executable, *arguments], environment | peers.preload(peer)
    elif peer.language == "Go":
        executable = twins.go(entry)
        if executable is None:
            return None
        command = [executable, *arguments]
    else:
        found = twins.java(entry)
        if found is None:
            return None
        folder, name = found
        command = ["java", peer.option, *java_words, "-cp", folder, name, *arguments]
    point = Point(peer.name, peer.title, command, environment, x)
    if trace and peer.collects:
        words, more = peers.traced(peer)
        traced_command = command[:2] + words + command[2:] if peer.language == "Java" else command
        point.traced = Point(peer.name, peer.title, traced_command, environment | more, x)
    return point


def chosen_peers(context, few=False):
    """With --quick, or where a case has many places, one collector of Java stands for all of them, and glibc's malloc
    for those that are preloaded."""
    if not context.quick and not few:
        return context.present
    java = [peer for peer in context.present if peer.language == "Java"]
    return [peer for peer in context.present if peer not in java[1:] and not peer.library]
