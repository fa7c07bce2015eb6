// Misuse of pools gets a message that names what, which object and where, in the checking build.
#include <regex>

#include "tests/pool/pool_support.hpp"
#include "tests/subprocess.hpp"

namespace tricolor::tests {
namespace {

// What the program printed after a word.
std::string printed(const ProcessResult& result, const std::string& word) {
  std::smatch m;
  return std::regex_search(result.out, m, std::regex(word + " (\\S+)")) ? m[1].str()
                                                                        : "none printed";
}

TEST_CASE("misuse: a program that keeps the rules hears nothing") {
  for (const char* mode : {"none", "put-after-drop", "publish-well"}) {
    CAPTURE(mode);
    const ProcessResult result = run_program("pool_misuse_program", {mode});
    CAPTURE(result.err);
    CHECK(result.exit_code == 0);
    CHECK(result.err.empty());
  }
}

TEST_CASE("misuse: what a thread remembers of a pool is no lost reference") {
  const ProcessResult result =
      run_program("pool_misuse_program", {"stale"}, {.environment = {{"GODEBUG", "findlost=1"}}});
  CAPTURE(result.err);
  CAPTURE(result.out);
  const std::uint64_t from = std::stoull(printed(result, "entries"), nullptr, 16);
  const std::uint64_t to = std::stoull(printed(result, "end"), nullptr, 16);
  CHECK(from < to);
  std::string text = result.err;
  for (std::smatch m; std::regex_search(text, m, std::regex("the word at (0x[0-9a-f]+)"));
       text = m.suffix()) {
    const std::uint64_t place = std::stoull(m[1].str(), nullptr, 16);
    CHECK_FALSE((place >= from && place < to));
  }
}

#if TRICOLOR_CHECKS

bool reports(const ProcessResult& result, const std::string& part) {
  return result.err.find(part) != std::string::npos;
}

TEST_CASE("misuse: an object that is put twice is named, with both call sites") {
  for (const char* mode : {"put-twice", "put-elsewhere"}) {
    CAPTURE(mode);
    const ProcessResult result = run_program("pool_misuse_program", {mode});
    CAPTURE(result.err);
    CAPTURE(result.out);
    CHECK(result.signal == SIGABRT);
    CHECK(reports(result, "put twice"));
    CHECK(reports(result, printed(result, "object")));
    CHECK(reports(result, "Widget"));
    CHECK(reports(result, "pool_misuse_program.cc" + printed(result, "first")));
    CHECK(reports(result, "pool_misuse_program.cc" + printed(result, "second")));
  }
}

TEST_CASE("misuse: an object written while it lies in a pool is named, with the stack of its put") {
  for (const char* mode : {"written-leaf", "written-linked", "written-first", "written-owner"}) {
    CAPTURE(mode);
    const ProcessResult result = run_program("pool_misuse_program", {mode});
    CAPTURE(result.err);
    CAPTURE(result.out);
    CHECK(result.signal == SIGABRT);
    CHECK(reports(result, printed(result, "object") + " was used after it was put"));
    CHECK(reports(result, "pool_misuse_program.cc" + printed(result, "put")));
    CHECK(reports(result, "pool: put at:"));
    CHECK(reports(result, "pool: found at:"));
  }
}

TEST_CASE("misuse: what is published lies in no pool, and what lies in a pool is not published") {
  const ProcessResult pooled = run_program("pool_misuse_program", {"publish-pooled"});
  CAPTURE(pooled.err);
  CHECK(pooled.signal == SIGABRT);
  CHECK(reports(pooled, "is published by a gc::snapshot"));
  CHECK(reports(pooled, "pool_misuse_program.cc" + printed(pooled, "second")));
  const ProcessResult put = run_program("pool_misuse_program", {"put-published"});
  CAPTURE(put.err);
  CHECK(put.signal == SIGABRT);
  CHECK(reports(put, "while a gc::snapshot has it"));
  CHECK(reports(put, "pool_misuse_program.cc" + printed(put, "first")));
  CHECK(reports(put, "pool_misuse_program.cc" + printed(put, "second")));
}

TEST_CASE(
    "misuse: a pool that is destroyed while a lease is out is named, with the lease's place") {
  const ProcessResult result = run_program("pool_misuse_program", {"destroyed"});
  CAPTURE(result.err);
  CAPTURE(result.out);
  CHECK(result.signal == SIGABRT);
  CHECK(reports(result, printed(result, "pool")));
  CHECK(reports(result, "1 lease is out"));
  CHECK(reports(result, "pool_misuse_program.cc" + printed(result, "lease")));
}

#endif

}  // namespace
}  // namespace tricolor::tests
