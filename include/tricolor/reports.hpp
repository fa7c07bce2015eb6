// What the checks report, told to the program instead of standard error: part of
// <tricolor/debug.hpp>.
//
//     debug::set_report_handler([](const debug::Report& report) {
//       std::cerr << debug::describe(report);
//     });
//
// Reports are what GODEBUG=findlost=1 and the checking build find in a program that then goes on.
// What ends the program has a message of its own and no handler.
//
// GODEBUG=reports=abort prints the first report with its stack and ends the program; handlers are
// not called then.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include <tricolor/detail/config.hpp>
#include <tricolor/threads.hpp>

namespace tricolor::debug {

struct Report {
  std::string kind;     // "findlost", "rule 1", "rule 2", "unloaded type"
  std::string message;  // the line that standard error would get, without its "tricolor: "
  std::string holder;   // of a lost object: the global whose word leads to it ("waiting+0x8 in
                        // server"), or ""
  // Of the thread that broke the rule, where that is known as it happens (rule 2): the system's id,
  // and its calls, innermost first. Of what a search found: 0, and where the object was made, if it
  // is one of the heap profile's samples (GODEBUG=findlost=1 and memprofilerate=1 make all).
  int thread_id = 0;
  std::vector<StackFrame> stack;
};

using ReportHandler = std::function<void(const Report&)>;

// Calls `handler` with each report from now on; nullptr: standard error has them again. Gives what
// was set before. Waits for a call that is going on, except from within it. Any thread; attaches
// it. std::bad_alloc.
//
// One call at a time, outside of the library's locks and sections: a handler may make collected
// objects, collect, and set another handler; it must not wait for a thread that collects or sets
// one. It is called by the thread that broke the rule, before its store goes on; for what a
// collection found by the one that called collect(), before that returns, or by a thread of the
// library's own; also by one that happens to call it already. One that throws is said so of on
// standard error, with the report. Where a handler breaks a rule itself, its report comes after it.
TRICOLOR_API ReportHandler set_report_handler(ReportHandler handler);

// The message, and a line for each call.
[[nodiscard]] TRICOLOR_API std::string describe(const Report& report);

}  // namespace tricolor::debug
