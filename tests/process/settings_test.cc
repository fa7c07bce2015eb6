// Settings from the environment: malformed values, debugging modes, a signal that collects, little
// address space.
#include <algorithm>

#include "tests/subprocess.hpp"

namespace tricolor::tests {
namespace {

struct Malformed {
  const char* variable;
  const char* value;
  std::vector<std::string> mentioned;  // besides the variable: what the complaint must name
};

TEST_CASE("process: a malformed value gets one line that names it, and the program runs") {
  const std::vector<Malformed> cases = {
      {"GOGC", "fast", {"fast", "off", "100"}},
      {"GOGC", "100%", {"100%"}},
      {"GOGC", "1e3", {"1e3"}},
      {"GOGC", "99999999999999999999", {"99999999999999999999"}},
      {"GOMEMLIMIT", "lots", {"lots", "MiB"}},
      {"GOMEMLIMIT", "64MB", {"64MB", "MiB"}},
      {"GOMEMLIMIT", "-5", {"-5"}},
      {"GOMEMLIMIT", "9999999999TiB", {"9999999999TiB"}},
      {"GODEBUG", "gctrase=1", {"gctrase=1", "gctrace"}},
      {"GODEBUG", "gccheckmark=yes", {"gccheckmark=yes"}},
      {"GODEBUG", "gcstress=often", {"gcstress=often"}},
      {"GODEBUG", "gcsignal=KILL", {"gcsignal=KILL", "USR1"}},
      {"GCTRACE", "true", {"true"}},
  };
  for (const Malformed& malformed : cases) {
    CAPTURE(malformed.variable);
    CAPTURE(malformed.value);
    const ProcessResult result =
        run_program("churn_program", {"1000", "1", "1"},
                    {.environment = {{malformed.variable, malformed.value}}});
    CAPTURE(result.err);
    CHECK(result.exit_code == 0);
    CHECK(result.out == "ok\n");
    const auto lines = result.err_lines();
    REQUIRE(lines.size() == 1);
    CHECK(lines[0].find(malformed.variable) != std::string::npos);
    for (const std::string& word : malformed.mentioned)
      CHECK(lines[0].find(word) != std::string::npos);
  }
}

TEST_CASE("process: several complaints are a line each, and the good settings hold") {
  const ProcessResult result = run_program(
      "churn_program", {"1000", "1", "1"},
      {.environment = {
           {"GOGC", "x"}, {"GOMEMLIMIT", "y"}, {"GODEBUG", "gctrace=1,nonsense=2,clobberfree=7"}}});
  CHECK(result.exit_code == 0);
  const auto lines = result.err_lines();
  CHECK(std::count_if(lines.begin(), lines.end(),
                      [](const std::string& l) { return l.rfind("tricolor: ", 0) == 0; }) == 4);
  CHECK(std::count_if(lines.begin(), lines.end(),
                      [](const std::string& l) { return l.rfind("gc 1 ", 0) == 0; }) == 1);
}

TEST_CASE("process: well-formed values are taken without a word") {
  for (const auto& setting : std::vector<std::pair<std::string, std::string>>{
           {"GOGC", "off"},
           {"GOGC", "50"},
           {"GOGC", "1000"},
           {"GOGC", ""},
           {"GOMEMLIMIT", "off"},
           {"GOMEMLIMIT", "1GiB"},
           {"GOMEMLIMIT", "1073741824"},
           {"GOMEMLIMIT", "100MiB"},
           {"GODEBUG", ""},
           {"GODEBUG",
            "gctrace=0,gcpacertrace=0,scavtrace=0,gccheckmark=0,clobberfree=0,gcstress=0,findlost="
            "0"}}) {
    CAPTURE(setting.first);
    CAPTURE(setting.second);
    const ProcessResult result =
        run_program("churn_program", {"1000", "1", "1"}, {.environment = {setting}});
    CHECK(result.exit_code == 0);
    CHECK(result.err.empty());
  }
}

TEST_CASE("process: each debugging mode runs a program to its right end, silently") {
  for (const char* mode : {"gccheckmark=1", "clobberfree=1", "gcstress=1000", "gcstress=100",
                           "findlost=1", "gccheckmark=1,clobberfree=1,gcstress=1000"}) {
    CAPTURE(mode);
    const ProcessResult result =
        run_program("churn_program", {"2000", "1", "5"}, {.environment = {{"GODEBUG", mode}}});
    CAPTURE(result.err);
    CHECK(!result.timed_out);
    CHECK(result.exit_code == 0);
    CHECK(result.out == "ok\n");
    CHECK(result.err.empty());
  }
}

TEST_CASE("process: gcstress=1 collects where nothing else asks for it") {
  const auto cycles = [](const char* stress) {
    const ProcessResult result = run_program(
        "churn_program", {"2000", "256", "1"},
        {.environment = {{"GOGC", "off"}, {"GODEBUG", std::string(stress) + ",gctrace=1"}}});
    CHECK(result.exit_code == 0);
    return result.err_lines().size();
  };
  CHECK(cycles("gcstress=0") == 1);
  CHECK(cycles("gcstress=1") >= 4);
}

TEST_CASE("process: clobberfree=1 overwrites what was freed") {
  if (kAddressSanitizer) return;  // reading freed memory is what it forbids
  const auto left_over = [](const char* mode) {
    const ProcessResult result =
        run_program("clobber_program", {}, {.environment = {{"GODEBUG", mode}}});
    CAPTURE(result.err);
    CHECK(result.exit_code == 0);
    return std::stoul(result.out);
  };
  CHECK(left_over("clobberfree=1") <= 20);
  CHECK(left_over("clobberfree=0") >= 500);  // so that the figure above means something
}

// g++'s ThreadSanitizer forgets a signal now and then that comes while it is in a call of its own.
TEST_CASE("process: gcsignal=USR1: the signal causes a collection" *
          doctest::skip(kThreadSanitizer)) {
  for (const auto& signal :
       std::vector<std::pair<std::string, int>>{{"USR1", SIGUSR1}, {"SIGUSR2", SIGUSR2}}) {
    CAPTURE(signal.first);
    const ProcessResult result =
        run_program("signal_program", {},
                    {.environment = {{"GODEBUG", "gcsignal=" + signal.first}},
                     .meanwhile = [number = signal.second](pid_t child, int out) {
                       char ready[6];
                       CHECK(read(out, ready, sizeof ready) == 6);
                       kill(child, number);
                     }});
    CAPTURE(result.err);
    CHECK(result.signal == 0);
    CHECK(result.exit_code == 0);
    CHECK(result.out.find("ok") != std::string::npos);
  }
}

TEST_CASE("process: without gcsignal the signal does what it always does") {
  const ProcessResult result =
      run_program("signal_program", {}, {.meanwhile = [](pid_t child, int out) {
                    char ready[6];
                    CHECK(read(out, ready, sizeof ready) == 6);
                    kill(child, SIGUSR1);
                  }});
  CHECK(result.signal == SIGUSR1);
}

TEST_CASE("process: with 1 GiB of address space a program works all the same") {
  if (kSanitized) return;
  for (const rlim_t limit : {rlim_t{1} << 30, rlim_t{512} << 20, rlim_t{4} << 30}) {
    CAPTURE(limit);
    const ProcessResult result =
        run_program("churn_program", {"300000", "64", "3"}, {.address_space = limit});
    CAPTURE(result.err);
    CHECK(result.exit_code == 0);
    CHECK(result.out == "ok\n");
    CHECK(result.err.empty());
  }
}

// [worklist.overflow] [worklist.reserve]
TEST_CASE("process: when address space runs out: bad_alloc, the heap intact, the program goes on") {
  if (kSanitized) return;
  for (const auto& [kind, mebibytes] : std::vector<std::pair<std::string, rlim_t>>{
           {"small", 300}, {"large", 300}, {"large", 1024}, {"roots", 300}}) {
    const rlim_t table_of_types = TRICOLOR_CHECKS ? 84 : 0;
    const ProcessResult result =
        run_program("oom_program", {kind}, {.address_space = (mebibytes + table_of_types) << 20});
    INFO(result.out, result.err, "signal ", result.signal);
    CHECK(result.exit_code == 0);
    CHECK(result.out.find("ok\n") != std::string::npos);
  }
}

// [finalizer.exit]
TEST_CASE("process: ends cleanly whatever is still alive") {
  for (const char* way : {"return", "exit", "quick", "detached", "collecting", "finalizers",
                          "in-thread", "early-static", "late-static", "late-static-in-thread"}) {
    for (int i = 0; i < 5; ++i) {
      CAPTURE(way);
      const ProcessResult result = run_program("exit_program", {way});
      CAPTURE(result.err);
      CAPTURE(result.signal);
      CHECK(!result.timed_out);
      CHECK(result.exit_code == 7);
    }
  }
}

}  // namespace
}  // namespace tricolor::tests
