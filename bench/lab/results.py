"""Results as a file: what it holds, and that a file is one we can read.

{"schema", "created", "mode", "runs", "machine", "peak_source", "missing", "problems", "seconds", "interrupted",
"cases", "overhead"}, and "sittings" of a run that was resumed.
A case: {"suite", "name", "title", "main", "arguments", "x_label", "points", "runs", "summary", "mismatch", "traced",
"notes"} or {"skipped"}; "commit" where it is not the run's; "minimum_mb" on curves; "broken_off" when time was over
before its last run. "runs" has every single run, "summary" each point's figures as median, low and high (the
bootstrap's 95% interval), min, max and number of runs. Times are s, us or ns as their names say, sizes MB of 2^20
bytes.
"""
import json
import os

SCHEMA = 1


class Unreadable(Exception):
    """A file that is no results, or of another schema."""


def save(results, path):
    """Whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".json.tmp")
    temporary.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    os.replace(temporary, path)


def load(path):
    try:
        results = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise Unreadable(f"{path}: {error.strerror}") from None
    except ValueError as error:
        raise Unreadable(f"{path} is no JSON: {error}") from None
    schema = results.get("schema") if isinstance(results, dict) else None
    if schema != SCHEMA:
        raise Unreadable(f"{path} has schema {schema}, this program reads {SCHEMA}")
    return results
