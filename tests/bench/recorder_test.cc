// The recorder, preloaded into recorder_subject.cc.

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "bench/trace/error.h"
#include "bench/trace/reader.h"

namespace {

namespace fs = std::filesystem;
using namespace bench::trace;

class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string pattern = (fs::temp_directory_path() / "tricolor-recorder-XXXXXX").string();
    REQUIRE(mkdtemp(pattern.data()) != nullptr);
    path_ = pattern;
  }
  ~TemporaryFolder() { fs::remove_all(path_); }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  std::string operator/(const std::string& name) const { return (path_ / name).string(); }
  std::vector<std::string> files() const {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(path_)) {
      const std::string name = entry.path().filename().string();
      if (name != "stdout" && name != "stderr") names.push_back(name);
    }
    std::sort(names.begin(), names.end());
    return names;
  }

 private:
  fs::path path_;
};

struct Outcome {
  int status = 0;
  pid_t pid = 0;
  std::string out;
  std::string err;
};

std::string content_of(const std::string& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

const char* required(const char* variable) {
  const char* value = std::getenv(variable);
  REQUIRE_MESSAGE(value != nullptr, "run by `meson test`, which sets ", variable);
  return value;
}

// Runs the subject in `folder`, recording to `trace`; file_limit limits the size of files, 0 for
// none.
Outcome record(const TemporaryFolder& folder, const std::string& trace, const char* what,
               rlim_t file_limit = 0) {
  const std::string recorder = required("TRICOLOR_TEST_RECORDER");
  const std::string subject = required("TRICOLOR_TEST_SUBJECT");
  Outcome outcome;
  outcome.pid = fork();
  REQUIRE(outcome.pid >= 0);
  if (outcome.pid == 0) {
    const int out = open((folder / "stdout").c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    const int err = open((folder / "stderr").c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (out < 0 || err < 0 || dup2(out, 1) < 0 || dup2(err, 2) < 0) _exit(120);
    if (chdir((folder / ".").c_str()) != 0) _exit(121);
    const rlimit no_core{0, 0};
    setrlimit(RLIMIT_CORE, &no_core);
    if (file_limit != 0) {
      const rlimit limit{file_limit, file_limit};
      if (setrlimit(RLIMIT_FSIZE, &limit) != 0) _exit(122);
    }
    setenv("TRICOLOR_TRACE_OUT", trace.c_str(), 1);
    setenv("LD_PRELOAD", recorder.c_str(), 1);
    execl(subject.c_str(), subject.c_str(), what, nullptr);
    _exit(123);
  }
  waitpid(outcome.pid, &outcome.status, 0);
  outcome.out = content_of(folder / "stdout");
  outcome.err = content_of(folder / "stderr");
  return outcome;
}

struct Trace {
  std::vector<Event> events;
  std::map<uint64_t, int> allocated;  // by size
  std::map<uint64_t, int> freed;      // by size
  std::set<uint32_t> threads;
  Footer footer;

  const Event* first_of(uint64_t size) const {
    for (const Event& event : events) {
      if (makes_object(event.kind) && event.amount == size) return &event;
    }
    return nullptr;
  }
};

Trace load(const std::string& path) {
  Reader reader(path);
  Trace trace;
  std::vector<uint64_t> sizes;
  for (Event event; reader.next(event);) {
    trace.events.push_back(event);
    trace.threads.insert(event.thread);
    if (event.kind == Kind::kFree) ++trace.freed[sizes[event.object]];
    if (makes_object(event.kind)) {
      sizes.push_back(event.amount);
      ++trace.allocated[event.amount];
    }
  }
  trace.footer = reader.footer();
  return trace;
}

bool exited_with(const Outcome& outcome, int code) {
  return WIFEXITED(outcome.status) && WEXITSTATUS(outcome.status) == code;
}

size_t lines_of(const std::string& text) {
  return static_cast<size_t>(std::count(text.begin(), text.end(), '\n'));
}

}  // namespace

TEST_CASE("recorder: every allocating function, with its size, alignment and end") {
  const TemporaryFolder folder;
  const Outcome outcome = record(folder, "out.trace", "heap");
  REQUIRE(exited_with(outcome, 0));
  CHECK(outcome.out == "done heap\n");
  CHECK(outcome.err == "");
  Trace trace = load(folder / "out.trace");
  for (const uint64_t size : {10007, 3003, 20011, 30011, 10009, 10037, 10240, 10039, 10577}) {
    CAPTURE(size);
    CHECK(trace.allocated[size] == 1);
    CHECK(trace.freed[size] == (size == 20011 || size == 10577 ? 0 : 1));
  }
  CHECK(trace.first_of(3003)->kind == Kind::kAllocZeroed);
  CHECK(trace.first_of(10009)->align_log2 == 12);
  CHECK(trace.first_of(10037)->align_log2 == 6);
  CHECK(trace.first_of(10240)->align_log2 == 8);
  const Event* moved = trace.first_of(30011);
  CHECK(moved->kind == Kind::kRealloc);
  CHECK(moved->target == trace.first_of(20011)->object);
}

TEST_CASE("recorder: blocks that one thread allocates and another frees") {
  const TemporaryFolder folder;
  REQUIRE(exited_with(record(folder, "out.trace", "threads"), 0));
  Trace trace = load(folder / "out.trace");
  CHECK(trace.threads.size() == 5);
  for (uint64_t size = 40000; size < 40004; ++size) {
    CAPTURE(size);
    CHECK(trace.allocated[size] == 20000);
    CHECK(trace.freed[size] == 20000);
  }
}

TEST_CASE("recorder: threads that come and go") {
  const TemporaryFolder folder;
  REQUIRE(exited_with(record(folder, "out.trace", "churn"), 0));
  Trace trace = load(folder / "out.trace");
  CHECK(trace.allocated[50021] == 300);
  CHECK(trace.freed[50021] == 300);
  const auto ends = std::count_if(trace.events.begin(), trace.events.end(),
                                  [](const Event& e) { return e.kind == Kind::kThreadEnd; });
  CHECK(ends == 300);
}

TEST_CASE("recorder: a forked child records a trace of its own") {
  const TemporaryFolder folder;
  REQUIRE(exited_with(record(folder, "out.trace", "fork"), 0));
  const auto files = folder.files();
  REQUIRE(files.size() == 2);
  CHECK(files[0] == "out.trace");
  Trace parent = load(folder / files[0]);
  CHECK(parent.allocated[60013] == 1);
  CHECK(parent.freed[60013] == 0);
  CHECK(parent.allocated[60017] == 0);
  CHECK(parent.allocated[60029] == 1);
  Trace child = load(folder / files[1]);
  CHECK(child.allocated[60017] == 1);
  CHECK(child.allocated[60013] == 0);
  CHECK(child.footer.unplaced == 1);
}

TEST_CASE("recorder: a failed exec is survived, a successful one begins another trace") {
  const TemporaryFolder folder;
  const Outcome outcome = record(folder, "out.trace", "exec");
  REQUIRE(exited_with(outcome, 0));
  CHECK(folder.files() ==
        std::vector<std::string>{"out.trace", "out.trace." + std::to_string(outcome.pid)});
  Trace before = load(folder / "out.trace");
  CHECK(before.allocated[70019] == 1);
  CHECK(before.allocated[70039] == 1);
  Trace after = load(folder / ("out.trace." + std::to_string(outcome.pid)));
  CHECK(after.allocated[10007] == 1);
}

TEST_CASE("recorder: a child that only prepares an exec leaves no trace") {
  const TemporaryFolder folder;
  REQUIRE(exited_with(record(folder, "out.trace", "fork-exec"), 0));
  const auto files = folder.files();
  REQUIRE(files.size() == 2);
  CHECK(load(folder / files[1]).allocated[10007] == 1);
  CHECK(load(folder / files[1]).allocated[80021] == 0);
}

TEST_CASE("recorder: the child of a vfork ends nothing of its parent") {
  const TemporaryFolder folder;
  REQUIRE(exited_with(record(folder, "out.trace", "vfork"), 0));
  CHECK(folder.files() == std::vector<std::string>{"out.trace"});
  CHECK(load(folder / "out.trace").allocated[90001] == 1);
}

TEST_CASE("recorder: _exit and abort end the trace properly") {
  const TemporaryFolder folder;
  CHECK(exited_with(record(folder, "exit.trace", "_exit"), 3));
  CHECK(load(folder / "exit.trace").allocated[70001] == 1);
  const Outcome aborted = record(folder, "abort.trace", "abort");
  CHECK(WIFSIGNALED(aborted.status));
  CHECK(load(folder / "abort.trace").allocated[70003] == 1);
}

TEST_CASE("recorder: the trace of a killed program is reported as cut off") {
  const TemporaryFolder folder;
  CHECK(WIFSIGNALED(record(folder, "out.trace", "kill").status));
  CHECK_THROWS_WITH_AS(load(folder / "out.trace"), doctest::Contains("the recording was cut off"),
                       TraceError);
}

TEST_CASE("recorder: marks and requests that the program names") {
  const TemporaryFolder folder;
  REQUIRE(exited_with(record(folder, "out.trace", "mark"), 0));
  std::vector<Event> named;
  for (const Event& event : load(folder / "out.trace").events) {
    if (event.kind >= Kind::kRequestBegin) named.push_back(event);
  }
  REQUIRE(named.size() == 3);
  CHECK(named[0].text == "half way");
  CHECK(named[1].kind == Kind::kRequestBegin);
  CHECK(named[2].number == 5);
}

TEST_CASE(
    "recorder: a program that closes every descriptor and changes its folder is still recorded") {
  const TemporaryFolder folder;
  REQUIRE(exited_with(record(folder, "out.trace", "close-all"), 0));
  CHECK(load(folder / "out.trace").allocated[90007] == 1);
}

TEST_CASE("recorder: an existing file is never overwritten") {
  const TemporaryFolder folder;
  std::ofstream(folder / "out.trace") << "precious";
  const Outcome outcome = record(folder, "out.trace", "heap");
  REQUIRE(exited_with(outcome, 0));
  CHECK(content_of(folder / "out.trace") == "precious");
  CHECK(load(folder / ("out.trace." + std::to_string(outcome.pid))).allocated[10007] == 1);
}

TEST_CASE("recorder: a full disk costs the trace and one line, not the program") {
  const TemporaryFolder folder;
  const Outcome outcome = record(folder, "/dev/full", "many");
  CHECK(exited_with(outcome, 0));
  CHECK(outcome.out == "done many\n");
  CHECK(outcome.err ==
        "tricolor recorder: cannot write /dev/full: No space left on device; recording stops\n");
}

TEST_CASE("recorder: a limit on the size of files costs the trace and one line, not the program") {
  const TemporaryFolder folder;
  const Outcome outcome = record(folder, "out.trace", "many", 8192);
  CHECK(exited_with(outcome, 0));
  CHECK(outcome.out == "done many\n");
  CHECK(lines_of(outcome.err) == 1);
  CHECK(outcome.err.find(
            "out.trace: File too large; recording stops and the partial file was removed") !=
        std::string::npos);
  CHECK(folder.files().empty());
}

TEST_CASE("recorder: a file that cannot be created costs one line") {
  const TemporaryFolder folder;
  const Outcome outcome = record(folder, "/nonexistent/out.trace", "heap");
  CHECK(exited_with(outcome, 0));
  CHECK(outcome.err ==
        "tricolor recorder: cannot create /nonexistent/out.trace: No such file or directory; "
        "recording stops\n");
}
