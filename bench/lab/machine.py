"""What machine the figures come from, and what built the programs."""
import json
import os
import pathlib
import platform
import re
import shlex
import subprocess


def read(path, otherwise=""):
    try:
        return pathlib.Path(path).read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return otherwise


def first_line(command):
    """Of what a command prints on either stream; "" when it cannot be run."""
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    lines = (result.stdout + result.stderr).strip().splitlines()
    return lines[0] if result.returncode == 0 and lines else ""


def memory_mb(key="MemTotal"):
    match = re.search(rf"^{key}: +(\d+) kB", read("/proc/meminfo"), re.M)
    return int(match.group(1)) // 1024 if match else 0


def memory_limit_mb():
    """The control group's limit where it is lower than the machine's memory, else that memory."""
    limits = [memory_mb()]
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        text = read(path)
        if text.isdigit():
            limits.append(int(text) // 2**20)
    return min(limits)


def processors():
    return len(os.sched_getaffinity(0))


def chosen(text):
    """The bracketed word of a setting in /sys."""
    match = re.search(r"\[(\S+)\]", text)
    return match.group(1) if match else text or "unknown"


def reports_free_pages():
    """Whether a virtio balloon gives free memory back to the host: touching it again takes long."""
    reporting = 5  # a digit for each feature bit, the lowest first
    return any(read(features)[reporting:reporting + 1] == "1" for features in
               pathlib.Path("/sys/bus/virtio/drivers/virtio_balloon").glob("virtio*/features"))


def cpu_name():
    match = re.search(r"^model name\s*: (.*)$", read("/proc/cpuinfo"), re.M)
    return match.group(1) if match else platform.machine()


def caches():
    sizes = {}
    for index in sorted(pathlib.Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        level, kind = read(index / "level"), read(index / "type")
        if kind in ("Data", "Unified"):
            sizes[f"L{level}"] = read(index / "size")
    return sizes


def build_of(build_dir):
    """Compiler and options, from what Meson left in the build."""
    build_dir = pathlib.Path(build_dir)
    try:
        told = json.loads((build_dir / "meson-info/intro-buildoptions.json").read_text(encoding="utf-8"))
        options = {option["name"]: option["value"] for option in told}
        commands = json.loads((build_dir / "compile_commands.json").read_text(encoding="utf-8"))
        compiler = [word for word in shlex.split(commands[0]["command"]) if "ccache" not in word][0]
        return {"compiler": first_line([compiler, "--version"]) or compiler, "buildtype": options["buildtype"],
                "optimization": options["optimization"], "checks": options.get("checks", False)}
    except (OSError, ValueError, KeyError, IndexError):
        return {"compiler": "compiler unknown", "buildtype": "unknown"}


def commit_of(root):
    """The commit, and whether files differ from it; the report that a run itself writes does not count."""
    commit = first_line(["git", "-C", str(root), "rev-parse", "--short=12", "HEAD"])
    try:
        changed = subprocess.run(["git", "-C", str(root), "status", "--porcelain", "--untracked-files=no",
                                  "--", ".", ":!bench/RESULTS.md"],
                                 capture_output=True, text=True, timeout=20, check=False).stdout.strip()
    except (OSError, subprocess.TimeoutExpired):
        changed = ""
    return (commit or "unknown") + (" with changes" if changed else "")


def distribution():
    match = re.search(r'^PRETTY_NAME="?([^"\n]*)', read("/etc/os-release"), re.M)
    return match.group(1) if match else "unknown"


def describe(root, build_dir, peers):
    """`peers` is what peers.versions() gives."""
    return {
        "cpu": cpu_name(), "processors": processors(), "caches": caches(),
        "memory_mb": memory_limit_mb(), "memory_available_mb": memory_mb("MemAvailable"),
        "kernel": f"{platform.system()} {platform.release()}", "distribution": distribution(),
        "virtual": "hypervisor" in read("/proc/cpuinfo"),
        "huge_pages": chosen(read("/sys/kernel/mm/transparent_hugepage/enabled")),
        "reports_free_pages": reports_free_pages(),
        "governor": read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "not visible"),
        "load_before": round(os.getloadavg()[0], 2),
        "build": build_of(build_dir), "commit": commit_of(root), "peers": peers,
    }


def sentence(machine):
    """The machine in a paragraph, for reports."""
    build = machine["build"]
    caches_text = ", ".join(f"{level} {size}" for level, size in machine["caches"].items())
    return (f"{machine['processors']} {'virtual ' if machine['virtual'] else ''}processors of {machine['cpu']}"
            f"{f' ({caches_text})' if caches_text else ''}, {machine['memory_mb'] / 1024:.0f} GiB of memory, "
            f"{machine['distribution']}, {machine['kernel']}, transparent huge pages: {machine['huge_pages']}"
            f"{', free memory goes back to the host' if machine.get('reports_free_pages') else ''}; "
            f"{build['compiler']}, {build['buildtype']} build of {machine['commit']}; load before the first run "
            f"{machine['load_before']}")
