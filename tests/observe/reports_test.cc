// Reports: what a handler hears, on which occasions, and what becomes of the program.

#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <stdexcept>

#include "runtime/finding.h"
#include "tests/subprocess.hpp"

#include <tricolor/debug.hpp>

namespace tricolor::tests {

namespace {

using debug::Report;

// What is heard while it lives; the handler before comes back.
class Listener {
 public:
  Listener()
      : before_(debug::set_report_handler([this](const Report& r) { reports.push_back(r); })) {}
  ~Listener() { debug::set_report_handler(before_); }
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  std::vector<Report> reports;  // handlers are called one at a time

 private:
  debug::ReportHandler before_;
};

[[gnu::noinline]] void break_a_rule(const char* text) {
  runtime::report_here("rule 2", "rule 2: %s", text);
  asm volatile("" ::: "memory");
}

std::string functions(const Report& report) {
  std::string all;
  for (const debug::StackFrame& frame : report.stack) all += frame.function + "\n";
  return all;
}

}  // namespace

TEST_CASE("reports: a handler hears kind, message and the stack of who broke the rule") {
  runtime::attach_thread();
  Listener listener;
  break_a_rule("a mistake");
  REQUIRE(listener.reports.size() == 1);
  const Report& report = listener.reports[0];
  CHECK(report.kind == "rule 2");
  CHECK(report.message == "rule 2: a mistake");
  CHECK(report.thread_id == syscall(SYS_gettid));
  REQUIRE(!report.stack.empty());
  CAPTURE(functions(report));
  CHECK(report.stack[0].function.find("break_a_rule") != std::string::npos);
  const std::string text = debug::describe(report);
  CHECK(text.find("rule 2: a mistake\n    ") == 0);
}

TEST_CASE("reports: the handler before is given back, and none is one as well") {
  std::string heard;
  const debug::ReportHandler outer =
      debug::set_report_handler([&](const Report&) { heard += 'a'; });
  runtime::attach_thread();
  break_a_rule("1");
  const debug::ReportHandler a = debug::set_report_handler([&](const Report&) { heard += 'b'; });
  break_a_rule("2");
  debug::set_report_handler(a);
  break_a_rule("3");
  CHECK(debug::set_report_handler(nullptr) != nullptr);
  CHECK(debug::set_report_handler(outer) == nullptr);
  CHECK(heard == "aba");
}

TEST_CASE("reports: what a search finds is heard before collect() returns") {
  Listener listener;
  for (int i = 0; i < 20; ++i) runtime::report_found("findlost", {}, "the object %d", i);
  runtime::collect();
  REQUIRE(listener.reports.size() == 20);
  for (int i = 0; i < 20; ++i)
    CHECK(listener.reports[static_cast<std::size_t>(i)].message ==
          "the object " + std::to_string(i));
  CHECK(listener.reports[0].thread_id == 0);
  CHECK(listener.reports[0].stack.empty());
}

TEST_CASE("reports: a handler may allocate, collect, break a rule, throw and set another") {
  runtime::attach_thread();
  std::vector<std::string> heard;
  debug::ReportHandler last = [&](const Report& report) {
    heard.push_back("last " + report.message);
  };
  const debug::ReportHandler outer = debug::set_report_handler([&](const Report& report) {
    heard.push_back(report.message);
    if (heard.size() == 1) {
      gc::root<Node> node = gc::make<Node>(5);
      runtime::collect();
      CHECK(node->intact());
      break_a_rule("in the handler");
      CHECK(heard.size() == 1);  // comes after this call
      throw std::runtime_error("on purpose");
    }
    debug::set_report_handler(last);
  });
  break_a_rule("outside");
  REQUIRE(heard.size() == 2);
  CHECK(heard[0] == "rule 2: outside");
  CHECK(heard[1] == "rule 2: in the handler");
  break_a_rule("afterwards");
  REQUIRE(heard.size() == 3);
  CHECK(heard[2] == "last rule 2: afterwards");
  debug::set_report_handler(outer);
}

// [reports.queue] [reports.turn]
TEST_CASE("reports: from many threads, one at a time, and none is lost") {
  Listener listener;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([t] {
      runtime::attach_thread();
      for (int i = 0; i < 15; ++i) {
        break_a_rule(("thread " + std::to_string(t) + " time " + std::to_string(i)).c_str());
        gc::keep_alive(gc::make<Node>(1));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  runtime::collect();
  CHECK(listener.reports.size() == 60);
  std::vector<std::string> messages;
  for (const Report& report : listener.reports) messages.push_back(report.message);
  std::sort(messages.begin(), messages.end());
  CHECK(std::unique(messages.begin(), messages.end()) == messages.end());
}

TEST_CASE("reports: a lost reference is heard of after collect(), and after a cycle of its own") {
  for (const char* mode : {"collect", "automatic"}) {
    CAPTURE(mode);
    const ProcessResult result =
        run_program("reports_program", {mode}, {.environment = {{"GODEBUG", "findlost=1"}}});
    CAPTURE(result.out);
    CAPTURE(result.err);
    CHECK(result.exit_code == 0);
    CHECK(result.err.empty());
    CHECK(result.out.find("findlost: findlost: the tricolor::tests::Item at 0x") !=
          std::string::npos);
    CHECK(result.out.find("the object was made in\n") != std::string::npos);
    CHECK(result.out.find("store_into") != std::string::npos);
  }
}

TEST_CASE("reports: what waits is heard at exit, and a child of fork() has a handler too") {
  const ProcessResult at_exit = run_program("reports_program", {"exit"});
  CAPTURE(at_exit.err);
  CHECK(at_exit.exit_code == 0);
  CHECK(at_exit.out == "findlost: at the end\n");
  if (kThreadSanitizer) return;  // no fork beside threads
  const ProcessResult forked = run_program("reports_program", {"fork"});
  CAPTURE(forked.out);
  CAPTURE(forked.err);
  CHECK(forked.exit_code == 0);
  CHECK(forked.out == "findlost: in the parent\nfindlost: in the child\n");
}

TEST_CASE("reports=abort: the report, its stack, and an end by SIGABRT") {
  const ProcessResult found = run_program(
      "reports_program", {"collect"}, {.environment = {{"GODEBUG", "findlost=1,reports=abort"}}});
  CAPTURE(found.err);
  CHECK(found.signal == SIGABRT);
  CHECK(found.err.find("tricolor: findlost: the tricolor::tests::Item at 0x") == 0);
  CHECK(found.out.find("findlost") == std::string::npos);  // no handler hears of it
  const ProcessResult mistake =
      run_program("reports_program", {"mistake"}, {.environment = {{"GODEBUG", "reports=abort"}}});
  CAPTURE(mistake.err);
  CHECK(mistake.signal == SIGABRT);
  const std::vector<std::string> lines = mistake.err_lines();
  REQUIRE(lines.size() > 2);
  CHECK(lines[0] == "tricolor: rule 2: a mistake");
  CHECK(lines[1].find("make_mistake") != std::string::npos);
  const ProcessResult printed =
      run_program("reports_program", {"mistake"}, {.environment = {{"GODEBUG", "reports=print"}}});
  CHECK(printed.exit_code == 0);
  // The checking build prints the stack as well.
  CHECK(printed.err.starts_with("tricolor: rule 2: a mistake\n"));
  CHECK((printed.err.find("make_mistake") != std::string::npos) == (TRICOLOR_CHECKS != 0));
}

#if TRICOLOR_CHECKS
TEST_CASE("reports: the checking build tells a handler where a gc::ptr was made") {
  const ProcessResult result = run_program("reports_program", {"pointer"});
  CAPTURE(result.out);
  CAPTURE(result.err);
  CHECK(result.exit_code == 0);
  CHECK(result.err.empty());
  CHECK(result.out.find("rule 2: rule 2: the gc::ptr<") == 0);
  CHECK(result.out.find("place_pointer") != std::string::npos);
}
#endif

}  // namespace tricolor::tests
