"""The report on the terminal."""
from lab import compare, machine, tables
from lab.measure import failure_text


def headline(case):
    """A case in a few words, for the line of progress."""
    if "skipped" in case:
        return f"skipped: {case['skipped']}"
    figures = compare.main_figures(case)
    failed = sum(row["failed"] for row in case["summary"])
    text = ""
    if figures:
        figure = figures[0]
        said = [f"{row['peer']}{'' if row['x'] is None else '@' + format(row['x'], 'g')} "
                f"{tables.number(row['figures'][figure]['median'])}"
                for row in case["summary"] if figure in row["figures"]]
        more = f" and {len(said) - 6} more" if len(said) > 6 else ""
        text = f"{figure} {', '.join(said[:6])}{more}"
    return text + f"; {failed} runs FAILED" * bool(failed) + "; CHECKSUMS DIFFER" * bool(case["mismatch"])


def render(table):
    lines = [table.title, "-" * len(table.title)]
    if not table.rows:
        lines.append("nowhere that the intervals would show")
        return "\n".join(lines)
    grid = [table.header, *table.rows]
    columns = max(map(len, grid))
    grid = [row + [""] * (columns - len(row)) for row in grid]
    used = [column for column in range(columns) if any(row[column] for row in grid)]
    widths = {column: max(len(row[column]) for row in grid) for column in used}
    for row in grid:
        lines.append("  ".join(row[column].ljust(widths[column]) if column == 0 or not row[column][:1].isdigit()
                               and not row[column].startswith("x") and row is not table.header
                               else row[column].rjust(widths[column]) for column in used).rstrip())
    if table.note:
        lines.append(table.note)
    return "\n".join(lines)


def report(results):
    parts = [render(table) for table in tables.overview(results, most_losses=25)]
    failures = compare.failures(results)
    if failures:
        told = [f"{case}: {failure_text(run)}" for case, run in failures]
        parts.append("\n".join(["FAILED RUNS", "-----------", *told]))
    mismatches = compare.mismatches(results)
    if mismatches:
        parts.append("\n".join(["CHECKSUMS THAT DIFFER", "---------------------",
                                *[f"{case}: {text}" for case, text in mismatches]]))
    parts.append(f"{machine.sentence(results['machine'])}.\nPeak memory: {results['peak_source']}. "
                 f"{compare.machine_sentence(results)}")
    return "\n" + "\n\n".join(parts) + "\n"
