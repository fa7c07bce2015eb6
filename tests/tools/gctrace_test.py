"""tools/gctrace: both kinds of lines, whatever may stand between them, and input that is none."""
import json
import pathlib
import subprocess
import sys
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "bench"))
from lab import gctrace, heap_plot  # noqa: E402

OURS = ("gc 1 @0.006s 5%: 0.14+1.3+0.12 ms clock, 0.10+0/0.66/0.71+0.10 ms cpu, 4->4->4 MB, 4 MB goal, 0 MB stacks, "
        "0 MB globals, 2 P\n"
        "gc 1 detail: handshakes=8 max_handshake_us=20 stalls=0 max_stall_us=0 assists=3 max_assist_us=17\n"
        "gc 2 @1.000s 7%: 0.18+98+0.41 ms clock, 0.13+5.0/40/0+0.093 ms cpu, 10->16->8 MB, 12 MB goal, 0 MB stacks, "
        "0 MB globals, 2 P (forced)\n"
        "gc 2 detail: handshakes=8 max_handshake_us=26 stalls=1 max_stall_us=400 assists=3 max_assist_us=90\n")
GO = ("gc 1 @0.010s 4%: 0.15+23+0.21 ms clock, 0.31+0.77/1.9/0.095+0.43 ms cpu, 3->8->7 MB, 4 MB goal, 0 MB stacks, "
      "0 MB globals, 2 P\n"
      "gc 2 @0.063s 5%: 0.12+16+0.004 ms clock, 0.25+1.2/3.9/0.15+0.008 ms cpu, 13->14->8 MB, 15 MB goal, 0 MB stacks, "
      "0 MB globals, 2 P\n")
# Before Go 1.19 no stacks and globals.
OLD_GO = "gc 3 @0.100s 7%: 0.20+16+0.083 ms clock, 0.41+1.6/9.3/3.6+0.16 ms cpu, 13->16->9 MB, 16 MB goal, 8 P\n"


def run(text, *arguments):
    """(status, stdout, stderr) of the tool with the text as its input."""
    data = text if isinstance(text, bytes) else text.encode()
    result = subprocess.run([sys.executable, ROOT / "tools/gctrace", *arguments], input=data, capture_output=True,
                            check=False)
    return result.returncode, result.stdout.decode(), result.stderr.decode()


class Lines(unittest.TestCase):
    def test_every_field_is_read(self):
        cycle = gctrace.parse_cycle(OURS.splitlines()[2])
        self.assertEqual((cycle.number, cycle.at, cycle.share), (2, 1.0, 7))
        self.assertEqual(cycle.clock, (0.18, 98, 0.41))
        self.assertEqual(cycle.cpu, (0.13, 5.0, 40, 0, 0.093))
        self.assertEqual((cycle.start, cycle.end, cycle.live, cycle.goal), (10, 16, 8, 12))
        self.assertEqual((cycle.processors, cycle.forced), (2, True))

    def test_lines_of_go_and_of_old_go(self):
        trace = gctrace.parse((GO + OLD_GO).splitlines())
        self.assertEqual([cycle.live for cycle in trace.cycles], [7, 8, 9])
        self.assertEqual(trace.cycles[2].processors, 8)
        self.assertEqual(trace.broken, 0)

    def test_details_belong_to_their_cycle(self):
        trace = gctrace.parse(OURS.splitlines())
        self.assertEqual([cycle.detail["max_handshake_us"] for cycle in trace.cycles], [20, 26])

    def test_detail_of_another_cycle_is_broken(self):
        trace = gctrace.parse(["gc 4 detail: handshakes=8", *GO.splitlines(), "gc 9 detail: handshakes=8"])
        self.assertEqual(trace.broken, 2)

    def test_other_lines_are_passed_over(self):
        trace = gctrace.parse(["hello", "pacer: assist ratio=+1.0e+000", "scav 8 KiB work (bg)", "gc is mentioned",
                               "2026/11/22 10:00:00 " + GO.splitlines()[0]])
        self.assertEqual((len(trace.cycles), trace.broken), (1, 0))

    def test_every_truncation_is_broken_or_no_cycle(self):
        line = GO.splitlines()[0]
        for end in range(len("gc 1 @"), len(line) - len(" P")):
            trace = gctrace.parse([line[:end]])
            self.assertEqual((len(trace.cycles), trace.broken), (0, 1), line[:end])

    def test_numbers_that_begin_again_are_another_process(self):
        trace = gctrace.parse((OURS + GO).splitlines())
        self.assertEqual([len(process.cycles) for process in trace.processes], [2, 2])


class Summary(unittest.TestCase):
    def setUp(self):
        self.summary = gctrace.summarize(gctrace.parse(OURS.splitlines()).processes[0])

    def test_counts_and_time(self):
        self.assertEqual((self.summary["cycles"], self.summary["forced"]), (2, 1))
        self.assertAlmostEqual(self.summary["seconds"], 1.09859)

    def test_allocation_is_what_came_in_cycles_and_between(self):
        # 4 before the first, 10 - 4 between the two, 16 - 10 in the second.
        self.assertEqual(self.summary["allocated_mb"], 16)
        self.assertAlmostEqual(self.summary["allocated_mb_per_s_in_cycles"], 6 / (0.00156 + 0.09859))

    def test_share_of_the_collector(self):
        cpu = (0.10 + 0.66 + 0.71 + 0.10 + 0.13 + 5 + 40 + 0.093) / 1000
        self.assertAlmostEqual(self.summary["cpu_s"], cpu)
        self.assertAlmostEqual(self.summary["collector_share"], cpu / (2 * 1.09859))

    def test_handshakes_and_stalls(self):
        self.assertEqual(self.summary["max_handshake_us"]["p50"], 20)
        self.assertEqual(self.summary["max_handshake_us"]["max"], 26)
        self.assertEqual(self.summary["max_stall_us"]["max"], 400)

    def test_slope_is_that_of_most_points(self):
        points = [(x, 3 * x + (1000 if x == 7 else 0)) for x in range(20)]
        self.assertAlmostEqual(gctrace.slope(points), 3)

    def test_percentiles_by_nearest_rank(self):
        self.assertEqual([gctrace.percentile(range(1, 101), p) for p in (0, 50, 99, 100)], [1, 50, 99, 100])
        self.assertEqual(gctrace.percentile([], 50), 0)

    def test_one_cycle_at_time_zero(self):
        line = ("gc 1 @0.000s 0%: 0+0+0 ms clock, 0+0/0/0+0 ms cpu, 0->0->0 MB, 4 MB goal, 0 MB stacks, "
                "0 MB globals, 1 P")
        summary = gctrace.summarize(gctrace.parse([line]).processes[0])
        self.assertEqual(summary["allocated_mb_per_s"], 0)


class Sparkline(unittest.TestCase):
    def test_rises_with_the_values(self):
        line = heap_plot.sparkline(list(range(8)), list(range(1, 9)), width=8)
        self.assertEqual(line, "".join(sorted(line)))
        self.assertEqual((len(line), line[-1]), (8, "█"))

    def test_gaps_repeat_the_last(self):
        self.assertEqual(heap_plot.sparkline([0, 9], [1, 2], width=10, characters="ab"), "b" * 10)


class Tool(unittest.TestCase):
    def test_summary_of_a_pipe(self):
        status, out, err = run("noise\n" + OURS)
        self.assertEqual((status, err), (0, ""))
        self.assertIn("2 cycles, 1 forced", out)
        self.assertIn("longest handshake", out)

    def test_json(self):
        status, out, _ = run(GO, "--json")
        self.assertEqual(status, 0)
        self.assertEqual([entry["cycles"] for entry in json.loads(out)], [2])

    def test_live_tells_each_cycle(self):
        _, out, _ = run(GO, "--live")
        self.assertEqual(len([line for line in out.splitlines() if line.startswith("gc ")]), 2)

    def test_empty_input(self):
        status, out, err = run("")
        self.assertEqual((status, out), (1, ""))
        self.assertIn("standard input: empty", err)

    def test_nothing_of_a_cycle(self):
        status, _, err = run(b"\xff\xfe\x00 binary\nand text\n")
        self.assertEqual(status, 1)
        self.assertIn("no line of a cycle among 2 lines", err)

    def test_only_a_truncated_line(self):
        status, _, err = run(GO[:60])
        self.assertEqual(status, 1)
        self.assertIn("none can be read", err)

    def test_truncated_last_line_is_told(self):
        status, out, err = run(GO + OLD_GO[:50])
        self.assertEqual(status, 0)
        self.assertIn("2 cycles", out)
        self.assertIn("1 broken lines", err)

    def test_missing_file(self):
        status, _, err = run("", "/nonexistent/trace")
        self.assertEqual(status, 2)
        self.assertIn("/nonexistent/trace: No such file", err)

    def test_folder(self):
        self.assertEqual(run("", str(ROOT))[0], 2)


if __name__ == "__main__":
    unittest.main()
