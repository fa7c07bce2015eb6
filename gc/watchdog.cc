#include "gc/watchdog.h"

#include <mutex>

#include "gc/collector.h"
#include "gc/helper_threads.h"
#include "gc/phase.h"
#include "runtime/base/check.h"
#include "runtime/handshake.h"
#include "runtime/os/os.h"
#include "runtime/thread.h"
#include "runtime/thread_report.h"

namespace tricolor::gc {

namespace {

using runtime::report;
using runtime::Thread;
using runtime::ThreadState;

constexpr int64_t kSecond = 1'000'000'000;

const char* name_of(Phase phase) noexcept {
  switch (phase) {
    case Phase::kIdle:
      return "idle";
    case Phase::kEnter:
      return "enter";
    case Phase::kMark:
      return "mark";
    case Phase::kClear:
      return "clear";
    case Phase::kLeave:
      return "leave";
  }
  return "";
}

const char* name_of(ThreadState state) noexcept {
  switch (state) {
    case ThreadState::kRunning:
      return "runs";
    case ThreadState::kBlocked:
      return "blocked";
    case ThreadState::kTaken:
      return "answered for";
  }
  return "";
}

// The collector holds the lock of the list all through a stop; the report then does without the
// threads.
bool lock_list() noexcept {
  for (int attempt = 0; attempt < 100; ++attempt) {
    if (runtime::g_threads.lock().try_lock()) return true;
    runtime::os::sleep_ns(10'000'000);
  }
  return false;
}

void report_threads() noexcept {
  if (!lock_list()) {
    report("hangreport: the list of threads cannot be had: all threads are stopped");
    return;
  }
  const std::lock_guard guard(runtime::g_threads.lock(), std::adopt_lock);
  for (const Thread* t = runtime::g_threads.first(); t != nullptr; t = t->next) {
    runtime::ThreadDescription what;
    runtime::describe_thread(*t, what);
    report("hangreport: thread %s; state: %s, %s", what.text,
           name_of(t->state.load(std::memory_order_relaxed)),
           t->is_asked() ? "asked and has not answered" : "has answered");
  }
}

void watch(unsigned seconds) noexcept {
  const int64_t limit_ns = seconds * kSecond;
  uint32_t cycle = 0;
  int64_t since = runtime::os::now_ns();
  for (;;) {
    runtime::os::sleep_ns(limit_ns / 8);
    const int64_t now = runtime::os::now_ns();
    const Phase phase = g_cycle.phase.load(std::memory_order_acquire);
    uint32_t done;
    {
      const std::lock_guard guard(g_collector.history_lock());
      done = g_collector.history().cycles;
    }
    if (phase == Phase::kIdle || done != cycle) {
      cycle = done;
      since = now;
      continue;
    }
    if (now - since < limit_ns) continue;
    report("hangreport: cycle %u has lasted %lld s and is in phase \"%s\", at handshake %u",
           cycle + 1, static_cast<long long>((now - since) / kSecond), name_of(phase),
           runtime::g_handshake.sequence());
    report_threads();
    since = now;
  }
}

}  // namespace

bool start_watchdog(unsigned seconds) noexcept {
  return start_thread("tc-watchdog", watch, seconds);
}

}  // namespace tricolor::gc
