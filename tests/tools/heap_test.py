"""tools/heap, the snapshots that it reads, and tools/gdb: a heap of known shape (tests/observe/heap_program.cc) seen
from outside. The structure of a snapshot is checked with Python's own JSON, not with the tool."""
import importlib.machinery
import importlib.util
import json
import os
import pathlib
import random
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
PROGRAM = os.environ.get("HEAP_PROGRAM", "")
LEAVES = 50


def load_tool():
    loader = importlib.machinery.SourceFileLoader("heap_tool", str(ROOT / "tools/heap"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("heap_tool", loader))
    sys.dont_write_bytecode = True
    loader.exec_module(module)
    return module


def run(*arguments):
    """(status, stdout, stderr) of the tool."""
    result = subprocess.run([sys.executable, ROOT / "tools/heap", *map(str, arguments)], capture_output=True, text=True,
                            check=False)
    return result.returncode, result.stdout, result.stderr


def write_snapshot(mode, path, *more, types=True):
    environment = {key: value for key, value in os.environ.items() if key != "GODEBUG"}
    if types:
        environment["GODEBUG"] = "types=1"
    return subprocess.run([PROGRAM, mode, path, *more], env=environment, capture_output=True, text=True, timeout=120,
                          check=True).stdout


# What the tool says of it is known by heart: the format's smallest case.
SMALL = {
    "snapshot": {"meta": {"node_fields": ["type", "name", "id", "self_size", "edge_count", "trace_node_id",
                                          "detachedness"],
                          "node_types": [["hidden", "array", "string", "object", "code", "closure", "regexp", "number",
                                          "native", "synthetic"], "string", "number", "number", "number", "number",
                                         "number"],
                          "edge_fields": ["type", "name_or_index", "to_node"],
                          "edge_types": [["context", "element", "property", "internal", "hidden", "shortcut", "weak"],
                                         "string_or_number", "node"]},
                 "node_count": 5, "edge_count": 6, "tricolor": {"heap_base": "0x1000"}},
    # root -> Owner -> A -> B, Owner -> B, root -> Loose, B weakly to Loose
    "nodes": [9, 0, 2, 0, 2, 0, 0, 3, 1, 1, 64, 2, 0, 0, 3, 2, 9, 32, 1, 0, 0,
              3, 3, 13, 16, 1, 0, 0, 3, 4, 15, 48, 0, 0, 0],
    "edges": [1, 0, 7, 1, 1, 28, 2, 5, 14, 1, 8, 21, 1, 0, 21, 6, 0, 28],
    "strings": ["", "Owner", "A", "B", "Loose", "+0"],
}


class Files(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.TemporaryDirectory()
        self.addCleanup(self.directory.cleanup)

    def path(self, name):
        return os.path.join(self.directory.name, name)

    def small(self, change=lambda snapshot: None):
        snapshot = json.loads(json.dumps(SMALL))
        change(snapshot)
        path = self.path("small.heapsnapshot")
        pathlib.Path(path).write_text(json.dumps(snapshot), encoding="utf-8")
        return path


class Tool(Files):
    def test_golden_output(self):
        path = self.small()
        self.assertEqual(run("types", path), (0, """\
       count          bytes  type
           1             64  Owner
           1             48  Loose
           1             32  A
           1             16  B
           4            160  in 4 types
""", ""))
        self.assertEqual(run("largest", path), (0, """\
   keeps bytes     objects  what
           112           3  Owner 0x1000
            48           1  Loose 0x1070
            32           1  A 0x1040   (of Owner 0x1000)
            16           1  B 0x1060   (of Owner 0x1000)
""", ""))
        self.assertEqual(run("dominators", path)[1], """\
           160  (root)
             112  Owner 0x1000
                32  A 0x1040
                16  B 0x1060
              48  Loose 0x1070
""")
        self.assertEqual(run("paths", path, "0x1068")[1], """\
  -> Owner 0x1000   by [0]
  -> B 0x1060   by [8]
""")
        self.assertEqual(run("paths", path, "@9")[1], """\
  -> Owner 0x1000   by [0]
  -> A 0x1040   by +0
""")

    def test_diff(self):
        old = self.small()
        new = self.path("new.heapsnapshot")
        os.rename(old, new)

        def grow(snapshot):
            snapshot["nodes"][29:32] = [1, 15, 64]  # Loose became another Owner
        old, new = new, self.small(grow)
        status, text, _ = run("diff", old, new)
        self.assertEqual(status, 0)
        self.assertEqual([line.split() for line in text.splitlines()[1:]], [
            ["+64", "+1", "1", "2", "Owner"], ["-48", "-1", "0", "0", "Loose"], ["+16", "+0", "in", "all"]])

    def test_what_is_not_there(self):
        path = self.small()
        for name in ("@77", "0x9999999", "Nobody"):
            status, _, error = run("paths", path, name)
            self.assertEqual(status, 1)
            self.assertIn(name, error)

    def test_bad_files(self):
        whole = json.dumps(SMALL)
        bad = {"empty": "", "text": "hello\n", "json": "{}", "list": "[1, 2, 3]",
               "short": whole[:len(whole) // 2], "shorter": whole[:-30]}
        for field, value in (("node_count", 6), ("edge_count", 5)):
            bad[field] = json.dumps({**SMALL, "snapshot": {**SMALL["snapshot"], field: value}})
        bad["beyond"] = json.dumps({**SMALL, "edges": SMALL["edges"][:-1] + [700]})
        bad["names"] = json.dumps({**SMALL, "strings": [""]})
        for name, text in bad.items():
            path = self.path(name)
            pathlib.Path(path).write_text(text, encoding="utf-8")
            status, _, error = run("types", path)
            self.assertEqual((name, status), (name, 2))
            self.assertIn(path, error)
            self.assertNotIn("Traceback", error)
        status, _, error = run("types", self.path("none"))
        self.assertEqual(status, 2)
        self.assertIn("No such file", error)

    def test_dominators_by_their_definition(self):
        tool = load_tool()
        seed = int(os.environ.get("TRICOLOR_SEED", random.randrange(1 << 30)))
        source = random.Random(seed)

        class Graph:
            def __init__(self, edges):
                self.edges, self.count, self.size = edges, len(edges), [1] * len(edges)

            def targets(self, node):
                return ((0, to) for to in self.edges[node])

            def is_object(self, _node):
                return True

            def reached(self, without=None):
                seen, stack = set(), [0]
                while stack:
                    node = stack.pop()
                    if node not in seen and node != without:
                        seen.add(node)
                        stack += self.edges[node]
                return seen

        for _ in range(300):
            count = source.randint(1, 12)
            graph = Graph([[source.randrange(count) for _ in range(source.randint(0, 3))] for _ in range(count)])
            found = tool.Dominators(graph)
            reached = graph.reached()
            for node in reached - {0}:
                kept = reached - graph.reached(node)
                self.assertEqual(found.retained[found.number[node]], len(kept), f"seed {seed}, {graph.edges}")


@unittest.skipUnless(PROGRAM, "HEAP_PROGRAM names no program")
class Snapshots(Files):
    def test_structure(self):
        path = self.path("graph")
        write_snapshot("graph", path, str(LEAVES))
        with open(path, encoding="utf-8") as file:
            data = json.load(file)
        head, nodes, edges, strings = data["snapshot"], data["nodes"], data["edges"], data["strings"]
        self.assertEqual(list(data), ["snapshot", "nodes", "edges", "trace_function_infos", "trace_tree", "samples",
                                      "locations", "strings"])
        width = len(head["meta"]["node_fields"])
        self.assertEqual(len(nodes), head["node_count"] * width)
        self.assertEqual(len(edges), head["edge_count"] * 3)
        types, names, ids, sizes, counts = (nodes[i::width] for i in range(5))
        self.assertEqual(sum(counts), head["edge_count"])
        self.assertEqual(len(set(ids)), len(ids))
        self.assertLess(max(names), len(strings))
        self.assertLess(max(types), len(head["meta"]["node_types"][0]))
        self.assertTrue(all(to % width == 0 and to < len(nodes) for to in edges[2::3]))
        self.assertEqual(strings[names[0]], "")
        self.assertIn("(GC roots)", [strings[names[to // width]] for to in edges[2:3 * counts[0]:3]])
        first = [0]
        for count in counts:
            first.append(first[-1] + count)
        seen, stack = {0}, [0]
        while stack:
            node = stack.pop()
            for edge in range(first[node], first[node + 1]):
                to = edges[3 * edge + 2] // width
                if to not in seen:
                    seen.add(to)
                    stack.append(to)
        self.assertEqual(len(seen), head["node_count"])
        by_type = {}
        for name, size in zip(names, sizes):
            if size:
                by_type[strings[name]] = by_type.get(strings[name], 0) + 1
        # A stack may keep a few more.
        self.assertEqual({name: by_type.get(name) for name in ("Tree", "Ring", "Leaf")},
                         {"Tree": 1023, "Ring": 100, "Leaf": LEAVES})
        self.assertIn("tricolor::gc::ptr<Tree>[]", by_type)

    def test_what_is_kept_by_what(self):
        path = self.path("graph")
        write_snapshot("graph", path, str(LEAVES))
        status, text, _ = run("largest", path)
        self.assertEqual(status, 0)
        self.assertRegex(text, r"1,12\d +Roots \(gc::root\)|1,17\d +Roots \(gc::root\)")
        status, text, _ = run("paths", path, "Ring")
        self.assertEqual(status, 0)
        self.assertIn("Roots (gc::root)", text)

    def test_what_has_come_since(self):
        write_snapshot("graph", self.path("old"), "10")
        write_snapshot("graph", self.path("new"), "1010")
        status, text, _ = run("diff", self.path("old"), self.path("new"))
        self.assertEqual(status, 0)
        self.assertRegex(text.splitlines()[1], r"\+32,000 +\+1,000 +[\d,]+ +1,010  Leaf")

    def test_the_queue_that_one_old_word_keeps(self):
        text = write_snapshot("queue", self.path("queue"), types=False)
        self.assertIn("slow_request", text)
        self.assertRegex(text, r"\d+ bytes in [12]\d{4} objects, from the QueueNode at \S+ kept by\n.*slow_request")
        self.assertRegex(text, r"\.\.\. \d+ more of them, each by the word at \+0")
        status, text, _ = run("largest", self.path("queue"))
        self.assertEqual(status, 0)
        # Where another frame has the same word, none of the two keeps the node alone.
        self.assertRegex(text, r"[12]\d,\d\d\d +(slow_request\(Queue\*\)|QueueNode \S+ +\(of (Stacks|thread))")


@unittest.skipUnless(PROGRAM, "HEAP_PROGRAM names no program")
@unittest.skipUnless(shutil.which("gdb"), "gdb is not installed")
class Debugger(Files):
    def gdb(self, *commands):
        arguments = ["gdb", "-q", "-batch", "-nx", "-ex", f"source {ROOT / 'tools/gdb/tricolor.py'}",
                     "-ex", "set breakpoint pending on", "-ex", "break stop_here", "-ex", "run"]
        for command in commands:
            arguments += ["-ex", command]
        result = subprocess.run([*arguments, "-ex", "kill", "--args", PROGRAM, "stop", self.path("address"), "20"],
                                capture_output=True, text=True, timeout=240, check=False)
        if "ptrace" in result.stderr or "Operation not permitted" in result.stderr:
            self.skipTest("programs cannot be traced here")
        return result.stdout + result.stderr

    def test_why(self):
        text = self.gdb("tricolor why tree.slot_->target", "tricolor histogram", "tricolor why",
                        f"tricolor snapshot {self.path('snapshot')}", "tricolor snapshot /none/x")
        self.assertIn("a gc::root (slot", text)
        self.assertRegex(text, r"-> Tree at 0x[0-9a-f]+")
        self.assertRegex(text, r"1023 +\d+  Tree")
        self.assertIn("tricolor why POINTER", text)
        self.assertIn("cannot make a file beside /none/x", text)
        self.assertEqual(run("types", self.path("snapshot"))[0], 0)

    def test_not_running(self):
        result = subprocess.run(["gdb", "-q", "-batch", "-nx", "-ex", f"source {ROOT / 'tools/gdb/tricolor.py'}",
                                 "-ex", "tricolor why 16"], capture_output=True, text=True, timeout=60, check=False)
        self.assertRegex(result.stderr, "not being run")


if __name__ == "__main__":
    unittest.main()
