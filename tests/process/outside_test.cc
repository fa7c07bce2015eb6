// What the trace and the collector make of memory outside of the heap, and of what waits to be
// destroyed.
#include <algorithm>

#include "tests/subprocess.hpp"

namespace tricolor::tests {
namespace {

bool has_hint(const ProcessResult& result) {
  return result.err.find("gc: hint: ") != std::string::npos &&
         result.err.find("runtime::adjust_external_memory") != std::string::npos;
}

TEST_CASE("process: the trace hints at memory outside that nobody has told of") {
  if (kSanitized) return;
  const auto run = [](const char* way, const char* mebibytes, const char* trace) {
    return run_program("outside_program", {way, mebibytes},
                       ProcessOptions{.environment = {{"GCTRACE", trace}}});
  };
  const ProcessResult kept = run("kept", "400", "1");
  INFO(kept.out, kept.err);
  CHECK(kept.exit_code == 0);
  CHECK(has_hint(kept));
  CHECK(kept.err.find("hint") == kept.err.rfind("hint"));  // once
  CHECK_FALSE(has_hint(run("told", "400", "1")));
  CHECK_FALSE(has_hint(run("kept", "100", "1")));
  CHECK_FALSE(has_hint(run("kept", "400", "0")));
}

TEST_CASE("process: objects that own much memory outside are collected though nobody tells of it") {
  if (kSanitized) return;
  const ProcessResult result = run_program("outside_program", {"owned", "16000"},
                                           ProcessOptions{.environment = {{"GCTRACE", "1"}}});
  INFO(result.out, result.err);
  CHECK(result.exit_code == 0);
  CHECK(has_hint(result));
  CHECK(std::atol(result.out.c_str()) < 4000);  // MiB at the peak, of 16,000 made
}

std::vector<long> values_of(const ProcessResult& result, const std::string& name) {
  std::vector<long> values;
  for (std::size_t at = 0; (at = result.err.find(name + "=", at)) != std::string::npos;) {
    at += name.size() + 1;
    values.push_back(std::atol(result.err.c_str() + at));
  }
  return values;
}

TEST_CASE("process: gctrace=2 shows what waits to be destroyed") {
  const ProcessResult result = run_program(
      "outside_program", {"queue"}, ProcessOptions{.environment = {{"GODEBUG", "gctrace=2"}}});
  INFO(result.out, result.err);
  CHECK(result.exit_code == 0);
  const std::vector<long> queue = values_of(result, "finalizer_queue");
  const std::vector<long> bytes = values_of(result, "finalizer_queue_bytes");
  REQUIRE(queue.size() >= 3);
  REQUIRE(bytes.size() == queue.size());
  // A line is written before the sweep of its cycle: the second sees what the first found dead.
  const auto most =
      static_cast<std::size_t>(std::max_element(queue.begin(), queue.end()) - queue.begin());
  CHECK(queue[most] >= 900);
  CHECK(bytes[most] >= queue[most] * 100);
  CHECK(queue.back() == 0);
}

}  // namespace
}  // namespace tricolor::tests
