"""Who is compared: the heaps of C++, Go and Java where their tools are installed; how each is limited and traced."""
import dataclasses
import functools
import os
import pathlib
import re
import shutil
import subprocess

from lab import gctrace, machine


@dataclasses.dataclass(frozen=True)
class Peer:
    """`backend` names the executable of a C++ peer; a preloaded allocator runs malloc's."""
    name: str
    title: str
    language: str
    collects: bool
    backend: str = ""
    library: str = ""
    option: str = ""


CPP = [
    Peer("tricolor", "tricolor", "C++", True, "tricolor"),
    Peer("boehm", "Boehm GC", "C++", True, "boehm"),
    Peer("malloc", "malloc (glibc)", "C++", False, "malloc"),
    Peer("mimalloc", "mimalloc", "C++", False, "malloc", library="libmimalloc.so"),
    Peer("jemalloc", "jemalloc", "C++", False, "malloc", library="libjemalloc.so"),
    Peer("shared", "shared_ptr", "C++", False, "shared"),
    Peer("arena", "arena, never freed", "C++", False, "arena"),
]
GO = [Peer("go", "Go", "Go", True)]
JAVA = [
    Peer("java-g1", "Java G1", "Java", True, option="-XX:+UseG1GC"),
    Peer("java-parallel", "Java Parallel", "Java", True, option="-XX:+UseParallelGC"),
    Peer("java-zgc", "Java ZGC", "Java", True, option="-XX:+UseZGC"),
    Peer("java-shenandoah", "Java Shenandoah", "Java", True, option="-XX:+UseShenandoahGC"),
]
ALL = CPP + GO + JAVA
PACKAGES = {"boehm": "libgc-dev", "mimalloc": "libmimalloc2.0", "jemalloc": "libjemalloc2", "go": "golang-go",
            "java": "openjdk-17-jdk-headless"}


def by_name(name):
    return next(peer for peer in ALL if peer.name == name)


@functools.cache
def library_path(name):
    """Where the loader finds a shared library, by the beginning of its name; None when it is not installed."""
    ldconfig = shutil.which("ldconfig", path=f"{os.environ.get('PATH', '')}:/sbin:/usr/sbin") or "ldconfig"
    try:
        listing = subprocess.run([ldconfig, "-p"], capture_output=True, text=True, check=False).stdout
    except OSError:
        return None
    match = re.search(rf"^\s*{re.escape(name)}\S* .*=> (\S+)$", listing, re.M)
    return match.group(1) if match else None


@functools.cache
def java_collector_works(option):
    return bool(machine.first_line(["java", option, "-version"]))


def missing_reason(peer, build_dir):
    """Why a peer cannot take part at all, or None."""
    if peer.language == "Go":
        return None if shutil.which("go") else "the Go toolchain is not installed"
    if peer.language == "Java":
        if not shutil.which("java") or not shutil.which("javac"):
            return "no JDK is installed"
        return None if java_collector_works(peer.option) else "this JDK was built without it"
    if peer.library and not library_path(peer.library):
        return f"{peer.library} is not installed"
    if peer.name == "boehm" and not any(pathlib.Path(build_dir).glob("bench/**/*-boehm")):
        return "libgc was not there when the project was built"
    return None


def present(build_dir, language=None):
    return [peer for peer in ALL
            if (language is None or peer.language == language) and missing_reason(peer, build_dir) is None]


def missing(build_dir):
    """For the report: who is not here, why, and the Debian package that brings it."""
    rows = []
    for peer in ALL:
        reason = missing_reason(peer, build_dir)
        if reason:
            package = PACKAGES.get(peer.name) or (PACKAGES["java"] if peer.language == "Java" else None)
            rows.append({"peer": peer.title, "why": reason, "package": package})
    return rows


def versions(build_dir):
    """Titles and versions of those that are here."""
    found = {}
    if shutil.which("go"):
        found["Go"] = machine.first_line(["go", "version"])
    if shutil.which("java"):
        found["Java"] = machine.first_line(["java", "-version"])
    for package, title in (("libgc1", "Boehm GC"), ("libmimalloc2.0", "mimalloc"), ("libjemalloc2", "jemalloc"),
                           ("libc6", "glibc")):
        version = machine.first_line(["dpkg-query", "-W", "-f", "${Version}\n", package])
        if version:
            found[title] = version
    return found


def preload(peer):
    """The environment that a C++ peer's executable runs with."""
    return {"LD_PRELOAD": library_path(peer.library)} if peer.library else {}


def limited(peer, megabytes):
    """How a collector is held to a heap of so many MB: (words behind `java`, environment)."""
    if peer.language == "Java":
        return [f"-Xms{megabytes}m", f"-Xmx{megabytes}m"], {}
    if peer.name == "boehm":
        return [], {"GC_MAXIMUM_HEAP_SIZE": str(megabytes * 2**20)}
    return [], {"GOGC": "off", "GOMEMLIMIT": f"{megabytes}MiB"}


def limit_is_soft(peer):
    """Whether the program goes on beyond the limit, so that its peak has to be looked at."""
    return peer.name in ("tricolor", "go")


def traced(peer):
    """How a collector is made to tell of its cycles on stderr: (words behind `java`, environment)."""
    if peer.language == "Java":
        return ["-Xlog:gc,gc+cpu,gc+phases:stderr:uptime"], {}
    if peer.name == "boehm":
        return [], {"GC_PRINT_STATS": "1"}
    if peer.name == "go":
        return [], {"GODEBUG": "gctrace=1"}
    return [], {"GCTRACE": "2"}


JAVA_PAUSE = re.compile(r"\] GC\(\d+\) Pause .* (\d+(?:\.\d+)?)ms$", re.M)
JAVA_CPU = re.compile(r"\] GC\(\d+\) User=(\d+(?:\.\d+)?)s Sys=(\d+(?:\.\d+)?)s")
BOEHM_COLLECTION = re.compile(r"Complete collection took (\d+) ms (\d+) ns")


def collector_cost(peer, stderr, total):
    """What the collector's own account attributes to it: {"wall_s", "cpu_s"}, each what is surely its own.

    Wall: the times for which all threads of the program stood still. CPU: what it says it used; where its account
    has the wall time of pauses alone, the same part of the process's processor time, as the machine may have taken
    its share of both. `total` has the process's "wall_s" and "cpu_s".
    """
    if peer.name in ("tricolor", "go"):
        cycles = gctrace.parse(stderr.splitlines()).cycles
        cpu = sum(sum(cycle.cpu[1:4]) for cycle in cycles)
        if peer.name == "tricolor":
            cpu += sum(cycle.cpu[0] + cycle.cpu[4] for cycle in cycles)
            return {"wall_s": 0.0, "cpu_s": cpu / 1000}
        stopped = sum(cycle.clock[0] + cycle.clock[2] for cycle in cycles)
        return {"wall_s": stopped / 1000, "cpu_s": (cpu + stopped) / 1000}
    if peer.language == "Java":
        wall = sum(map(float, JAVA_PAUSE.findall(stderr))) / 1000
        cpu = sum(float(user) + float(system) for user, system in JAVA_CPU.findall(stderr))
        return {"wall_s": wall, "cpu_s": cpu}
    if peer.name == "boehm":
        wall = sum(int(ms) + int(ns) * 1e-6 for ms, ns in BOEHM_COLLECTION.findall(stderr)) / 1000
        return {"wall_s": wall, "cpu_s": wall / total["wall_s"] * total["cpu_s"] if total["wall_s"] else 0.0}
    return {"wall_s": 0.0, "cpu_s": 0.0}
