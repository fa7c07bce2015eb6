// The system refuses threads: cycles and finalizers go on by the threads there are.
#include "tests/subprocess.hpp"

namespace tricolor::tests {
namespace {

void check_without_threads(const char* mode, const char* debug = "") {
  CAPTURE(mode);
  CAPTURE(debug);
  const ProcessResult result =
      run_program("no_threads_program", {mode}, {.environment = {{"GODEBUG", debug}}});
  CAPTURE(result.err);
  CAPTURE(result.signal);
  CHECK(!result.timed_out);
  CHECK(result.exit_code == 0);
  CHECK(result.out == "ok\n");
}

TEST_CASE("process: a program that never gets a helper thread collects all the same") {
  if (kSanitized) return;  // they have pthread_create for themselves
  check_without_threads("start");
  check_without_threads("start", "gcstress=1000");
  check_without_threads("start", "gccheckmark=1");
}

TEST_CASE("process: no further thread can be had from some time on") {
  if (kSanitized) return;
  check_without_threads("later");
}

TEST_CASE("process: helper threads that were refused are asked for again") {
  if (kSanitized) return;
  check_without_threads("again");
}

// [collector.one-runner]
TEST_CASE("process: several threads run the cycles they want, in turn") {
  if (kSanitized) return;
  check_without_threads("threads");
  check_without_threads("threads", "gcstress=200");
  check_without_threads("threads", "gccheckmark=1");
}

TEST_CASE("process: the child of fork() starts helper threads when it needs them") {
  if (kSanitized) return;
  check_without_threads("children");
}

TEST_CASE("process: a fork() while another thread first uses the heap") {
  // AddressSanitizer's malloc is locked in the child where a thread that starts was in it.
  if (kSanitized && !kThreadSanitizer) return;
  const ProcessResult result = run_program("fork_start_program", {kThreadSanitizer ? "60" : "300"});
  CAPTURE(result.err);
  CHECK(!result.timed_out);
  CHECK(result.exit_code == 0);
  CHECK(result.out == "ok\n");
}

TEST_CASE("process: a hook of the program does not run inside an allocation") {
  if (kSanitized) return;
  check_without_threads("hooks");
}

TEST_CASE("process: the library makes the documented system calls and no other") {
  if (kSanitized) return;
  const ProcessResult result = run_program("sandbox_program", {});
  CAPTURE(result.err);
  CAPTURE(result.signal);  // SIGSYS: another call
  if (result.exit_code == 77) return;
  CHECK(result.exit_code == 0);
  CHECK(result.out == "begin\nok\n");
  const ProcessResult seeing = run_program("sandbox_program", {"seeing"});
  CAPTURE(seeing.err);
  CAPTURE(seeing.signal);
  CHECK(seeing.exit_code == 0);
  CHECK(seeing.out == "begin\nok\n");
}

}  // namespace
}  // namespace tricolor::tests
