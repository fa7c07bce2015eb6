// Programs all of whose memory is traced (traced_new.hpp).
#include <csignal>

#include "tests/subprocess.hpp"
#include "tests/support.hpp"

namespace tricolor::tests {
namespace {

void expect_ok(const std::string& name, const std::string& godebug = "") {
  CAPTURE(name);
  CAPTURE(godebug);
  ProcessOptions options;
  if (!godebug.empty()) options.environment = {{"GODEBUG", godebug}};
  const ProcessResult result = run_program("new_program", {name}, options);
  INFO(result.out);
  INFO(result.err);
  CHECK(result.exit_code == 0);
  CHECK(result.out == "ok\n");
}

void expect_message(const std::string& mistake, const std::string& message) {
  CAPTURE(mistake);
  const ProcessResult result = run_program("new_program", {"misuse", mistake});
  INFO(result.err);
  CHECK(result.signal == SIGABRT);
  CHECK(result.err.find(message) != std::string::npos);
}

}  // namespace

TEST_CASE("traced new: references wherever the language puts them") {
  for (const char* const name : {"keeps", "async", "thread_locals"}) {
    expect_ok(name);
    expect_ok(name, "gccheckmark=1");
    expect_ok(name, "clobberfree=1,gcstress=1000");
  }
}

TEST_CASE("traced new: every form of new and delete") { expect_ok("forms"); }

TEST_CASE("traced new: forks") {
  // ThreadSanitizer gives up on a child whose threads get the ids of the parent's; a lock of
  // AddressSanitizer's allocator that another thread holds stays locked in the child.
  if (kSanitized) return;
  expect_ok("forks");
}

TEST_CASE("traced new: out of memory, everything intact") {
  if (kSanitized) return;  // their shadow is address space
  expect_ok("out_of_memory");
}

// [cells.wrong]
TEST_CASE("traced new: what must not be deleted is named") {
  expect_message("twice", "twice: the cell of 16 bytes is free already");
  expect_message("collected", "delete of a collected object");
  expect_message("inside", "points 4 bytes into a cell of 16 bytes");
  expect_message("foreign", "is no traced memory");
  expect_message("stack", "is no traced memory");
  expect_message("large-twice", "was freed already");
}

TEST_CASE("traced new: a program that collects nothing has no heap") {
  ProcessOptions options;
  options.environment = {{"GCTRACE", "1"}};
  const ProcessResult result = run_program("plain_program", {}, options);
  const int threads = kThreadSanitizer ? 2 : 1;  // that has one of its own
  CHECK(result.out == "100000 strings, " + std::to_string(threads) + " threads\n");
  if (!kThreadSanitizer) CHECK(result.err == "");
}

}  // namespace tricolor::tests
