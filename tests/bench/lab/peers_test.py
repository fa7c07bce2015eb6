"""Who is compared, and what a collector's own log says that it cost."""
import unittest

import support  # noqa: F401
from lab import peers

TOTAL = {"wall_s": 2.0, "cpu_s": 3.0}
GCTRACE = ("gc 1 @0.010s 4%: 10+23+20 ms clock, 1.0+2.0/3.0/4.0+5.0 ms cpu, 3->8->7 MB, 4 MB goal, 0 MB stacks, "
           "0 MB globals, 2 P\nsomething else\n")
JAVA = """[0.018s] Using G1
[0.214s] GC(0) Pause Young (Normal) (G1 Evacuation Pause) 23M->4M(256M) 3.500ms
[0.214s] GC(0)   Evacuate Collection Set: 3.2ms
[0.214s] GC(0) User=0.01s Sys=0.02s Real=0.00s
[0.300s] GC(1) Concurrent Mark 100.000ms
[0.314s] GC(1) Pause Remark 5M->5M(256M) 0.500ms
[0.314s] GC(1) User=0.00s Sys=0.00s Real=0.00s
"""
BOEHM = "World-stopped marking took 9 ms 0 ns (1 ms in average)\nComplete collection took 10 ms 500000 ns\n" * 2


class CollectorCost(unittest.TestCase):
    def cost(self, name, log):
        found = peers.collector_cost(peers.by_name(name), log, TOTAL)
        return round(found["wall_s"], 6), round(found["cpu_s"], 6)

    def test_tricolor_stops_nobody(self):
        self.assertEqual(self.cost("tricolor", GCTRACE), (0.0, 0.015))

    def test_go_stops_all_twice(self):
        # The first and the last figure of its CPU are those pauses times the processors.
        self.assertEqual(self.cost("go", GCTRACE), (0.030, 0.039))

    def test_java_tells_pauses_and_their_processor_time(self):
        self.assertEqual(self.cost("java-g1", JAVA), (0.004, 0.03))

    def test_boehm_tells_pauses_alone(self):
        self.assertEqual(self.cost("boehm", BOEHM), (0.021, 0.0315))

    def test_no_log_costs_nothing(self):
        for peer in peers.ALL:
            self.assertEqual(peers.collector_cost(peer, "", TOTAL), {"wall_s": 0.0, "cpu_s": 0.0}, peer.name)


class Limits(unittest.TestCase):
    def test_every_collector_can_be_limited_and_traced(self):
        for peer in [peer for peer in peers.ALL if peer.collects]:
            words, environment = peers.limited(peer, 100)
            self.assertIn("100", " ".join([*words, *environment.values()]).replace("104857600", "100"), peer.name)
            self.assertNotEqual(peers.traced(peer), ([], {}), peer.name)

    def test_missing_peers_say_why(self):
        for entry in peers.missing("/nonexistent"):
            self.assertTrue(entry["why"], entry)
        self.assertIn("Boehm GC", [entry["peer"] for entry in peers.missing("/nonexistent")])


if __name__ == "__main__":
    unittest.main()
