"""A full run in several sittings: what is kept, what is measured again, and what may not be put together."""
import pathlib
import tempfile
import unittest

import support
from lab import report_markdown, results, sittings

SKIPPED = {"suite": "programs", "name": "late", "title": "late", "main": [], "skipped": "time was over", "notes": []}


class Merging(unittest.TestCase):
    def test_whole_cases_are_kept_and_the_rest_is_the_new_ones(self):
        first = support.made({"tricolor": [1.0, 1.0]}, name="first")
        late = support.made({"tricolor": [2.0, 2.0]}, name="late")
        broken = support.made({"tricolor": [9.0]}, name="broken") | {"broken_off": True}
        whole = support.made({"tricolor": [3.0, 3.0]}, name="broken")
        found = sittings.merged(support.results(late, whole), support.results(first, SKIPPED, broken))
        self.assertEqual(found["cases"], [late, whole, first])
        self.assertEqual((found["sittings"], found["seconds"]), (2, 24.0))

    def test_what_is_not_measured_in_either_stays_unmeasured(self):
        found = sittings.merged(support.results(SKIPPED), support.results(SKIPPED))
        self.assertEqual(found["cases"], [SKIPPED])

    def test_what_was_not_asked_for_this_time_stays_named_as_unmeasured(self):
        first = support.made({"tricolor": [1.0]}, name="first")
        self.assertEqual(sittings.merged(support.results(first), support.results(SKIPPED))["cases"], [first, SKIPPED])

    def test_an_earlier_interruption_is_over_other_problems_stay(self):
        earlier = support.results() | {"interrupted": True, "problems": ["a twin did not compile"]}
        self.assertIn("the run was interrupted", report_markdown.text(earlier))
        for found in (sittings.merged(support.results(), earlier), sittings.renewed(support.results(), earlier)):
            self.assertEqual(found["problems"], ["a twin did not compile"])
            self.assertNotIn("interrupted", report_markdown.text(found))

    def test_a_third_sitting_counts(self):
        twice = sittings.merged(support.results(), support.results())
        self.assertEqual(sittings.merged(support.results(), twice)["sittings"], 3)


class Keeping(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.path = pathlib.Path(self.folder.name) / "results.json"

    def tearDown(self):
        self.folder.cleanup()

    def kept(self, earlier, machine=None, runs=3):
        results.save(earlier, self.path)
        return sittings.kept(self.path, earlier["machine"] | (machine or {}), runs)

    def test_the_same_build_on_the_same_machine_goes_on(self):
        earlier = support.results(support.made({"tricolor": [1.0]}))
        self.assertEqual(self.kept(earlier, {"load_before": 3.0})["cases"], earlier["cases"])

    def test_another_commit_or_number_of_runs_is_refused(self):
        with self.assertRaisesRegex(ValueError, "commit was abc, now it is def"):
            self.kept(support.results(), {"commit": "def"})
        with self.assertRaisesRegex(ValueError, "runs was 3, now it is 10"):
            self.kept(support.results(), runs=10)

    def test_again_takes_a_run_of_any_commit_and_names_it(self):
        results.save(support.results(support.made({"tricolor": [1.0]}, name="first"),
                                     support.made({"tricolor": [2.0]}, name="second")), self.path)
        now = support.results()["machine"] | {"commit": "def"}
        earlier = sittings.kept_of_any_commit(self.path, now, 3)
        new = support.made({"tricolor": [3.0]}, name="second")
        late = support.made({"tricolor": [9.0]}, name="first") | {"broken_off": True}
        found = sittings.renewed(support.results(new, late) | {"machine": now}, earlier)
        self.assertEqual([case["name"] for case in found["cases"]], ["first", "second"])
        self.assertEqual(found["cases"][1], new)
        self.assertEqual(sittings.older_commits(found), {"abc": ["programs/first"]})
        self.assertIn("**Measured at abc:** programs/first.", report_markdown.text(found))
        # A third commit: the first keeps its name, the second gets the run's.
        results.save(found, self.path)
        third = sittings.kept_of_any_commit(self.path, now | {"commit": "ghi"}, 3)
        self.assertEqual([case["commit"] for case in third["cases"]], ["abc", "def"])

    def test_again_refuses_another_machine(self):
        results.save(support.results(), self.path)
        with self.assertRaisesRegex(ValueError, "--again: .*processors was"):
            sittings.kept_of_any_commit(self.path, support.results()["machine"] | {"processors": 99}, 3)

    def test_nothing_to_go_on_with_is_refused(self):
        with self.assertRaisesRegex(ValueError, "no run to go on with"):
            sittings.kept(self.path, {}, 3)


if __name__ == "__main__":
    unittest.main()
