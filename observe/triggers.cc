// When profiles and dumps are written without a call: at exit, on signals, every so many seconds.
//
// A thread of the library's own writes them, but for the exit's; a handler only notes what is
// wanted and wakes it. A child of fork() has no such thread and writes none at its exit.

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <exception>

#include "gc/helper_threads.h"
#include "gc/observers.h"
#include "gc/options.h"
#include "observe/cpu_profile.h"
#include "observe/orders.h"
#include "observe/output.h"
#include "observe/profile.h"
#include "observe/reports.h"
#include "observe/serve.h"
#include "observe/thread_stacks.h"
#include "observe/timeline.h"
#include "observe/triggers.h"
#include "runtime/base/check.h"
#include "runtime/base/lock.h"
#include "runtime/os/os.h"
#include "runtime/thread.h"

namespace tricolor::observe {

namespace os = runtime::os;

namespace {

// Written before the first thread is attached, and then by whoever carries them out.
struct Standing {
  Order order;
  uint64_t written = 0;
  int64_t next_ns = 0;
};
std::vector<Standing>* g_orders = nullptr;
int g_pid = 0;

// Signals that came, a bit each: set by handlers (release), taken by the thread (acquire).
constinit std::atomic<uint64_t> g_came{0};
constinit std::atomic<uint32_t> g_wake{0};
constinit std::array<struct sigaction, 65> g_previous{};

void on_signal(int signal, siginfo_t* info, void* context) noexcept {
  const int saved_errno = errno;
  g_came.fetch_or(uint64_t{1} << (signal - 1), std::memory_order_release);
  g_wake.fetch_add(1, std::memory_order_release);
  runtime::futex::wake(&g_wake, 1);
  const struct sigaction& previous = g_previous[static_cast<size_t>(signal)];
  if ((previous.sa_flags & SA_SIGINFO) != 0) {
    previous.sa_sigaction(signal, info, context);
  } else if (previous.sa_handler != SIG_DFL && previous.sa_handler != SIG_IGN) {
    previous.sa_handler(signal);
  }
  errno = saved_errno;
}

void install(int signal, const char* for_what) noexcept {
  struct sigaction action {};
  struct sigaction& previous = g_previous[static_cast<size_t>(signal)];
  if (::sigaction(signal, nullptr, &previous) == 0) {
    if ((previous.sa_flags & SA_SIGINFO) != 0 && previous.sa_sigaction == on_signal) {
      previous = {};  // two orders by one signal
    }
    action.sa_sigaction = on_signal;
    action.sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK;
    sigemptyset(&action.sa_mask);
    if (::sigaction(signal, &action, nullptr) == 0) return;
  }
  runtime::report("%s: no handler can be installed for signal %d", for_what, signal);
}

std::string contents(const Order& order) {
  switch (order.kind) {
    case OrderKind::kHeap:
      return heap_profile();
    case OrderKind::kAllocs:
      return alloc_profile();
    case OrderKind::kLifetimes:
      return lifetimes(order.path.ends_with(".html"));
    case OrderKind::kCpu:
      return finish_cpu_profile();
    case OrderKind::kTimeline:
      return take_ordered_timeline();
  }
  return {};
}

void carry_out(Standing& standing) noexcept {
  try {
    const std::string path = path_of(standing.order, g_pid, standing.written++);
    write_made("TRICOLOR_PROFILE", path, [&] { return contents(standing.order); });
  } catch (const std::exception& e) {
    report_failure("TRICOLOR_PROFILE", standing.order.path, e.what());
  }
}

void write_at_exit() noexcept {
  if (os::pid() != g_pid) return;  // a child has its parent's orders only
  for (Standing& standing : *g_orders) {
    if (standing.order.at_exit()) carry_out(standing);
  }
}

void dump_threads() noexcept {
  try {
    print(threads_text());
  } catch (const std::exception& e) {
    runtime::report("GODEBUG=dumpsignal: the threads cannot be shown: %s", e.what());
  }
}

bool works_in_background() noexcept {
  if (gc::options().dumpsignal != 0) return true;
  return g_orders != nullptr && std::any_of(g_orders->begin(), g_orders->end(),
                                            [](const auto& s) { return !s.order.at_exit(); });
}

void serve(unsigned) noexcept {
  for (;;) {
    const uint32_t seen = g_wake.load(std::memory_order_acquire);
    const uint64_t came = g_came.exchange(0, std::memory_order_acquire);
    const auto has = [came](int signal) { return signal != 0 && (came >> (signal - 1) & 1) != 0; };
    if (has(gc::options().dumpsignal)) dump_threads();
    const int64_t now = os::now_ns();
    int64_t next = INT64_MAX;
    if (g_orders != nullptr) {
      for (Standing& standing : *g_orders) {
        const int64_t every = standing.order.every_ns;
        if (has(standing.order.signal)) carry_out(standing);
        if (every == 0) continue;
        if (standing.next_ns == 0) standing.next_ns = now + every;
        if (standing.next_ns <= now) {
          carry_out(standing);
          standing.next_ns = now + every;
        }
        next = std::min(next, standing.next_ns);
      }
    }
    // Writing has attached it.
    const runtime::BlockedWait wait(runtime::Thread::current());
    runtime::futex::wait(&g_wake, seen, next == INT64_MAX ? -1 : std::max<int64_t>(0, next - now));
  }
}

}  // namespace

void set_up_triggers() noexcept {
  g_pid = os::pid();
  const char* const text = std::getenv("TRICOLOR_PROFILE");
  try {
    if (text != nullptr && *text != '\0') {
      g_orders = new std::vector<Standing>;
      for (Order& order : parse_orders(text, [](const runtime::OptionComplaint& complaint) {
             runtime::report("%s", describe(complaint).c_str() + 10);  // "tricolor: " comes anyway
           }))
        g_orders->push_back({std::move(order), 0, 0});
    }
  } catch (const std::exception& e) {
    runtime::report("TRICOLOR_PROFILE: no memory for it: nothing is written");
    g_orders = nullptr;
  }
  if (gc::options().dumpsignal != 0) install(gc::options().dumpsignal, "GODEBUG=dumpsignal");
  if (g_orders == nullptr) return;
  bool at_exit = false;
  for (const Standing& standing : *g_orders) {
    if (standing.order.signal != 0) install(standing.order.signal, "TRICOLOR_PROFILE");
    at_exit = at_exit || standing.order.at_exit();
  }
  if (at_exit && std::atexit(write_at_exit) != 0)
    runtime::report("TRICOLOR_PROFILE: no memory for it: nothing is written at exit");
}

void start_triggers() noexcept {
  if (g_orders != nullptr) {
    bool draws = false;
    for (const Standing& standing : *g_orders) {
      draws = draws || standing.order.kind == OrderKind::kTimeline;
      if (standing.order.kind != OrderKind::kCpu) continue;
      if (const char* const why = start_cpu_profile())
        runtime::report("TRICOLOR_PROFILE=cpu: %s", why);
    }
    if (const char* const why = draws ? start_ordered_timeline() : nullptr)
      runtime::report("TRICOLOR_PROFILE=timeline: %s", why);
  }
  if (works_in_background() && !gc::start_thread("tc-observe", serve))
    runtime::report("the system refuses the thread that would write profiles and dumps");
  serve_by_environment();
}

}  // namespace tricolor::observe

namespace tricolor::gc {
void start_observer_threads() noexcept {
  observe::start_triggers();
  observe::start_reporter();
}
}  // namespace tricolor::gc
