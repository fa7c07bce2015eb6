// Broken rules get a message that names the place: GODEBUG=findlost=1, and the checking build.
#include <regex>

#include "tests/subprocess.hpp"

namespace tricolor::tests {
namespace {

// The address that the program printed after a word.
std::string printed_address(const std::string& out, const std::string& word) {
  std::smatch m;
  return std::regex_search(out, m, std::regex(word + " (0x[0-9a-f]+)")) ? m[1].str()
                                                                        : "none printed";
}

// An address in the message counts whatever zeros stand in front of it.
bool names_address(const std::string& text, const std::string& address) {
  return address.size() > 2 &&
         std::regex_search(text, std::regex("\\b(0x)?0*" + address.substr(2) + "\\b"));
}

TEST_CASE(
    "process: findlost=1 names the place of a lost reference in malloc memory and in a global") {
  for (const char* mode : {"malloc", "global"}) {
    CAPTURE(mode);
    const ProcessResult result =
        run_program("lost_program", {mode}, {.environment = {{"GODEBUG", "findlost=1"}}});
    CAPTURE(result.err);
    CAPTURE(result.out);
    CHECK(result.exit_code == 0);
    CHECK(names_address(result.err, printed_address(result.out, "place")));
    CHECK(result.err.find("findlost") != std::string::npos);
  }
}

TEST_CASE("process: findlost=1 reports a raw reference given to std::thread") {
  const ProcessResult result =
      run_program("lost_program", {"thread"}, {.environment = {{"GODEBUG", "findlost=1"}}});
  CAPTURE(result.err);
  CHECK(result.err.find("findlost") != std::string::npos);
}

TEST_CASE("process: findlost=1 is silent about a program that keeps the rules") {
  for (const char* mode : {"none", "signal"}) {
    CAPTURE(mode);
    const ProcessResult result =
        run_program("lost_program", {mode}, {.environment = {{"GODEBUG", "findlost=1"}}});
    CAPTURE(result.err);
    CHECK(result.exit_code == 0);
    CHECK(result.err.empty());
  }
}

TEST_CASE("process: without findlost nothing is said") {
  const ProcessResult result = run_program("lost_program", {"malloc"});
  CHECK(result.exit_code == 0);
  CHECK(result.err.empty());
}

#if TRICOLOR_CHECKS

TEST_CASE(
    "process: the checking build names type, offset and object of a raw field that alone leads to "
    "an object" *
    doctest::skip(kThreadSanitizer)) {
  const ProcessResult result = run_program("misuse_program", {"raw-field"});
  CAPTURE(result.err);
  CAPTURE(result.out);
  CHECK(result.err.find("rule 1") != std::string::npos);
  CHECK(result.err.find("Offender") != std::string::npos);
  CHECK(std::regex_search(result.err, std::regex("\\b16\\b")));
  CHECK(names_address(result.err, printed_address(result.out, "object")));
}

TEST_CASE(
    "process: the checking build names the address of a gc::ptr in memory that is not collected") {
  for (const char* mode : {"ptr-in-heap", "ptr-global", "ptr-constinit"}) {
    CAPTURE(mode);
    const ProcessResult result = run_program("misuse_program", {mode});
    CAPTURE(result.err);
    CAPTURE(result.out);
    CHECK(result.err.find("rule 2") != std::string::npos);
    CHECK(result.err.find("Item") != std::string::npos);
    CHECK(names_address(result.err, printed_address(result.out, "object")));
  }
}

TEST_CASE("process: the checking build is silent about a program that keeps the rules") {
  const ProcessResult result = run_program("misuse_program", {"none"});
  CHECK(result.exit_code == 0);
  CHECK(result.err.empty());
}

#endif

}  // namespace
}  // namespace tricolor::tests
