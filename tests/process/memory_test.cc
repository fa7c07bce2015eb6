// When the system gives no more memory: std::bad_alloc, or a message at the start, and nothing
// worse.
#include "tests/subprocess.hpp"

namespace tricolor::tests {
namespace {

// [sweep.no-memory] [task.no-memory] [memory.no-handler]
TEST_CASE("memory: with all of RLIMIT_DATA used up a cycle frees what is dead, many times over") {
  if (kSanitized) return;
  for (const auto& [mebibytes, rounds] : std::vector<std::pair<std::size_t, std::size_t>>{
           {8, 50}, {16, 50}, {32, 20}, {64, 20}, {64, 20}, {128, 10}}) {
    CAPTURE(mebibytes);
    const ProcessResult result =
        run_program("starved_program", {std::to_string(mebibytes << 20), std::to_string(rounds)});
    if (result.exit_code == 77) {
      MESSAGE("skipped: " << result.out);
      return;
    }
    INFO(result.out, result.err, "signal ", result.signal);
    CHECK_FALSE(result.timed_out);
    CHECK(result.exit_code == 0);
    CHECK(result.out.find("ok\n") != std::string::npos);
  }
}

// [once.restart]
TEST_CASE("process: the system refuses what the library can do without, from the start on") {
  if (kSanitized) return;
  for (const std::vector<std::string>& calls : std::vector<std::vector<std::string>>{
           {},
           {"madvise"},
           {"membarrier"},
           {"sched_getaffinity"},
           {"openat"},
           {"prlimit64"},
           {"prlimit64", "sched_getaffinity"},
           {"setpriority", "sched_setscheduler"},
           {"madvise", "membarrier", "openat", "prctl", "prlimit64", "process_vm_readv",
            "sched_getaffinity", "sched_setscheduler", "setpriority"}}) {
    const ProcessResult result = run_program("refused_program", calls);
    std::string names;
    for (const std::string& call : calls) names += " " + call;
    INFO("refused:", names, "; ", result.out, result.err, "signal ", result.signal);
    if (result.exit_code == 77) return;
    CHECK_FALSE(result.timed_out);
    CHECK(result.exit_code == 0);
  }
}

}  // namespace
}  // namespace tricolor::tests
