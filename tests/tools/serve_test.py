"""debug::serve as its clients see it: a program (tests/observe/serve_program.cc) that serves itself on a port of its
own. What Prometheus would read is parsed as strictly as its format is written, and by its own client where that is
installed."""
import gzip
import http.client
import json
import math
import os
import pathlib
import re
import signal
import socket
import subprocess
import tempfile
import unittest
import urllib.error
import urllib.request

PROGRAM = os.environ.get("SERVE_PROGRAM", "")
SANITIZED = bool(os.environ.get("SANITIZED"))
NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
SAMPLE = re.compile(rf'({NAME})(?:\{{((?:{NAME}="[^"\\\n]*"(?:,(?!\}}))?)+)\}})? (\S+)')
PAGES = ["/debug/pprof/heap", "/debug/pprof/allocs", "/debug/pprof/profile", "/debug/pprof/threads", "/debug/timeline",
         "/debug/snapshot", "/debug/lifetimes", "/metrics"]


class Served:
    """The program; `port` is what it says of the first address."""

    def __init__(self, *arguments, **environment):
        kept = {key: value for key, value in os.environ.items()
                if key not in ("TRICOLOR_SERVE", "TRICOLOR_PROFILE", "GCTRACE")}
        self.process = subprocess.Popen([PROGRAM, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True, env={**kept, **environment})
        self.first = self.process.stdout.readline().strip()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()

    def tell(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    def end(self):
        """(status, rest of stdout, stderr) after the end of its input."""
        out, err = self.process.communicate(timeout=120)
        return self.process.returncode, out, err


def get(port, path, **headers):
    """(status, content type, body)"""
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=120) as answer:
            return answer.status, answer.headers["Content-Type"], answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers["Content-Type"], error.read()


def refuses(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", int(port))) != 0


def value_of(text):
    if text in ("+Inf", "-Inf", "NaN"):
        return float(text)
    if not re.fullmatch(r"[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)?", text):
        raise ValueError(f"no number: {text}")
    return float(text)


def parse_metrics(text):
    """{family: (type, {(sample, labels): value})}, or ValueError."""
    families = {}
    current = None
    helps = set()
    if not text.endswith("\n"):
        raise ValueError("the last line has no end")
    for line in text[:-1].split("\n"):
        if line.startswith("# HELP "):
            name, words = re.fullmatch(rf"# HELP ({NAME}) (.+)", line).groups()
            if name in helps or "\\" in words:
                raise ValueError(line)
            helps.add(name)
        elif line.startswith("# TYPE "):
            current, kind = re.fullmatch(rf"# TYPE ({NAME}) (counter|gauge|summary|histogram|untyped)", line).groups()
            if current in families or current not in helps:
                raise ValueError(line)
            families[current] = (kind, {})
        else:
            match = SAMPLE.fullmatch(line)
            if not match:
                raise ValueError(f"no sample: {line!r}")
            name, labels, value = match.groups()
            kind, samples = families[current]
            if kind == "summary" and name in (current + "_sum", current + "_count"):
                pass
            elif name != current or (name, labels) in samples:
                raise ValueError(line)
            samples[name, labels] = value_of(value)
    return families


@unittest.skipUnless(PROGRAM, "no program was built")
class Serve(unittest.TestCase):
    def test_every_page(self):
        with Served("127.0.0.1:0") as served:
            port = served.first
            self.assertRegex(port, r"^[1-9]\d*$")
            for index in ("/", "/debug/", "/debug/pprof/"):
                status, kind, body = get(port, index)
                self.assertEqual((status, kind), (200, "text/html; charset=utf-8"))
                for page in PAGES:
                    self.assertIn(f'href="{page}', body.decode())
            for page in ("/debug/pprof/heap", "/debug/pprof/allocs"):
                status, kind, body = get(port, page)
                self.assertEqual((status, kind), (200, "application/octet-stream"), page)
                self.assertIn(b"inuse_space", gzip.decompress(body), page)
            status, kind, body = get(port, "/debug/pprof/threads")
            self.assertEqual((status, kind), (200, "text/plain; charset=utf-8"))
            self.assertIn(b"serve_program", body)
            status, kind, body = get(port, "/debug/lifetimes")
            self.assertEqual((status, kind), (200, "text/html; charset=utf-8"))
            self.assertTrue(body.startswith(b"<!DOCTYPE html>"))
            status, kind, body = get(port, "/debug/timeline?seconds=1")
            self.assertEqual((status, kind), (200, "application/json"))
            names = {event["name"] for event in json.loads(body)["traceEvents"]}
            self.assertIn("thread_name", names)
            status, _, body = get(port, "/nothing")
            self.assertEqual(status, 404)
            self.assertEqual(served.end(), (0, "ok\n", ""))

    def test_snapshot(self):
        with Served("127.0.0.1:0") as served, tempfile.TemporaryDirectory() as directory:
            with Served("localhost:0", TMPDIR=directory, GODEBUG="types=1") as other:
                status, kind, body = get(other.first, "/debug/snapshot")
                self.assertEqual((status, kind), (200, "application/json"), body[:200])
                snapshot = json.loads(body)
                self.assertIn("tricolor::tests::Item", snapshot["strings"])
                self.assertEqual(os.listdir(directory), [])
            # Nowhere to write: an answer, and the program goes on.
            with Served("localhost:0", TMPDIR=directory + "/none") as other:
                status, _, body = get(other.first, "/debug/snapshot")
                self.assertEqual(status, 500)
                self.assertIn(b"No such file or directory", body)
                self.assertEqual(other.end()[0], 0)
            self.assertNotEqual(served.first, other.first)

    @unittest.skipIf(SANITIZED, "sanitizers keep signals of processor time from the handler")
    def test_processor_time(self):
        with Served("127.0.0.1:0") as served:
            status, kind, body = get(served.first, "/debug/pprof/profile?seconds=1")
            self.assertEqual((status, kind), (200, "application/octet-stream"), body[:200])
            self.assertIn(b"nanoseconds", gzip.decompress(body))
            self.assertEqual(served.end()[0], 0)

    def test_metrics(self):
        with Served("127.0.0.1:0") as served:
            status, kind, body = get(served.first, "/metrics")
            self.assertEqual((status, kind), (200, "text/plain; version=0.0.4; charset=utf-8"))
            families = parse_metrics(body.decode())
            for name, (kind, samples) in families.items():
                self.assertTrue(name.startswith("tricolor_"), name)
                self.assertEqual(kind == "counter", name.endswith("_total"), name)
                self.assertTrue(samples, name)
                for sample, value in samples.items():
                    self.assertFalse(value < 0, sample)
            kind, samples = families["tricolor_gc_pause_seconds"]
            self.assertEqual(kind, "summary")
            cycles = samples["tricolor_gc_pause_seconds_count", None]
            self.assertEqual(cycles, families["tricolor_gc_cycles_total"][1]["tricolor_gc_cycles_total", None])
            if cycles > 0:
                quantiles = [value for (_, labels), value in samples.items() if labels]
                self.assertEqual(quantiles, sorted(quantiles))
                self.assertLess(quantiles[-1], 3600)
            sizes = families["tricolor_size_class_mallocs_total"][1]
            self.assertGreater(sum(sizes.values()), 1000)
            self.assertLessEqual(sum(sizes.values()),
                                 families["tricolor_mallocs_total"][1]["tricolor_mallocs_total", None])
            # What only grows does.
            later = parse_metrics(get(served.first, "/metrics")[2].decode())
            for name, (kind, samples) in families.items():
                for sample, value in samples.items():
                    if kind == "counter":
                        self.assertGreaterEqual(later[name][1][sample], value, sample)
        with Served("127.0.0.1:0", GOGC="off") as served:
            families = parse_metrics(get(served.first, "/metrics")[2].decode())
            self.assertTrue(math.isinf(families["tricolor_next_gc_bytes"][1]["tricolor_next_gc_bytes", None]))

    def test_metrics_by_prometheus_itself(self):
        try:
            from prometheus_client.parser import text_string_to_metric_families
        except ImportError:
            self.skipTest("python3-prometheus-client is not installed for this Python")
        with Served("127.0.0.1:0") as served:
            text = get(served.first, "/metrics")[2].decode()
            names = {family.name for family in text_string_to_metric_families(text)}
            self.assertIn("tricolor_heap_alloc_bytes", names)
            self.assertIn("tricolor_gc_pause_seconds", names)

    def test_the_parser_is_strict(self):
        good = "# HELP a_total Of a.\n# TYPE a_total counter\na_total{x=\"1\",y=\"2\"} 3\n"
        self.assertEqual(parse_metrics(good)["a_total"][1], {("a_total", 'x="1",y="2"'): 3})
        for bad in (good[:-1], good + good, good.replace("# HELP a_total Of a.\n", ""), good.replace("} 3", "}  3"),
                    good.replace("} 3", "} three"), good.replace(",y", ",,y"), good.replace('"2"', '"2",'),
                    good.replace("a_total{", "b_total{"), good + "\n"):
            with self.assertRaises((ValueError, AttributeError, KeyError), msg=bad):
                parse_metrics(bad)

    def test_bad_requests(self):
        with Served("127.0.0.1:0") as served:
            port = int(served.first)
            for seconds in ("0", "-1", "1.5", "x", "3601", "99999999999999999999"):
                self.assertEqual(get(port, f"/debug/pprof/profile?seconds={seconds}")[0], 400, seconds)
            self.assertEqual(get(port, "/metrics", Host="evil.example")[0], 403)
            self.assertEqual(get(port, "/metrics", Host="localhost:1")[0], 200)
            for method, expected in (("POST", 405), ("DELETE", 405), ("HEAD", 200)):
                connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
                connection.request(method, "/metrics")
                answer = connection.getresponse()
                self.assertEqual(answer.status, expected)
                if method == "HEAD":
                    self.assertGreater(int(answer.headers["Content-Length"]), 1000)
                    self.assertEqual(answer.read(), b"")
                connection.close()
            for raw, expected in ((b"hello\r\n\r\n", b"400"), (b"GET /metrics HTTP/2.0\r\n\r\n", b"505"),
                                  (b"GET metrics HTTP/1.1\r\n\r\n", b"400"), (b"GET / HTTP/1.1\r\nA: " + b"a" * 20000,
                                                                            b"431")):
                with socket.create_connection(("127.0.0.1", port), timeout=120) as connection:
                    connection.sendall(raw)
                    self.assertTrue(connection.recv(4096).startswith(b"HTTP/1.1 " + expected), raw[:40])
            # Those that say nothing keep nobody from being answered.
            silent = [socket.create_connection(("127.0.0.1", port)) for _ in range(8)]
            self.assertEqual(get(port, "/metrics")[0], 200)
            for connection in silent:
                connection.close()
            self.assertEqual(served.end(), (0, "ok\n", ""))

    # [serve.listener]
    def test_addresses(self):
        with Served("127.0.0.1:0") as served:
            in_use = served.tell(f"serve 127.0.0.1:{served.first}")
            self.assertRegex(in_use, rf"^system_error debug::serve: cannot serve at 127.0.0.1:{served.first}: Address "
                                     "already in use$")
            for address in ("0.0.0.0:6060", ":6060", "[::]:6060", "192.168.1.1:80", "example.com:80", "127.0.0.1",
                            "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:http", "127.0.0.1:-1", "unix:", "6060",
                            "127.1:6060", "localhost:80 "):
                said = served.tell(f"serve {address}")
                self.assertTrue(said.startswith("invalid_argument debug::serve: "), said)
                self.assertIn("accepted: 127.0.0.1:PORT", said)
            self.assertTrue(served.tell("serve unix:" + "/x" * 100).startswith("system_error"))
            self.assertTrue(served.tell("serve unix:/nowhere/socket").startswith("system_error"))
            self.assertEqual(get(served.first, "/metrics")[0], 200)
            # Stopped, the port is free, and may be served again.
            self.assertEqual(served.tell("stop"), "stopped")
            self.assertTrue(refuses(served.first))
            self.assertEqual(served.tell(f"serve 127.0.0.1:{served.first}"), served.first)
            self.assertEqual(get(served.first, "/metrics")[0], 200)
            self.assertEqual(served.end(), (0, "ok\n", ""))

    def test_unix_socket(self):
        with tempfile.TemporaryDirectory() as directory:
            path = directory + "/socket"

            def ask():
                with socket.socket(socket.AF_UNIX) as connection:
                    connection.settimeout(120)
                    connection.connect(path)
                    connection.sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
                    return connection.recv(4096)

            with Served("unix:" + path) as served:
                self.assertEqual(served.first, "0")
                self.assertEqual(os.stat(path).st_mode & 0o777, 0o600)
                self.assertTrue(ask().startswith(b"HTTP/1.1 200 OK"))
                self.assertIn("already in use", served.tell("serve unix:" + path))
            # It was killed; what it left behind keeps nobody from the path.
            self.assertTrue(os.path.exists(path))
            with Served("unix:" + path) as served:
                self.assertTrue(ask().startswith(b"HTTP/1.1 200 OK"))
                self.assertEqual(served.tell("stop"), "stopped")
                self.assertFalse(os.path.exists(path))
            # A file that is no socket stays.
            pathlib.Path(path).write_text("precious", encoding="utf-8")
            with Served("unix:" + path) as served:
                self.assertTrue(served.first.startswith("system_error"), served.first)
            self.assertEqual(pathlib.Path(path).read_text(encoding="utf-8"), "precious")

    @unittest.skipIf(SANITIZED, "no fork beside allocating threads under a sanitizer")
    def test_a_child_does_not_hold_the_port(self):
        with Served("127.0.0.1:0") as served:
            self.assertEqual(get(served.first, "/metrics")[0], 200)
            child = int(served.tell("fork"))
            self.addCleanup(os.kill, child, signal.SIGKILL)
            self.assertEqual(get(served.first, "/metrics")[0], 200)
            descriptors = f"/proc/{child}/fd"
            for name in os.listdir(descriptors):
                self.assertFalse(os.readlink(f"{descriptors}/{name}").startswith("socket:"), name)
            self.assertEqual(served.tell("stop"), "stopped")
            self.assertTrue(refuses(served.first))

    def test_environment(self):
        with Served(TRICOLOR_SERVE="127.0.0.1:0") as served:
            said = served.process.stderr.readline()
            self.assertRegex(said, r"^tricolor: TRICOLOR_SERVE: serving at http://127\.0\.0\.1:\d+/$")
            self.assertEqual(get(said.rstrip("/\n").rsplit(":", 1)[1], "/metrics")[0], 200)
            self.assertEqual(served.end(), (0, "ok\n", ""))
        with Served(TRICOLOR_SERVE="0.0.0.0:80") as served:
            status, out, err = served.end()
            self.assertEqual((status, out), (0, "ok\n"))
            self.assertRegex(err, r'^tricolor: TRICOLOR_SERVE: nothing is served: debug::serve: "0\.0\.0\.0:80" is no')
            self.assertEqual(err.count("\n"), 1)


if __name__ == "__main__":
    unittest.main()
