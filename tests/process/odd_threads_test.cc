// Threads that are cancelled inside the library, and threads whose stack is the smallest there is.
#include "tests/subprocess.hpp"

namespace tricolor::tests {
namespace {

void check_odd_threads(const char* mode, const Settings& settings = {}) {
  CAPTURE(mode);
  const ProcessResult result =
      run_program("odd_threads_program", {mode}, {.environment = settings});
  CAPTURE(result.err);
  CAPTURE(result.signal);
  CHECK(!result.timed_out);
  CHECK(result.exit_code == 0);
  CHECK(result.out == "ok\n");
}

TEST_CASE("process: the library starts on a thread that is being cancelled") {
  check_odd_threads("cancelled");
  check_odd_threads("cancelled", {{"GOGC", "nonsense"}});  // the complaint is a write
  check_odd_threads("cancelled", {{"GODEBUG", "findlost=1"}});
}

TEST_CASE("process: threads are cancelled anywhere, and cycles go on") {
  check_odd_threads("anywhere");
  check_odd_threads("anywhere", {{"GODEBUG", "gcstress=100"}});
}

TEST_CASE("process: the smallest stack is enough to start the library and to use it") {
  if (kSanitized) return;  // their frames are larger
  check_odd_threads("small");
  check_odd_threads("small", {{"GODEBUG", "findlost=1"}});
  check_odd_threads("small", {{"GODEBUG", "gccheckmark=1"}});
  check_odd_threads("small", {{"GOGC", "nonsense"}});
}

// [signal.room]
TEST_CASE("process: a stack with no room for a handshake's signal is refused") {
  if (kSanitized) return;
  check_odd_threads("used-up");
  check_odd_threads("signal-stack");
}

TEST_CASE("process: the smallest stack has room for a handshake") {
  if (kSanitized) return;
  check_odd_threads("interrupted");
}

}  // namespace
}  // namespace tricolor::tests
