"""Statistics, the order of runs, estimates, and the search for the smallest heap."""
import random
import unittest

import support  # noqa: F401
from lab import overhead, schedule, stats, suite_curve
from lab.process import explain


class Bootstrap(unittest.TestCase):
    def test_equal_values_leave_no_doubt(self):
        self.assertEqual(stats.interval([3.0] * 10), (3.0, 3.0))
        self.assertEqual(stats.interval([3.0]), (3.0, 3.0))

    def test_interval_holds_the_median_and_lies_within_the_values(self):
        values = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 100.0]
        low, high = stats.interval(values)
        self.assertTrue(1 <= low < stats.median(values) < high < 100, (low, high))

    def test_known_bounds_of_two_values(self):
        # Both drawn alike in half of the resamples: a quarter lies at each value, more than 2.5%.
        self.assertEqual(stats.interval([1.0, 2.0]), (1.0, 2.0))

    def test_known_bounds_of_a_distribution(self):
        # The median of ten falls below the 3rd of them in 2% to 3% of all resamples, above the 8th likewise.
        low, high = stats.interval([float(value) for value in range(1, 11)])
        self.assertAlmostEqual(low, 3.0, delta=0.51)
        self.assertAlmostEqual(high, 8.0, delta=0.51)

    def test_covers_the_true_median_about_as_often_as_it_says(self):
        generator = random.Random(7)
        covered = 0
        for _ in range(400):
            low, high = stats.interval([generator.gauss(10, 2) for _ in range(12)], resamples=500)
            covered += low <= 10 <= high
        self.assertGreater(covered, 360)
        self.assertLess(covered, 399)

    def test_the_same_runs_give_the_same_interval(self):
        values = [random.Random(3).random() for _ in range(9)]
        self.assertEqual(stats.interval(values), stats.interval(list(reversed(values))))

    def test_ratio_of_samples_that_do_not_overlap(self):
        ratio, low, high = stats.ratio_interval([2.0, 2.1, 1.9], [1.0, 1.1, 0.9])
        self.assertAlmostEqual(ratio, 2.0)
        self.assertTrue(1 < low < 2 < high < 3, (low, high))

    def test_ratio_to_zero_is_none(self):
        self.assertIsNone(stats.ratio_interval([1.0], [0.0]))

    def test_geometric_mean(self):
        self.assertAlmostEqual(stats.geometric_mean([0.5, 2.0, 8.0]), 2.0)
        self.assertIsNone(stats.geometric_mean([]))


class Curves(unittest.TestCase):
    def test_median_of_curves_with_other_percentiles(self):
        curve = stats.median_curve([[[0, 1], [50, 10], [100, 30]], [[0, 3], [100, 23]]])
        self.assertEqual(curve, [[0, 2], [50, 11.5], [100, 26.5]])

    def test_nothing_of_nothing(self):
        self.assertEqual(stats.median_curve([]), [])


class Order(unittest.TestCase):
    def test_turns_go_forwards_and_backwards(self):
        self.assertEqual(schedule.turns(["a", "b"], 4), list("abbaabba"))
        self.assertEqual(schedule.turns(["a", "b", "c"], 3), list("abccbaabc"))

    def test_everyone_runs_equally_often(self):
        order = schedule.turns(list("abcd"), 5)
        self.assertEqual({name: order.count(name) for name in "abcd"}, dict.fromkeys("abcd", 5))


class Estimates(unittest.TestCase):
    def test_this_session_before_an_earlier_one_before_a_guess(self):
        estimate = schedule.Estimate({"a": 9.0, "b": 5.0}, guess_case_s=7.0)
        self.assertEqual(estimate.of("c"), 7.0)
        estimate.ended("a", 1.0)
        estimate.ended("a", 3.0)
        self.assertEqual([estimate.of(key) for key in "abc"], [2.0, 5.0, 2.0])
        self.assertEqual(estimate.remaining([("a", 2), ("b", 1)]), 9.0)

    def test_runs_tell_nothing_of_cases_that_have_many(self):
        estimate = schedule.Estimate(guess_run_s=2.0, guess_case_s=180.0)
        self.assertEqual([estimate.of("case"), estimate.of("case:peer")], [180.0, 2.0])
        for seconds in (1.0, 3.0):
            estimate.ended("case:peer", seconds)
        self.assertEqual([estimate.of("other"), estimate.of("other:peer")], [180.0, 2.0])
        estimate.ended("case", 90.0)
        estimate.ended("other", 110.0)
        self.assertEqual([estimate.of("third"), estimate.of("third:peer")], [100.0, 2.0])

    def test_history_keeps_what_was_not_run(self):
        estimate = schedule.Estimate({"a": 9.0, "b": 5.0})
        estimate.ended("a", 1.0)
        self.assertEqual(estimate.save(), {"a": 1.0, "b": 5.0})

    def test_durations_as_people_say_them(self):
        self.assertEqual([schedule.duration(s) for s in (0.2, 89, 150, 7500)], ["0 s", "89 s", "2 min", "2 h 05 min"])


class SmallestHeap(unittest.TestCase):
    def search(self, needed, high, tolerance=0.0):
        asked = []

        def works(megabytes):
            asked.append(megabytes)
            return megabytes >= needed
        return suite_curve.smallest(works, high, tolerance), asked

    def test_finds_it_from_above_and_from_below(self):
        for needed in (1, 2, 37, 64, 100, 255):
            self.assertEqual(self.search(needed, 64)[0], needed)

    def test_stops_when_close_enough(self):
        found, asked = self.search(1000, 4096, 0.1)
        self.assertTrue(1000 <= found <= 1100, found)
        self.assertLess(len(asked), 9)

    def test_gives_up_when_nothing_is_enough(self):
        self.assertIsNone(self.search(10_000, 64)[0])

    def test_a_soft_limit_that_is_passed_does_not_fit(self):
        record = {"failure": None, "figures": {"peak MB": 200.0}}
        self.assertTrue(suite_curve.fits(record, False, 100))
        self.assertFalse(suite_curve.fits(record, True, 100))
        self.assertTrue(suite_curve.fits(record, True, 190))


class Overhead(unittest.TestCase):
    def test_distilled_cost_is_the_least_total_without_the_collectors_part(self):
        case = support.made({"tricolor": [10.0], "boehm": [12.0], "malloc": [11.0], "go": [20.0]})
        case["traced"] = {"boehm": {"wall_s": 24.0, "cpu_s": 24.0, "collector": {"wall_s": 8.0, "cpu_s": 8.0}}}
        found = {entry["peer"]: entry for entry in overhead.of_case(case)}
        # A third of Boehm's 12 s was its pauses.
        self.assertAlmostEqual(found["tricolor"]["distilled_s"], 8.0)
        self.assertEqual(found["tricolor"]["distilled_from"], "boehm")
        self.assertAlmostEqual(found["tricolor"]["overhead"], 0.25)
        self.assertAlmostEqual(found["boehm"]["overhead"], 0.5)
        # Another language is not compared with it.
        self.assertAlmostEqual(found["go"]["overhead"], 0.0)


class Failures(unittest.TestCase):
    BASE = {"exec_errno": 0, "timed_out": False, "signal": 0, "exit": 0}

    def test_each_kind_is_named(self):
        self.assertIsNone(explain(self.BASE, 5))
        self.assertEqual(explain(self.BASE | {"exit": 3}, 5), "exit status 3")
        self.assertEqual(explain(self.BASE | {"signal": 11}, 5), "was ended by signal SIGSEGV")
        self.assertEqual(explain(self.BASE | {"timed_out": True, "signal": 9}, 5), "was ended after 5 s")
        self.assertIn("No such file", explain(self.BASE | {"exec_errno": 2, "exit": 127}, 5))


if __name__ == "__main__":
    unittest.main()
