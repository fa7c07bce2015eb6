// Broken rules get a message that names the place: GODEBUG=findlost=1, and the checking build.
#include <csignal>
#include <regex>
#include <string_view>

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
    CHECK(result.err.find("findlost: the tricolor::tests::Item at 0x") != std::string::npos);
    CHECK(result.err.find("the object was made in") != std::string::npos);
    CHECK(result.err.find("store_into") != std::string::npos);
    const bool global = std::string_view(mode) == "global";
    CHECK((result.err.find("global_place in lost_program") != std::string::npos) == global);
  }
}

TEST_CASE("process: findlost=1 reports a place once, however often it loses what it points to") {
  const ProcessResult result =
      run_program("lost_program", {"again"}, {.environment = {{"GODEBUG", "findlost=1"}}});
  CAPTURE(result.err);
  CHECK(result.exit_code == 0);
  const std::string place = printed_address(result.out, "place").substr(2);
  std::size_t reports = 0;
  for (const std::string& line : result.err_lines())
    reports += line.starts_with("tricolor: findlost") && line.find(place) != std::string::npos;
  CHECK(reports == 1);
}

#if !TRICOLOR_ASAN && !TRICOLOR_TSAN

TEST_CASE("process: delete of a collected object ends the program with a message that says so") {
  for (const char* mode : {"delete", "unique-ptr", "delete-array"}) {
    CAPTURE(mode);
    const ProcessResult result = run_program("misuse_program", {mode});
    CAPTURE(result.err);
    CHECK(result.signal == SIGABRT);
    CHECK(result.err.starts_with("tricolor: fatal: delete of 0x"));
    CHECK(names_address(result.err, printed_address(result.out, "object")));
    CHECK(result.err.find("gc::destroy") != std::string::npos);
  }
}

#endif

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

TEST_CASE("process: words with a tag in the low bits keep their objects") {
  CHECK(run_program("misuse_program", {"tagged"}).out == "ok\n");
}

// The checking build searches when the program asks for a collection; under a sanitizer it does
// not.
TEST_CASE("process: without findlost nothing is said, unless by the checking build") {
  for (const char* setting : {"findlost=0", ""}) {
    CAPTURE(std::string(setting));
    const ProcessResult result =
        run_program("lost_program", {"malloc"}, {.environment = {{"GODEBUG", setting}}});
    CAPTURE(result.err);
    CHECK(result.exit_code == 0);
    const bool searches = TRICOLOR_CHECKS != 0 && !kSanitized && setting[0] == '\0';
    CHECK(result.err.empty() == !searches);
  }
}

#if TRICOLOR_ASAN

TEST_CASE("process: [poison.free] AddressSanitizer ends a program that touches what is nobody's") {
  for (const char* mode : {"swept", "destroyed", "behind"}) {
    CAPTURE(mode);
    const ProcessResult result = run_program("poison_program", {mode});
    CAPTURE(result.err);
    CHECK(result.exit_code != 0);
    CHECK(result.err.find("use-after-poison") != std::string::npos);
  }
  const ProcessResult result = run_program("poison_program", {"none"});
  CAPTURE(result.err);
  CHECK(result.exit_code == 0);
}

TEST_CASE("process: LeakSanitizer looks for references in the collected heap") {
  for (const char* mode : {"owned", "leak"}) {
    CAPTURE(mode);
    const ProcessResult result = run_program(
        "poison_program", {mode},
        {.environment = {{"ASAN_OPTIONS", "detect_leaks=1:detect_stack_use_after_return=0"}}});
    CAPTURE(result.err);
    if (result.err.find("LeakSanitizer has encountered a fatal error") != std::string::npos)
      return;  // it may not look at this process
    CHECK((result.exit_code == 0) == (std::string_view(mode) == "owned"));
  }
}

#endif

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

TEST_CASE("process: the checking build tells that a gc::atomic outside of the heap is no root") {
  for (const char* mode : {"atomic-global", "atomic-heap"}) {
    CAPTURE(mode);
    const ProcessResult result = run_program("misuse_program", {mode});
    CAPTURE(result.err);
    CAPTURE(result.out);
    CHECK(result.err.find("rule 2: the gc::atomic<") != std::string::npos);
    CHECK(result.err.find("is a gc::atomic_root") != std::string::npos);
    CHECK(names_address(result.err, printed_address(result.out, "object")));
  }
}

TEST_CASE("process: the checking build is silent about a program that keeps the rules") {
  for (const char* mode : {"none", "tagged"}) {
    CAPTURE(mode);
    const ProcessResult result = run_program("misuse_program", {mode});
    CHECK(result.exit_code == 0);
    CHECK(result.err == "");
  }
}

#endif

}  // namespace
}  // namespace tricolor::tests
