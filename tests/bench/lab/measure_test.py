"""Running programs: those that work, that fail in every way, and that disagree."""
import unittest

import support
from lab import measure
from lab.case import Skipped

GOOD = {"checksum": "abc", "wall s": 1.5, "cpu s": 1.0, "collections": 3}


@unittest.skipUnless(support.LAUNCHER, support.NEEDS_LAUNCHER)
class Runs(unittest.TestCase):
    def setUp(self):
        self.session = support.session()

    def tearDown(self):
        self.session.runner.cgroup.close()

    def measured(self, *points, **more):
        return measure.measure(self.session, support.case(*points, **more))

    def outcome(self, command, **more):
        return self.session.runner.run(command, **more)

    def test_figures_are_the_programs_and_memory_the_launchers(self):
        result = self.measured(support.point("tricolor", support.saying(GOOD | {"peak MB": 9999})))
        figures = result["summary"][0]["figures"]
        self.assertEqual(figures["wall s"]["median"], 1.5)
        self.assertEqual(figures["wall s"]["runs"], 2)
        self.assertTrue(0 < figures["peak MB"]["median"] < 100, figures["peak MB"])

    def test_without_times_of_its_own_the_processs_stand(self):
        result = self.measured(support.point("tricolor", support.shell("sleep 0.05; echo '{\"checksum\": 1}'")))
        self.assertGreater(result["summary"][0]["figures"]["wall s"]["min"], 0.05)

    def test_points_take_turns(self):
        result = self.measured(*(support.point(peer, support.saying(GOOD)) for peer in ("tricolor", "boehm")), runs=4)
        self.assertEqual("".join(run["peer"][0] for run in result["runs"]), "tbbttbbt")

    def test_a_failing_program_is_named_with_all_there_is_and_the_rest_goes_on(self):
        result = self.measured(support.point("boehm", support.shell("echo gone wrong >&2; exit 3")),
                               support.point("tricolor", support.saying(GOOD)))
        failed = [run for run in result["runs"] if run["failure"]]
        self.assertEqual([run["failure"] for run in failed], ["exit status 3"] * 2)
        self.assertIn("exit 3", failed[0]["command"])
        self.assertEqual(failed[0]["stderr"], "gone wrong")
        self.assertEqual([row["runs"] for row in result["summary"]], [0, 2])
        self.assertEqual(result["summary"][0]["failed"], 2)
        self.assertTrue(any("exit status 3" in line and "gone wrong" in line for line in self.session.progress.lines))

    def test_a_point_that_fails_twice_is_not_run_again(self):
        result = self.measured(support.point("boehm", support.shell("exit 1")), runs=6)
        self.assertEqual(len(result["runs"]), measure.GIVE_UP_AFTER)

    def test_a_crash_names_the_signal(self):
        self.assertEqual(self.outcome(support.shell("kill -SEGV $$")).failure, "was ended by signal SIGSEGV")

    def test_a_program_that_does_not_end_is_ended_with_its_children(self):
        outcome = self.outcome(support.shell("sleep 60 & sleep 60"), limit_s=0.2)
        self.assertEqual(outcome.failure, "was ended after 0 s")
        self.assertLess(outcome.cost["wall_s"], 30)

    def test_a_program_that_is_not_there(self):
        self.assertIn("No such file", self.outcome(["/nonexistent/program"]).failure)

    def test_output_without_figures(self):
        for text in ("true", "echo nothing", "echo '[1]'", "echo '{}'; echo more"):
            self.assertIn("no JSON", self.outcome(support.shell(text)).failure, text)

    def test_output_that_is_no_text(self):
        self.assertIn("no JSON", self.outcome(support.shell(r"printf '\377\376\n'")).failure)

    def test_figures_that_make_no_sense(self):
        result = self.measured(support.point("tricolor", support.saying({"latency": {"unit": "weeks", "p50": 1}})))
        self.assertIn("unknown unit", result["runs"][0]["failure"])

    def test_checksums_that_differ_are_an_error(self):
        result = self.measured(support.point("tricolor", support.saying(GOOD)),
                               support.point("boehm", support.saying(GOOD | {"checksum": "xyz"})))
        self.assertEqual(result["mismatch"], ["checksum differs: abc: tricolor; xyz: boehm"])

    def test_checksums_may_differ_where_inputs_do(self):
        points = [support.point("tricolor", support.saying(GOOD), 1.0),
                  support.point("tricolor", support.saying(GOOD | {"checksum": "xyz"}), 2.0)]
        self.assertEqual(self.measured(*points, same_texts=False)["mismatch"], [])
        self.assertEqual(len(self.measured(*points)["mismatch"]), 1)

    def test_latency_is_told_in_microseconds(self):
        latency = {"unit": "ns", "p50": 1000, "max": 5000, "curve": [[50, 1000], [100, 5000]]}
        row = self.measured(support.point("tricolor", support.saying(GOOD | {"latency": latency})))["summary"][0]
        self.assertEqual(row["figures"]["latency max us"]["median"], 5)
        self.assertEqual(row["latency"], [[50, 1], [100, 5]])

    def test_the_callers_settings_do_not_reach_a_program(self):
        import os
        os.environ["GOGC"] = "1"
        try:
            outcome = self.outcome(support.shell("echo \"{\\\"gogc\\\": \\\"$GOGC\\\"}\""))
        finally:
            del os.environ["GOGC"]
        self.assertEqual(outcome.said, {"gogc": ""})

    def test_peak_is_the_programs_not_the_drivers(self):
        ballast = bytearray(200 * 2**20)
        outcome = self.outcome(support.saying(GOOD))
        self.assertEqual(len(ballast), 200 * 2**20)
        self.assertLess(outcome.peak_mb, 50)

    def test_the_control_thread_watches(self):
        self.session.runner.control = True
        control = self.outcome(support.shell("sleep 0.2; echo '{}'")).cost["control"]
        self.assertGreater(control["watched_s"], 0)

    def test_a_missing_launcher_is_no_result(self):
        with self.assertRaises((RuntimeError, OSError)):
            support.session("/nonexistent/launcher").runner.run(["true"])


class Skipping(unittest.TestCase):
    def test_a_case_that_cannot_be_measured_says_why(self):
        def prepare(_session, _case):
            raise Skipped("no memory")

        result = measure.measure(support.session(), support.case(prepare=prepare))
        self.assertEqual(result["skipped"], "no memory")


if __name__ == "__main__":
    unittest.main()
