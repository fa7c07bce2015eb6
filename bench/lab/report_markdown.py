"""bench/RESULTS.md: the last full run."""
from lab import compare, machine, sittings, tables
from lab.schedule import duration


def escaped(text):
    return text.replace("|", "\\|").replace("\n", " ")


def render(table):
    lines = [f"## {table.title}", ""]
    if table.note:
        lines += [table.note, ""]
    if not table.rows:
        return "\n".join(lines + ["Nowhere that the intervals would show.", ""])
    columns = max(len(row) for row in [table.header, *table.rows])
    for number, row in enumerate([table.header, *table.rows]):
        row = row + [""] * (columns - len(row))
        lines.append("| " + " | ".join(map(escaped, row)) + " |")
        if number == 0:
            lines.append("|" + "---|" * columns)
    return "\n".join(lines + [""])


def in_sittings(results):
    return f", in {results['sittings']} sittings" if results.get("sittings", 1) > 1 else ""


def text(results):
    versions = "; ".join(f"{title}: {version}" for title, version in results["machine"]["peers"].items())
    parts = ["# Results", "",
             f"The run of {results['created']}, {results['mode']}, {results['runs']} runs of each, "
             f"{duration(results['seconds'])} in all{in_sittings(results)}; written by `tools/dev bench`. How it is "
             "measured: bench/lab/README.md.", "",
             f"**Machine.** {machine.sentence(results['machine'])}.", "",
             *[line for commit, cases in sittings.older_commits(results).items()
               for line in (f"**Measured at {commit}:** {', '.join(cases)}.", "")],
             f"**Peers.** {versions}.", "",
             f"**Peak memory.** {results['peak_source']}.", "",
             f"**The machine's own part.** {compare.machine_sentence(results)}", ""]
    failures = compare.failures(results)
    parts += ["## Failed runs", ""] if failures else []
    parts += [f"- {case}: {run['peer']}: {escaped(run['failure'])}: `{without_folders(run['command'])}`"
              for case, run in failures]
    parts += [""] * bool(failures)
    mismatches = compare.mismatches(results)
    parts += ["## Checksums that differ", ""] if mismatches else []
    parts += [f"- {case}: {escaped(told)}" for case, told in mismatches]
    parts += [""] * bool(mismatches)
    parts += [render(table) for table in tables.overview(results)]
    return wrapped("\n".join(parts).rstrip() + "\n")


def without_folders(command):
    """Where the program lay on the machine of the run is nobody's business."""
    return " ".join(word.rsplit("/", 1)[-1] if word.startswith("/") else word for word in command.split(" "))


def wrapped(document, columns=118):
    """Long paragraphs in lines; tables and code stay as they are."""
    lines = []
    for line in document.split("\n"):
        while len(line) > columns and not line.startswith(("|", "-")):
            cut = line.rfind(" ", 0, columns)
            if cut <= 0:
                break
            lines.append(line[:cut])
            line = line[cut + 1:]
        lines.append(line)
    return "\n".join(lines)
