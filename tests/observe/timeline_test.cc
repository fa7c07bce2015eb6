// Timelines as their viewers read them, what is said where they cannot be, and the ring below.

#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <system_error>

#include "observe/time_ring.h"
#include "observe/timeline.h"
#include "tests/directory.hpp"
#include "tests/subprocess.hpp"

#include <tricolor/debug.hpp>

namespace tricolor::tests {

namespace {

bool have_python() {
  static const bool have = std::system("python3 -c '' >/dev/null 2>&1") == 0;
  if (!have) MESSAGE("not tested: there is no python3 here");
  return have;
}

// What tests/observe/check_timeline.py reads in the file: how many events have a name.
std::map<std::string, long> read(const std::string& path) {
  const std::string command = "python3 " + program_path("check_timeline.py") + " " + path + " 2>&1";
  FILE* const pipe = popen(command.c_str(), "r");
  REQUIRE(pipe != nullptr);
  std::string out;
  char buffer[4096];
  for (std::size_t n; (n = fread(buffer, 1, sizeof buffer, pipe)) > 0;) out.append(buffer, n);
  const int status = pclose(pipe);
  CAPTURE(out);
  CHECK(status == 0);
  std::map<std::string, long> counts;
  std::istringstream lines(out);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("track ")) {
      ++counts[line];
      continue;
    }
    const std::size_t space = line.rfind(' ');
    if (space != std::string::npos)
      counts[line.substr(0, space)] += std::atol(line.c_str() + space);
  }
  return counts;
}

struct Ended {
  ~Ended() { number = 0; }
  long number = 1;
};

[[gnu::noinline]] void make_ended(int count) {
  on_fresh_thread([&] {
    for (int i = 0; i < count; ++i) gc::keep_alive(gc::make<Ended>());
  });
}

template <class Error>
std::string message_of(const std::string& path) {
  try {
    debug::start_timeline(path);
  } catch (const Error& error) {
    return error.what();
  }
  return "nothing was thrown";
}

int error_at_start(const std::string& path) {
  try {
    debug::start_timeline(path);
    return 0;
  } catch (const std::system_error& error) {
    CAPTURE(error.what());
    CHECK(std::string(error.what()).find(path) != std::string::npos);
    return error.code().value();
  }
}

// Threads that allocate until the end of the scope.
class Allocating {
 public:
  explicit Allocating(std::size_t count, bool pauses = true) {
    for (std::size_t i = 0; i < count; ++i) {
      threads_.emplace_back([this, pauses] {
        while (!stop_.load(std::memory_order_relaxed)) {
          churn(500);
          gc::keep_alive(gc::make_array<char>(100'000));
          // So that events of seconds fit.
          if (pauses) std::this_thread::sleep_for(std::chrono::milliseconds(1));
        }
      });
    }
  }
  ~Allocating() {
    stop_ = true;
    for (std::thread& thread : threads_) thread.join();
  }

 private:
  std::atomic<bool> stop_{false};
  std::vector<std::thread> threads_;
};

}  // namespace

TEST_CASE("timeline: cycles, their phases, and what threads did") {
  const Directory directory;
  const std::string path = directory / "timeline.json";
  const GcPercent off(-1);
  runtime::collect();
  const runtime::MemStats before = mem_stats();
  debug::start_timeline(path, std::chrono::nanoseconds(0));
  {
    const Allocating threads(2);
    for (int i = 0; i < 5; ++i) {
      make_ended(1000);
      collect_all();
    }
  }
  runtime::collect();
  const runtime::MemStats after = mem_stats();
  CHECK(debug::stop_timeline());
  CHECK(directory.names().size() == 1);
  if (!have_python()) return;
  std::map<std::string, long> counts = read(path);
  const long cycles = static_cast<long>(after.num_gc - before.num_gc);
  CHECK(cycles >= 6);
  if (counts["dropped"] != 0) return;  // stressed, the beginning goes
  if (after.num_forced_gc - before.num_forced_gc == after.num_gc - before.num_gc) {
    for (const char* name : {"cycle", "enter", "H1 barrier on", "H2 allocate black", "mark",
                             "clear", "leave", "sweep", "sweep what is left, run hooks"}) {
      CAPTURE(name);
      CHECK(counts[name] == cycles);
    }
  } else {
    // One may have run at the beginning, and another at the end.
    CHECK(std::abs(counts["cycle"] - cycles) <= 2);
  }
  CHECK(counts["terminate"] >= counts["mark"]);
  CHECK(counts["collect()"] == 6);
  for (const char* name :
       {"marking", "answer: H1 barrier on", "answer: H2 allocate black", "answer: H3 report",
        "answer: H4 barrier off", "asked: H1 barrier on", "asked: H4 barrier off", "heap live",
        "slow allocation", "destructors and finalizers", "thread ends", "track tc-collector",
        "track tc-finalizer"}) {
    CAPTURE(name);
    CHECK(counts[name] > 0);
  }
}

TEST_CASE("timeline: a stop, and that threads stand still in it") {
  const Directory directory;
  std::vector<char> stack(1 << 16);
  runtime::register_stack(stack.data(), stack.data() + stack.size());
  debug::start_timeline(directory / "timeline.json");
  {
    const Allocating threads(2);
    for (int i = 0; i < 5; ++i) runtime::collect();
  }
  runtime::unregister_stack(stack.data());
  CHECK(debug::stop_timeline());
  if (!have_python()) return;
  std::map<std::string, long> counts = read(directory / "timeline.json");
  if (counts["dropped"] != 0) return;
  CHECK(counts["stop"] >= 5);
  CHECK(counts["terminate"] >= counts["stop"]);
}

TEST_CASE("timeline: one at a time, and only what was started is stopped") {
  const Directory directory;
  CHECK_FALSE(debug::stop_timeline());
  debug::start_timeline(directory / "first");
  CHECK(message_of<std::logic_error>(directory / "second").find("recorded already") !=
        std::string::npos);
  CHECK_THROWS_AS(observe::timeline(1'000'000), std::logic_error);
  CHECK_FALSE(std::filesystem::exists(directory / "first"));  // it comes as a whole
  CHECK(debug::stop_timeline());
  CHECK_FALSE(debug::stop_timeline());
  CHECK(std::filesystem::exists(directory / "first"));
  CHECK(directory.names().size() == 1);
  if (have_python()) read(directory / "first");
}

TEST_CASE("timeline: what cannot be written is an error, and the next one goes well") {
  const Directory directory;
  CHECK(error_at_start(directory / "none/timeline") == ENOENT);
  CHECK(error_at_start(directory.path()) == EISDIR);
  CHECK(error_at_start("") != 0);
  if (geteuid() != 0) {
    chmod(directory.path().c_str(), 0500);
    CHECK(error_at_start(directory / "timeline") == EACCES);
    chmod(directory.path().c_str(), 0700);
  }
  debug::start_timeline("/dev/full");
  runtime::collect();
  int error = 0;
  try {
    debug::stop_timeline();
  } catch (const std::system_error& e) {
    CAPTURE(e.what());
    CHECK(std::string(e.what()).find("/dev/full") != std::string::npos);
    error = e.code().value();
  }
  CHECK(error == ENOSPC);
  CHECK_FALSE(debug::stop_timeline());
  CHECK(directory.names().size() == 0);
  debug::start_timeline(directory / "timeline");
  CHECK(debug::stop_timeline());
  CHECK(directory.names().size() == 1);
}

TEST_CASE("timeline: a path means what it meant at the start") {
  const Directory directory;
  const ProcessResult child = run_forked([&] {
    if (chdir(directory.path().c_str()) != 0) return 1;
    debug::start_timeline("timeline");
    if (chdir("/") != 0) return 2;
    return debug::stop_timeline() ? 0 : 3;
  });
  CAPTURE(child.err);
  CHECK(child.exit_code == 0);
  CHECK(std::filesystem::exists(directory / "timeline"));
}

TEST_CASE("timeline: contents for a request") {
  const Directory directory;
  std::string text;
  {
    const Allocating threads(1);
    text = observe::timeline(20'000'000);
  }
  CHECK(text.starts_with("{\"displayTimeUnit\""));
  CHECK_FALSE(debug::stop_timeline());  // it is no affair of the program's
  std::ofstream(directory / "timeline") << text;
  if (have_python()) read(directory / "timeline");
}

TEST_CASE("timeline: a child of fork() records its own, and the parent's stays the parent's") {
  const Directory directory;
  debug::start_timeline(directory / "parent");
  {
    const Allocating threads(2);
    for (int i = 0; i < 3; ++i) {
      runtime::collect();
      const ProcessResult child = run_forked([&] {
        runtime::collect();
        if (debug::stop_timeline()) return 1;
        debug::start_timeline(directory / "child");
        runtime::collect();
        return debug::stop_timeline() ? 0 : 2;
      });
      CAPTURE(child.err);
      CHECK(child.exit_code == 0);
    }
  }
  CHECK(debug::stop_timeline());
  CHECK(directory.names().size() == 2);
  if (!have_python()) return;
  CHECK(read(directory / "child")["cycle"] > 0);
  CHECK(read(directory / "parent")["cycle"] > 0);
}

TEST_CASE("timeline: started and stopped back to back while threads allocate") {
  const Directory directory;
  const Allocating threads(3, false);
  CollectingThread collecting;
  for (int i = 0; i < 50; ++i) {
    const std::string path = directory / ("timeline." + std::to_string(i % 3));
    debug::start_timeline(path, std::chrono::nanoseconds(i % 2 * 100'000));
    if (i % 3 == 0) churn(scaled(5000));
    CHECK(debug::stop_timeline());
  }
  CHECK(directory.names().size() == 3);
  if (!have_python()) return;
  for (const char* name : {"timeline.0", "timeline.1", "timeline.2"}) read(directory / name);
}

TEST_CASE("timeline: by TRICOLOR_PROFILE, and at the exit of who did not stop it") {
  const Directory directory;
  const ProcessResult ordered =
      run_program("profile_program", {"work", "10"},
                  {.environment = {{"TRICOLOR_PROFILE", "timeline:" + (directory / "exit")}}});
  CAPTURE(ordered.err);
  CHECK(ordered.exit_code == 0);
  CHECK(ordered.err == "");
  ProcessOptions options{
      .environment = {{"TRICOLOR_PROFILE", "timeline@1s:" + (directory / "second.%n")}}};
  options.meanwhile = [&](pid_t child, int) {
    CHECK(eventually([&] { return std::filesystem::exists(directory / "second.1"); }));
    kill(child, SIGKILL);
  };
  CHECK(run_program("profile_program", {"work", "60000"}, options).signal == SIGKILL);
  const ProcessResult running =
      run_program("profile_program", {"timeline", directory / "running"}, {});
  CHECK(running.exit_code == 0);
  CHECK(running.err == "");
  if (!have_python()) return;
  read(directory / "exit");
  read(directory / "second.0");
  read(directory / "second.1");
  CHECK(read(directory / "running")["cycle"] > 0);
  const ProcessResult busy = run_program(
      "profile_program", {"timeline", directory / "busy"},
      {.environment = {{"TRICOLOR_PROFILE", "timeline:" + (directory / "no/such/directory")}}});
  CAPTURE(busy.err);
  CHECK(busy.exit_code == 3);
  CHECK(busy.out.find("recorded already") != std::string::npos);
  CHECK(busy.err.find("cannot be written: No such file or directory") != std::string::npos);
}

// [ring.newest]
TEST_CASE("timeline: a full ring keeps the newest and counts the others") {
  observe::TimeRing ring;
  REQUIRE(ring.start());
  const std::int64_t now = runtime::os::now_ns();
  constexpr std::size_t kMore = 1000;
  for (std::size_t i = 0; i < observe::kTimedEvents + kMore; ++i) {
    const auto number = static_cast<std::int64_t>(i);
    ring.add({now, now, number, 0, 1, runtime::Timed::kMark});
  }
  ring.add({now - 1'000'000'000, now, -1, 0, 1, runtime::Timed::kMark});  // it began before
  const observe::TimedEvents events = ring.take();
  CHECK(events.lost == kMore);
  std::size_t count = 0;
  std::int64_t least = INT64_MAX;
  events.for_each([&](const observe::TimedEvent& event) {
    ++count;
    least = std::min(least, event.first);
  });
  CHECK(count == observe::kTimedEvents);
  CHECK(least == kMore);
  ring.add({now, now, 0, 0, 1, runtime::Timed::kMark});  // it is off
}

// [ring.quiet]
TEST_CASE("timeline: what a ring gives is whole, whoever writes to it meanwhile") {
  observe::TimeRing ring;
  std::atomic<bool> stop{false};
  std::vector<std::thread> threads;
  for (int t = 1; t <= 3; ++t) {
    threads.emplace_back([&, t] {
      for (std::int64_t i = 0; !stop.load(std::memory_order_relaxed); ++i) {
        const std::int64_t now = runtime::os::now_ns();
        ring.add({now, now + i, i, t * i, t, runtime::Timed::kMark});
      }
    });
  }
  std::size_t torn = 0;
  std::size_t seen = 0;
  for (int round = 0; round < 50; ++round) {
    REQUIRE(ring.start());
    std::this_thread::sleep_for(std::chrono::microseconds(100));
    const observe::TimedEvents events = ring.take();
    events.for_each([&](const observe::TimedEvent& event) {
      ++seen;
      if (event.end_ns - event.begin_ns != event.first || event.second != event.tid * event.first ||
          event.begin_ns < events.began_ns)
        ++torn;
    });
  }
  stop = true;
  for (std::thread& thread : threads) thread.join();
  CAPTURE(seen);
  CHECK(torn == 0);
}

}  // namespace tricolor::tests
