// Threads that are hard to reach: none hangs a collection unnamed, and nothing is lost.
#include "tests/subprocess.hpp"

namespace tricolor::tests {
namespace {

ProcessResult run_mode(const std::string& mode, const std::string& debug = "") {
  Settings settings;
  if (!debug.empty()) settings["GODEBUG"] = debug;
  return run_program("handshake_program", {mode}, {.environment = settings});
}

void check_good(const ProcessResult& result) {
  CAPTURE(result.out);
  CAPTURE(result.err);
  CHECK_FALSE(result.timed_out);
  CHECK(result.exit_code == 0);
  CHECK(result.out.ends_with("ok\n"));
}

TEST_CASE("process handshake: answered where no signal can be queued") {
  check_good(run_mode("no-pending"));
}

TEST_CASE("process handshake: a handler put in place of ours is noticed, and left in place") {
  const ProcessResult result = run_mode("replaced", "gctrace=1");
  check_good(result);
  CHECK(result.err.find("another handler was installed for signal") != std::string::npos);
}

// [signal.merged]
TEST_CASE(
    "process handshake: a handler before ours gets every signal of others, and none of ours") {
  check_good(run_mode("handler-before"));
}

TEST_CASE("process handshake: a signal that is shared by request is passed on") {
  check_good(run_mode("shared", "handshakesignal=URG"));
}

TEST_CASE("process handshake: answered where no signal can be queued and SIGURG is another's") {
  check_good(run_mode("no-pending-shared"));
}

TEST_CASE("process handshake: a thread with an alternate signal stack keeps its references") {
  check_good(run_mode("alternate-stack"));
  check_good(run_mode("alternate-stack", "gccheckmark=1"));
}

TEST_CASE("process handshake: another signal may be chosen") {
  check_good(run_mode("alternate-stack", "handshakesignal=RTMIN+3"));
  check_good(run_mode("no-pending", "handshakesignal=USR2"));
}

TEST_CASE(
    "process handshake: forks with all signals masked, beside threads that mask them for good") {
  check_good(run_mode("masked-forks"));
}

// [handshake.named] [pacing.outrun]
TEST_CASE("process handshake: a thread that cannot answer is named, and the heap stays bounded") {
  const ProcessResult result = run_mode("stuck", "gctrace=1");
  check_good(result);
  CAPTURE(result.err);
  CHECK(result.err.find("collection has waited") != std::string::npos);
  CHECK(result.err.find("\"sleeper\", sleeping in system call") != std::string::npos);
  CHECK(result.err.find("masked, by which it is asked") != std::string::npos);
}

// [thread.gone] [thread.named] [signal.stray]
// ThreadSanitizer forgets a thread in a key destructor of its own, and cannot run what comes after
// it.
TEST_CASE("process handshake: a thread that ended unseen holds nothing up, whoever has its id" *
          doctest::skip(kThreadSanitizer)) {
  check_good(run_mode("ended-unseen"));
}

TEST_CASE("process handshake: hangreport says what every thread does") {
  const ProcessResult result = run_mode("stuck-long", "hangreport=1");
  check_good(result);
  CAPTURE(result.err);
  CHECK(result.err.find("is in phase \"enter\"") != std::string::npos);
  CHECK(result.err.find("state: runs, asked and has not answered") != std::string::npos);
}

// [handshake.aside] [pacing.crowd]
TEST_CASE("process handshake: many more threads than processors") { check_good(run_mode("crowd")); }

}  // namespace
}  // namespace tricolor::tests
