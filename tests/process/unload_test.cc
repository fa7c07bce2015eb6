// Shared libraries with types that have a destructor, unloaded before and after their objects have
// died.
#include "tests/subprocess.hpp"

namespace tricolor::tests {
namespace {

int destroyed(const ProcessResult& result) {
  int count = -1;
  std::sscanf(result.out.c_str(), "%d destroyed", &count);
  return count;
}

// [types.unload]
TEST_CASE(
    "process: a shared library is unloaded when its objects are dead, and they are destroyed") {
  for (const char* way : {"waited", "queued", "dropped", "again"}) {
    CAPTURE(way);
    const ProcessResult result = run_program("unload_program", {way});
    INFO(result.out, result.err, "signal ", result.signal);
    CHECK(result.exit_code == 0);
    CHECK(result.err.empty());
    CHECK(destroyed(result) >= 19'000);  // a stale word may keep some
  }
}

// [types.unload]
TEST_CASE("process: objects whose shared library was unloaded are reported, not destroyed") {
  const ProcessResult result = run_program("unload_program", {"alive"});
  INFO(result.out, result.err, "signal ", result.signal);
  CHECK(result.exit_code == 0);
  CHECK(destroyed(result) == 0);
  CHECK(result.err.find("lay in a shared library that was unloaded") != std::string::npos);
  CHECK(result.err_lines().size() == 1);
}

}  // namespace
}  // namespace tricolor::tests
