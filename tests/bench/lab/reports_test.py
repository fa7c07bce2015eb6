"""What reports say: losses as plainly as wins, failures, what is missing; and files that are no results."""
import json
import pathlib
import tempfile
import unittest

import support
from lab import __main__ as command
from lab import compare, report_html, report_markdown, report_text, results, tables

WIN = support.made({"tricolor": [1.0, 1.1, 0.9], "boehm": [2.0, 2.1, 1.9]}, name="quick-one")
LOSS = support.made({"tricolor": [4.0, 4.1, 3.9], "malloc": [1.0, 1.1, 0.9]}, name="slow-one")
EVEN = support.made({"tricolor": [1.0, 3.0, 2.0], "go": [1.1, 2.9, 2.1]}, name="even-one")


def failed_case():
    case = support.made({"tricolor": [1.0, 1.0], "boehm": [2.0]}, name="crashing")
    case["runs"].append({"peer": "boehm", "x": None, "failure": "exit status 3", "cost": support.cost(), "figures": {},
                         "texts": {}, "command": "crashing-boehm --depth=3", "stderr": "out of memory"})
    case["summary"][1]["failed"] = 1
    case["mismatch"] = ["checksum differs: a: tricolor; b: boehm"]
    return case


class Verdicts(unittest.TestCase):
    def verdicts(self, case):
        return [entry["verdict"] for entry in compare.comparisons(case)]

    def test_only_an_interval_on_one_side_decides(self):
        self.assertEqual([self.verdicts(case) for case in (WIN, LOSS, EVEN)], [["less"], ["more"], ["even"]])

    def test_where_more_is_better_the_ratio_turns_around(self):
        case = support.made({"tricolor": [0.9, 0.91], "go": [0.5, 0.51]}, main=("mmu 1 ms",), figure="mmu 1 ms")
        self.assertEqual(self.verdicts(case), ["less"])

    def test_losses_come_the_worst_first(self):
        worse = support.made({"tricolor": [9.0, 9.0], "malloc": [1.0, 1.0]}, name="worst-one")
        found = [entry["case"] for entry in compare.losses(support.results(WIN, LOSS, worse))]
        self.assertEqual(found, ["programs/worst-one", "programs/slow-one"])


class Reports(unittest.TestCase):
    def everywhere(self, found, wanted):
        for name, text in (("terminal", report_text.report(found)), ("markdown", report_markdown.text(found)),
                           ("page", report_html.page(found))):
            for word in wanted:
                self.assertIn(word, text, name)

    def test_losses_are_told(self):
        self.everywhere(support.results(WIN, LOSS), ["Where tricolor loses", "programs/slow-one", "x4.00"])

    def test_failures_and_mismatches_are_told(self):
        self.everywhere(support.results(failed_case()),
                        ["exit status 3", "crashing-boehm --depth=3", "checksum differs: a: tricolor; b: boehm"])

    def test_missing_peers_are_named(self):
        self.everywhere(support.results(WIN), ["Java ZGC", "no JDK is installed"])

    def test_a_skipped_case_is_named(self):
        skipped = {"suite": "scaling", "name": "live", "title": "t", "main": [], "skipped": "no memory", "notes": []}
        self.everywhere(support.results(WIN, skipped), ["no memory"])

    def test_a_peer_that_always_failed_has_no_figure_but_a_word(self):
        case = failed_case()
        case["runs"] = [run for run in case["runs"] if run["peer"] == "tricolor" or run["failure"]]
        case["summary"][1] |= {"figures": {}, "runs": 0}
        matrix = tables.matrix(support.results(case), "programs", "wall s", "Programs")
        self.assertEqual(matrix.rows, [["crashing", "1.00", "failed"]])

    def test_the_page_needs_nothing_else(self):
        page = report_html.page(support.results(WIN, LOSS))
        for word in ("http://", "https://", "<script", "<link"):
            self.assertNotIn(word, page)

    def test_names_are_escaped(self):
        page = report_html.page(support.results(support.made({"tricolor": [1.0]}, name="<b>")))
        self.assertNotIn("programs/<b>", page)

    def test_nothing_measured_still_makes_a_report(self):
        self.everywhere(support.results(), ["Where tricolor loses"])


class Files(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.path = pathlib.Path(self.folder.name) / "results.json"

    def tearDown(self):
        self.folder.cleanup()

    def test_what_is_saved_is_read(self):
        results.save(support.results(WIN), self.path)
        self.assertEqual(results.load(self.path)["cases"][0]["name"], "quick-one")

    def test_what_is_no_results_is_refused(self):
        for text, wanted in (("{", "no JSON"), ("[]", "schema None"), (json.dumps({"schema": 99}), "schema 99")):
            self.path.write_text(text, encoding="utf-8")
            with self.assertRaisesRegex(results.Unreadable, wanted):
                results.load(self.path)

    def test_a_missing_file_is_refused(self):
        with self.assertRaisesRegex(results.Unreadable, "No such file"):
            results.load(self.path)


class Selection(unittest.TestCase):
    CASES = [support.Case(suite, name, name, [], 1) for suite, name in (
        ("programs", "binary-trees"), ("curve", "binary-trees"), ("micro", "mark-order"), ("micro", "allocate"))]

    def chosen(self, *names):
        return [case.id for case in command.select(self.CASES, names)]

    def test_by_name_suite_and_pattern(self):
        self.assertEqual(self.chosen("binary-trees"), ["programs/binary-trees"])
        self.assertEqual(self.chosen("curve"), ["curve/binary-trees"])
        self.assertEqual(self.chosen("mark-*", "micro/allocate"), ["micro/mark-order", "micro/allocate"])
        self.assertEqual(len(self.chosen()), 4)

    def test_an_unknown_name_is_an_error(self):
        with self.assertRaisesRegex(ValueError, "no benchmark nonsense"):
            self.chosen("allocate", "nonsense")


if __name__ == "__main__":
    unittest.main()
