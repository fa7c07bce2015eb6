"""tools/dev bench: plans, measures, reports. bench/lab/README.md says how."""
import argparse
import fnmatch
import json
import pathlib
import shlex
import signal
import sys
import time

from lab import (compare, context, machine, measure, overhead, peers, process, report_html, report_markdown,
                 report_text, results, schedule, sittings, suite_curve, suite_micro, suite_programs, suite_scaling,
                 suite_traces)

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
SUITES = {"programs": suite_programs, "traces": suite_traces, "micro": suite_micro, "curve": suite_curve,
          "scaling": suite_scaling}
# Suites whose cases carry the name of a program that another suite has too: named in full only.
BY_FULL_NAME = ("curve", "scaling")
QUICK_BUDGET_S = 240
# What a run and a case take on two processors, until any has been seen.
QUICK_GUESS_S, FULL_GUESS_S = (0.5, 8), (1.5, 200)


def parse_arguments():
    words = sys.argv[1:]
    split = words.index("--") if "--" in words else len(words)
    parser = argparse.ArgumentParser(prog="tools/dev bench", description="Runs the benchmarks and reports.",
                                     usage="tools/dev bench [NAME...] [options] [-- ARGUMENTS OF THE PROGRAMS]")
    parser.add_argument("names", nargs="*", metavar="NAME",
                        help="suites or cases, with * and ?: programs, micro/mark-*, binary-trees; all without any")
    parser.add_argument("--quick", action="store_true", help="small inputs, 2 runs: in less than 5 minutes")
    parser.add_argument("--list", action="store_true", help="list the cases, run nothing")
    parser.add_argument("--runs", type=int, default=0, metavar="N", help="runs of each (10; 2 with --quick)")
    parser.add_argument("--budget", type=float, default=0, metavar="MINUTES",
                        help="begin nothing after so many minutes (4 with --quick, else none)")
    parser.add_argument("--resume", action="store_true",
                        help="go on with the last full run: keep what it measured of this very build")
    parser.add_argument("--again", action="store_true",
                        help="measure NAMEs anew and put them into the last full run, of whatever commit it is")
    parser.add_argument("--no-control", action="store_true", help="no control thread beside the runs")
    parser.add_argument("--results", action="store_true",
                        help="measure nothing: write bench/RESULTS.md and the page from the last full run")
    parser.add_argument("--build-dir", type=pathlib.Path, default=ROOT / "build-release", help=argparse.SUPPRESS)
    parser.add_argument("--out", type=pathlib.Path, metavar="DIR", help="where results go (BUILD/lab)")
    options = parser.parse_args(words[:split])
    options.extra = words[split + 1:]
    if options.runs < 0 or options.budget < 0:
        parser.error("expected positive numbers")
    if options.resume and options.quick:
        parser.error("--resume goes on with a full run, --quick makes none")
    if options.again and (options.quick or options.resume or not options.names):
        parser.error("--again wants the names of what is measured anew, and neither --quick nor --resume")
    options.runs = options.runs or (2 if options.quick else 10)
    options.build_dir = options.build_dir.resolve()
    options.out = (options.out or options.build_dir / "lab").resolve()
    return options


def matches(case, name):
    if name in (case.suite, case.id) or fnmatch.fnmatch(case.id, name):
        return True
    return case.suite not in BY_FULL_NAME and fnmatch.fnmatch(case.name, name)


def select(cases, names):
    """The cases that are meant; ValueError for a name that means none."""
    if not names:
        return cases
    for name in names:
        if not any(matches(case, name) for case in cases):
            raise ValueError(f"no benchmark {name}; tools/dev bench --list lists them")
    return [case for case in cases if any(matches(case, name) for name in names)]


def read_history(path):
    try:
        return {key: float(value) for key, value in json.loads(path.read_text(encoding="utf-8")).items()}
    except (OSError, ValueError, AttributeError):
        return {}


def measure_all(options, plan, cases, described, save):
    """Measures the cases; `save` gets the results after each."""
    launcher = plan.executable("bench-launch")
    if launcher is None:
        raise SystemExit(f"tools/dev bench: {options.build_dir}/bench/bench-launch does not exist: build first")
    kind = "quick" if options.quick else "full"
    created = time.strftime("%Y-%m-%d %H:%M:%S %Z")
    history_file = options.out / f"durations-{kind}.json"
    estimate = schedule.Estimate(read_history(history_file), *(QUICK_GUESS_S if options.quick else FULL_GUESS_S))
    progress = schedule.Progress()
    runner = process.Runner(launcher, control=not options.no_control)
    budget = options.budget * 60 or (QUICK_BUDGET_S if options.quick and not options.names else 0)
    session = measure.Session(runner, progress, estimate, plan, time.monotonic() + budget if budget else None,
                              total=len(cases))
    whole = [(case.id, 1) for case in cases]
    guessed = "" if all(case.id in estimate.history for case in cases) else "; the first time it is a guess"
    progress.line(f"{len(cases)} benchmarks, about {schedule.duration(estimate.remaining(whole))}{guessed}")
    measured, interrupted = [not_begun(case) for case in cases], False

    def found():
        return {"schema": results.SCHEMA, "created": created, "mode": kind, "runs": options.runs,
                "machine": described, "peak_source": runner.cgroup.source(),
                "missing": peers.missing(options.build_dir),
                "problems": plan.problems,
                "seconds": round(progress.elapsed(), 1), "interrupted": interrupted, "cases": measured}

    try:
        for number, case in enumerate(cases):
            session.done, session.later = number, whole[number + 1:]
            if session.over():
                break
            began = time.monotonic()
            measured[number] = measure.measure(session, case)
            estimate.ended(case.id, time.monotonic() - began)
            save(found())
            left = schedule.duration(estimate.remaining(whole[number + 1:]))
            progress.line(f"[{number + 1}/{len(cases)}] {case.id}: {report_text.headline(measured[number])}; "
                          f"{schedule.duration(progress.elapsed())} gone, about {left} left")
    except KeyboardInterrupt:
        progress.line("interrupted: what was measured is reported")
        interrupted = True
    finally:
        whole_of_it = found()
        runner.cgroup.close()
    history_file.parent.mkdir(parents=True, exist_ok=True)
    history_file.write_text(json.dumps(estimate.save(), indent=1) + "\n", encoding="utf-8")
    return whole_of_it


def not_begun(case):
    return {"suite": case.suite, "name": case.name, "title": case.title, "main": list(case.main),
            "skipped": "time was over", "notes": []}


def write_reports(found, out, stem):
    page = out / f"{stem}.html"
    page.write_text(report_html.page(found), encoding="utf-8")
    return page


def interrupt(_number, _frame):
    """SIGTERM interrupts as Ctrl-C does: a shell starts what it runs in the background with SIGINT ignored."""
    raise KeyboardInterrupt


def main():
    options = parse_arguments()
    signal.signal(signal.SIGTERM, interrupt)
    if options.results:
        if not (options.out / "results.json").is_file():
            raise ValueError(f"there is no full run in {options.out}: tools/dev bench makes one")
        found = results.load(options.out / "results.json")
        page = write_reports(found, options.out, "results")
        (ROOT / "bench/RESULTS.md").write_text(report_markdown.text(found), encoding="utf-8")
        print(f"bench/RESULTS.md, {page}")
        return 0

    plan = context.Context(ROOT, options.build_dir, options.out, options.quick, options.runs, options.extra,
                           peers.present(options.build_dir))
    twins = context.Twins(plan)
    cases = select([case for suite in SUITES.values() for case in suite.plan(plan, twins)], options.names)
    if options.list:
        for case in cases:
            print(f"{case.id:<28} {case.title}{' ' + shlex.join(case.arguments) if case.arguments else ''}")
        return 0
    options.out.mkdir(parents=True, exist_ok=True)
    is_full = options.resume or options.again or not (options.names or options.quick)
    stem = "results" if is_full else "quick" if options.quick and not options.names else "selected"
    described = machine.describe(ROOT, options.build_dir, peers.versions(options.build_dir))
    earlier, put_together = None, sittings.merged
    if options.again:
        earlier = sittings.kept_of_any_commit(options.out / "results.json", described, options.runs)
        put_together = sittings.renewed
    elif options.resume:
        earlier = sittings.kept(options.out / "results.json", described, options.runs)
        done = {f"{case['suite']}/{case['name']}" for case in earlier["cases"] if sittings.is_whole(case)}
        cases = [case for case in cases if case.id not in done]

    def save(found):
        found = put_together(found, earlier) if earlier else found
        found["overhead"] = overhead.of_results(found)
        results.save(found, options.out / f"{stem}.json")
        return found

    found = save(measure_all(options, plan, cases, described, save))
    page = write_reports(found, options.out, stem)
    print(report_text.report(found))
    if is_full and not found["interrupted"]:
        (ROOT / "bench/RESULTS.md").write_text(report_markdown.text(found), encoding="utf-8")
        print("bench/RESULTS.md is this run's")
    print(f"{page}\n{options.out / f'{stem}.json'}")
    return 1 if compare.failures(found) or compare.mismatches(found) else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (ValueError, results.Unreadable) as error:
        print(f"tools/dev bench: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
