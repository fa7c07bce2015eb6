// Walks a whole program through the failure of every call that it makes: n from 1 on, until a run
// comes to its end with no fault. Each run ends well, what it kept whole, or with a message that
// says what is the matter; none hangs.
#include "tests/subprocess.hpp"

namespace tricolor::tests {
namespace {

bool says_why(const ProcessResult& result) {
  return result.signal == SIGABRT &&
         (result.err.find("tricolor: fatal: ") != std::string::npos ||
          result.err.find("tricolor: check failed") != std::string::npos);
}

ProcessResult run_with(const std::string& plan, std::uint64_t seed = 1,
                       const std::string& mode = {}) {
  ProcessOptions options;
  options.environment["TRICOLOR_FAULTS"] = plan;
  if (!mode.empty()) options.environment["GODEBUG"] = mode;
  options.environment["TRICOLOR_SEED"] = std::to_string(seed);
  return run_program("fault_program", {}, options);
}

void check_run(const std::string& plan, const ProcessResult& result) {
  INFO(plan, ": ", result.out, result.err, "signal ", result.signal);
  CHECK_FALSE(result.timed_out);
  CHECK((result.exit_code == 0 || says_why(result)));
}

// Every `step`-th position. Gives how many there are.
int walk(const std::string& call, int step = 1) {
  for (int n = 1; n < 5000; n += step) {
    const std::string plan = call + ":n=" + std::to_string(n);
    const ProcessResult result = run_with(plan);
    check_run(plan, result);
    if (result.timed_out || result.out.find("no fault") != std::string::npos) return n;
  }
  return 0;
}

TEST_CASE("faults: a plan that is not understood is refused") {
  CHECK(run_with("mmap").exit_code == 2);
  CHECK(run_with("mmap:n17").exit_code == 2);
}

// [once.restart] [pages.failure]
TEST_CASE("faults: each call for memory or at the start fails once, and the program goes on") {
  for (const std::string call : {"mmap",
                                 "mprotect",
                                 "madvise",
                                 "sigaction",
                                 "sched_getaffinity",
                                 "sched_setscheduler",
                                 "setpriority",
                                 "getpriority",
                                 "open",
                                 "read",
                                 "prctl",
                                 "pthread_key_create",
                                 "pthread_atfork",
                                 "atexit",
                                 "fdopendir",
                                 "munmap",
                                 "pthread_attr_init",
                                 "pthread_create",
                                 "pthread_setspecific",
                                 "pthread_sigmask",
                                 "pthread_getattr_np",
                                 "rt_tgsigqueueinfo",
                                 "getrlimit",
                                 "sysconf"}) {
    INFO(call);
    const int positions = walk(call);
    // A call that never comes by the faults; whether a handshake needs a signal is a matter of
    // time.
    if (call != "rt_tgsigqueueinfo") CHECK(positions > 1);
  }
}

// What a plan by probability may be.
constexpr const char* kMany[] = {"any:p=0.001",
                                 "any:p=0.01",
                                 "any:p=0.1",
                                 "clock_nanosleep:p=0.5",
                                 "fdopendir:p=1",
                                 "futex:p=0.5",
                                 "getpriority:p=1",
                                 "getrlimit:p=1",
                                 "madvise:p=1",
                                 "malloc:p=0.01",
                                 "malloc:p=0.1",
                                 "malloc:p=0.5",
                                 "membarrier:p=1",
                                 "mmap:p=0.3",
                                 "mmap:p=1",
                                 "mprotect:p=0.3",
                                 "mprotect:p=1",
                                 "munmap:p=1",
                                 "open:p=1",
                                 "prctl:p=1",
                                 "pthread_attr_init:p=1",
                                 "pthread_create:p=0.5",
                                 "pthread_create:p=1",
                                 "pthread_getattr_np:p=0.5",
                                 "pthread_getattr_np:p=1",
                                 "pthread_setspecific:p=0.5",
                                 "pthread_sigmask:p=0.5",
                                 "read:p=1",
                                 "rt_tgsigqueueinfo:p=0.5",
                                 "sched_getaffinity:p=1",
                                 "sched_setscheduler:p=1",
                                 "setpriority:p=1",
                                 "sigaction:p=0.5",
                                 "sigaltstack:p=1",
                                 "sysconf:p=1"};

TEST_CASE("faults: any call of the start fails" * doctest::test_suite("long")) {
  for (int n = 1; n < 700; ++n) {
    const std::string plan = "any:n=" + std::to_string(n);
    check_run(plan, run_with(plan));
  }
}

TEST_CASE("faults: many calls fail" * doctest::test_suite("long")) {
  for (const char* plan : kMany) {
    for (std::uint64_t seed = 1; seed <= 3; ++seed) check_run(plan, run_with(plan, seed));
  }
}

constexpr const char* kModes[] = {"", "gccheckmark=1", "clobberfree=1", "gcstress=1000",
                                  "findlost=1"};

// A run makes some 20,000 calls of malloc and as many others, most of them late and alike.
TEST_CASE("faults: calls fail at random" * doctest::test_suite("stress")) {
  Random random(announce_seed("faults"));
  const std::size_t runs = stress_rounds(16);
  for (std::size_t i = 0; i < runs; ++i) {
    const std::size_t most = std::size_t{1} << (4 + random.below(12));
    const std::string number = std::to_string(1 + random.below(most));
    std::string plan = random.one_in(2) ? "any:n=" + number : "malloc:n=" + number;
    if (random.one_in(4)) plan = kMany[random.below(std::size(kMany))];
    const std::string mode = kModes[random.below(std::size(kModes))];
    INFO("GODEBUG=", mode);
    check_run(plan, run_with(plan, random.next(), mode));
  }
}

}  // namespace
}  // namespace tricolor::tests
