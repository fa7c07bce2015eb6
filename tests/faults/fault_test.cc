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

ProcessResult run_with(const std::string& plan) {
  ProcessOptions options;
  options.environment["TRICOLOR_FAULTS"] = plan;
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
  for (const char* call : {"mmap",
                           "mprotect",
                           "madvise",
                           "sigaction",
                           "sched_getaffinity",
                           "sched_setscheduler",
                           "setpriority",
                           "open",
                           "read",
                           "prctl",
                           "pthread_key_create",
                           "pthread_atfork",
                           "atexit",
                           "fdopendir",
                           "munmap",
                           "clock_nanosleep",
                           "pthread_attr_init",
                           "pthread_setspecific",
                           "rt_tgsigqueueinfo",
                           "getrlimit",
                           "sysconf"}) {
    CAPTURE(call);
    const int positions = walk(call);
    CHECK(positions > 1);  // else the call does not come by the faults
  }
}

TEST_CASE("faults: any call fails at any time" * doctest::test_suite("long")) {
  MESSAGE(walk("malloc") << " positions of malloc");
  MESSAGE(walk("any") << " positions in all");
}

TEST_CASE("faults: many calls fail" * doctest::test_suite("long")) {
  for (const char* plan :
       {"malloc:p=0.01", "malloc:p=0.1", "mmap:p=0.3", "mprotect:p=0.3", "madvise:p=1", "open:p=1",
        "read:p=1", "membarrier:p=1", "sched_getaffinity:p=1", "sched_setscheduler:p=1",
        "setpriority:p=1", "prctl:p=1", "rt_tgsigqueueinfo:p=0.5", "futex:p=0.5",
        "pthread_sigmask:p=0.5", "pthread_create:p=1", "any:p=0.01"}) {
    for (int round = 0; round < 3; ++round) check_run(plan, run_with(plan));
  }
}

}  // namespace
}  // namespace tricolor::tests
