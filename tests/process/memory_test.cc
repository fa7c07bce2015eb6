// When the system gives no more memory: std::bad_alloc, or a message at the start, and nothing
// worse.
#include "tests/subprocess.hpp"

namespace tricolor::tests {
namespace {

// [sweep.no-memory] [task.no-memory] [memory.no-handler]
TEST_CASE("memory: with all of RLIMIT_DATA used up a cycle frees what is dead, many times over") {
  if (kSanitized) return;
  for (const auto& entry : std::vector<std::pair<std::size_t, std::size_t>>{
           {8, 50}, {16, 50}, {32, 20}, {64, 20}, {64, 20}, {128, 10}}) {
    const auto [mebibytes, rounds] = entry;
    INFO(entry.first, " MiB");
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

TEST_CASE("process: a resource is short from the start on, or from some time on") {
  if (kSanitized) return;
  constexpr std::size_t kMiB = 1 << 20;
  const std::vector<std::pair<std::string, std::size_t>> limits{
      {"as", 0},      {"as", 64 * kMiB},  {"as", 140 * kMiB},  {"data", 0},
      {"data", kMiB}, {"data", 4 * kMiB}, {"data", 32 * kMiB}, {"nproc", 0},
      {"nproc", 3},   {"memlock", kMiB},  {"locked", 0}};
  for (const auto& limit : limits) {
    const auto& [resource, amount] = limit;
    for (const char* when : {"start", "later"}) {
      const ProcessResult result =
          run_program("limits_program", {resource, std::to_string(amount), when});
      INFO(limit.first, " ", limit.second, " ", std::string(when), ": ", result.out, result.err,
           "signal ", result.signal);
      CHECK_FALSE(result.timed_out);
      if (result.exit_code != 77) CHECK(result.exit_code == 0);
    }
  }
}

// [span.returned]
TEST_CASE("memory: what lies between the survivors of a peak goes back, asked for or in time") {
  if (kSanitized) return;
  for (const char* when : {"asked", "idle"}) {
    const ProcessResult result = run_program("survivors_program", {when});
    INFO(std::string(when), ": ", result.out, result.err, "signal ", result.signal);
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
