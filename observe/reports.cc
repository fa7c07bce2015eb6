#include <pthread.h>

#include <array>
#include <atomic>
#include <cstdlib>
#include <exception>
#include <memory>
#include <mutex>
#include <new>
#include <utility>

#include "gc/helper_threads.h"
#include "gc/observers.h"
#include "gc/options.h"
#include "observe/output.h"
#include "observe/reports.h"
#include "observe/samples.h"
#include "observe/stack.h"
#include "observe/symbol_table.h"
#include "observe/symbols.h"
#include "runtime/base/check.h"
#include "runtime/base/end_program.h"
#include "runtime/base/lock.h"
#include "runtime/base/no_cancellation.h"
#include "runtime/finding.h"
#include "runtime/heap/allocation_watch.h"
#include "runtime/os/os.h"
#include "runtime/thread.h"

#include <tricolor/reports.hpp>

namespace tricolor::observe {

namespace {

using debug::Report;
using debug::ReportHandler;
using runtime::Thread;

struct Finding {
  const char* kind = nullptr;
  int tid = 0;
  const void* word = nullptr;  // outside of collected memory, that refers to a lost object
  bool printed = false;
  Stack stack{};
  char text[runtime::kReportLineBytes] = {};
};

// Several searches' worth. What finds no room is printed.
constexpr size_t kPlaces = 64;
constinit std::array<Finding, kPlaces> g_queue{};
constinit runtime::Lock g_queue_lock{runtime::LockRank::leaf};
// Guarded by g_queue_lock.
size_t g_first = 0;
size_t g_count = 0;

constinit runtime::Lock g_turn;  // [reports.turn]
constinit thread_local bool t_has_turn = false;
// Guarded by the turn. Never destroyed: threads of the library outlive static destructors.
constinit std::shared_ptr<const ReportHandler>* g_handler = nullptr;
// Both relaxed: there is a handler; there is or was one, or something to tell without.
constinit std::atomic<bool> g_has_handler{false};
constinit std::atomic<bool> g_in_use{false};
constinit std::atomic<uint32_t> g_wake{0};
// Written as the first thread is attached, or by whoever has the turn.
constinit bool g_sees_to_exit = false;
constinit bool g_has_thread = false;

// In a runtime section, or by a thread that has none: it is not stopped.
bool put(const Finding& finding) noexcept {
  const std::lock_guard guard(g_queue_lock);
  if (g_count == kPlaces) return false;
  g_queue[(g_first + g_count++) % kPlaces] = finding;
  return true;
}

bool take(Thread& self, Finding& finding) noexcept {
  const runtime::RuntimeScope scope(self);
  const std::lock_guard guard(g_queue_lock);
  if (g_count == 0) return false;
  finding = g_queue[g_first];
  g_first = (g_first + 1) % kPlaces;
  --g_count;
  return true;
}

bool is_empty(Thread& self) noexcept {
  const runtime::RuntimeScope scope(self);
  const std::lock_guard guard(g_queue_lock);
  return g_count == 0;
}

// "waiting+0x8 in server"; "" for what is no global.
std::string global_at(const void* word) {
  if (word == nullptr) return {};
  SymbolTables tables;
  const Symbol symbol = tables.data_at(reinterpret_cast<uintptr_t>(word));
  if (symbol.name.empty()) return {};
  return symbol.with_offset() + " in " + symbol.file;
}

Report in_words(const Finding& finding) {
  Report report;
  report.kind = finding.kind;
  report.message = finding.text;
  report.thread_id = finding.tid;
  report.holder = global_at(finding.word);
  if (finding.stack.depth == 0) return report;
  Symbols symbols;
  symbols.resolve({finding.stack.begin(), finding.stack.end()});
  for (const uintptr_t frame : finding.stack) {
    const Place& place = symbols.at(frame);
    // NOLINTNEXTLINE(performance-no-int-to-ptr)
    report.stack.push_back({reinterpret_cast<const void*>(frame),
                            place.function.empty() ? place.system_name : place.function, place.file,
                            place.line});
  }
  return report;
}

// What the line alone does not tell.
void print_details(const Finding& finding) noexcept {
  try {
    const std::string text = debug::describe(in_words(finding));
    print(std::string_view(text).substr(text.find('\n') + 1));
  } catch (const std::exception&) {
    // The line has been printed.
  }
}

void call(const Finding& finding) noexcept {
  // It may set another.
  const std::shared_ptr<const ReportHandler> handler = g_handler == nullptr ? nullptr : *g_handler;
  if (handler == nullptr) {
    if (!finding.printed) runtime::report("%s", finding.text);
    return print_details(finding);
  }
  try {
    const runtime::NoCancellation whole;
    (*handler)(in_words(finding));
  } catch (const std::exception& e) {
    runtime::report("%s", finding.text);
    runtime::report("the report handler threw: %s", e.what());
  } catch (...) {
    runtime::report("%s", finding.text);
    runtime::report("the report handler threw");
  }
}

// The turn is the calling thread's.
void hand_over_all(Thread& self) noexcept {
  t_has_turn = true;
  for (Finding finding; take(self, finding);) call(finding);
  t_has_turn = false;
}

void take_turn(Thread& self) noexcept {
  const runtime::BlockedWait wait(&self);
  g_turn.lock();
}

// [reports.queue] A finding that came after the last look was put by one that then finds the turn
// free, or is seen here: the lock of the queue orders the two.
void hand_over(Thread& self) noexcept {
  if (t_has_turn) return;
  while (!is_empty(self) && g_turn.try_lock()) {
    hand_over_all(self);
    g_turn.unlock();
  }
}

void run_reporter(unsigned) noexcept {
  try {
    Thread& self = Thread::attached();
    for (;;) {
      const uint32_t seen = g_wake.load(std::memory_order_acquire);
      hand_over(self);
      const runtime::BlockedWait wait(&self);
      runtime::futex::wait(&g_wake, seen);
    }
  } catch (const std::exception&) {
    // Without memory to be attached: collect() hands over what waits.
  }
}

[[noreturn]] void print_and_abort(const Finding& finding) noexcept {
  runtime::report("%s", finding.text);
  print_details(finding);
  runtime::end_program();
}

// A finding of a thread that is in the runtime, or of a search, goes no further here: its line is
// printed, unless a handler is to have it, and what takes memory to tell comes later.
TRICOLOR_ALLOCATOR void on_finding(const char* kind, const char* text,
                                   const runtime::Found* found) noexcept {
  Thread* const self = Thread::current();
  Finding finding;
  finding.kind = kind;
  runtime::format_to(finding.text, sizeof finding.text, "%s", text);
  const bool here = found == nullptr && self != nullptr && !self->in_runtime();
  if (here) {
    finding.tid = self->tid;
    take_stack(finding.stack);
  }
  // In a stop a thread may be inside malloc: the line has to do.
  if (gc::options().reports_abort) print_and_abort(finding);
  if (!g_has_handler.load(std::memory_order_relaxed)) {
    runtime::report("%s", text);
    finding.printed = true;
    if (here) return print_details(finding);
  }
  if (self != nullptr) self->enter();
  if (found != nullptr) {
    finding.word = found->word;
    if (found->object != nullptr) g_samples.find_stack(found->object, finding.stack);
  }
  const bool waits = put(finding);
  if (self != nullptr) self->leave();
  g_in_use.store(true, std::memory_order_relaxed);
  if (!waits) return finding.printed ? void() : runtime::report("%s", text);
  if (here) return hand_over(*self);
  g_wake.fetch_add(1, std::memory_order_release);
  runtime::futex::wake(&g_wake, 1);
}

// Whoever has the turn is waited for, but not for ever: it may wait for this thread.
void hand_over_at_exit() noexcept {
  constexpr int64_t kLongestNs = 1'000'000'000;
  Thread* const self = Thread::current();
  if (self == nullptr || t_has_turn) return;
  const int64_t end = runtime::os::now_ns() + kLongestNs;
  while (!g_turn.try_lock()) {
    if (runtime::os::now_ns() >= end) return;
    const runtime::BlockedWait wait(self);
    runtime::os::sleep_ns(1'000'000);
  }
  hand_over_all(*self);
  g_turn.unlock();
}

// The thread that held the turn is not there, unless it is the one that forked.
void after_fork_in_child() noexcept {
  if (!t_has_turn) ::new (static_cast<void*>(&g_turn)) runtime::Lock;
}

void see_to_forks_and_exit() noexcept {
  if (std::exchange(g_sees_to_exit, true)) return;
  if (pthread_atfork(nullptr, nullptr, after_fork_in_child) != 0 ||
      std::atexit(hand_over_at_exit) != 0) {
    runtime::report("reports: no memory to see to forks and the program's end");
  }
}

void start_reporter_thread() noexcept {
  if (std::exchange(g_has_thread, true)) return;
  if (!gc::start_thread("tc-reports", run_reporter))
    runtime::report("reports: the system refuses a thread: only collect() hands over");
}

// The turn is the calling thread's. std::bad_alloc.
void set_up() {
  if (g_handler != nullptr) return;
  g_handler = new std::shared_ptr<const ReportHandler>;
  see_to_forks_and_exit();
  start_reporter_thread();
}

ReportHandler exchange_handler(ReportHandler handler) {
  set_up();
  ReportHandler before = *g_handler == nullptr ? ReportHandler() : **g_handler;
  const bool any = handler != nullptr;
  *g_handler = any ? std::make_shared<const ReportHandler>(std::move(handler)) : nullptr;
  if (!gc::options().reports_abort && any) runtime::set_finding_hook(on_finding);
  g_has_handler.store(any, std::memory_order_relaxed);
  g_in_use.store(true, std::memory_order_relaxed);
  return before;
}

}  // namespace

void set_up_reports() noexcept {
  if (gc::options().reports_abort || gc::options().findlost || TRICOLOR_CHECKS)
    runtime::set_finding_hook(on_finding);
}

void start_reporter() noexcept {
  if (gc::options().reports_abort || (!gc::options().findlost && !TRICOLOR_CHECKS)) return;
  // What a search finds in a cycle that nobody waits for is told at once where it was asked for.
  see_to_forks_and_exit();
  if (gc::options().findlost) start_reporter_thread();
}

}  // namespace tricolor::observe

namespace tricolor::gc {

void hand_over_reports() noexcept {
  using namespace observe;
  if (!g_in_use.load(std::memory_order_relaxed) || t_has_turn) return;
  Thread* const self = Thread::current();
  if (self == nullptr || self->in_runtime()) return;
  take_turn(*self);
  hand_over_all(*self);
  g_turn.unlock();
  hand_over(*self);
}

}  // namespace tricolor::gc

namespace tricolor::debug {

ReportHandler set_report_handler(ReportHandler handler) {
  runtime::Thread& self = runtime::Thread::attached();
  if (observe::t_has_turn) return observe::exchange_handler(std::move(handler));
  observe::take_turn(self);
  const std::lock_guard guard(observe::g_turn, std::adopt_lock);
  if (observe::g_handler != nullptr) observe::hand_over_all(self);
  return observe::exchange_handler(std::move(handler));
}

std::string describe(const Report& report) {
  std::string text = report.message + "\n";
  if (!report.holder.empty()) text += "  the word: " + report.holder + "\n";
  if (!report.stack.empty() && report.thread_id == 0) text += "  the object was made in\n";
  for (const StackFrame& frame : report.stack) {
    text += "    ";
    if (frame.function.empty()) {
      char address[32];
      runtime::format_to(address, sizeof address, "%p", frame.address);
      text += address;
    } else {
      text += frame.function;
    }
    if (!frame.file.empty()) text += " " + frame.file + ":" + std::to_string(frame.line);
    text += "\n";
  }
  return text;
}

}  // namespace tricolor::debug
