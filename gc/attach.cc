// What the collector does as the library starts, as threads come and go, and when memory runs out.

#include <pthread.h>

#include <memory>
#include <new>

#include "gc/barrier.h"
#include "gc/collector.h"
#include "gc/exit_watch.h"
#include "gc/finalizer_thread.h"
#include "gc/fork.h"
#include "gc/helper_threads.h"
#include "gc/hooks.h"
#include "gc/observers.h"
#include "gc/old_frames.h"
#include "gc/options.h"
#include "gc/pacing.h"
#include "gc/phase.h"
#include "gc/roots.h"
#include "gc/signal_request.h"
#include "gc/sweep.h"
#include "gc/thread_data.h"
#include "gc/watchdog.h"
#include "gc/workers.h"
#include "runtime/deputy.h"
#include "runtime/handshake.h"
#include "runtime/heap/allocation_watch.h"
#include "runtime/heap/collector_hooks.h"
#include "runtime/heap/spans.h"
#include "runtime/os/os.h"
#include "runtime/thread.h"

namespace tricolor::gc {

namespace {
runtime::Options* g_options = nullptr;
pthread_once_t g_start_once = PTHREAD_ONCE_INIT;
unsigned g_processors = 1;
constinit bool g_has_fork_handlers = false;

// 102: behind those of traced memory, before the constructors of the program's globals. Where it
// fails, the first use of the heap tries again.
[[gnu::constructor(102)]] void see_to_forks() { g_has_fork_handlers = install_fork_handlers(); }

void start_threads() {
  g_workers.init(g_processors);
  g_helper_threads.start();
  if (options().hangreport_s > 0 &&
      !start_watchdog(static_cast<unsigned>(options().hangreport_s))) {
    runtime::report("GODEBUG=hangreport: the system refuses the thread that would watch");
  }
  start_observer_threads();
}
}  // namespace

const runtime::Options& options() noexcept { return *g_options; }

}  // namespace tricolor::gc

namespace tricolor::runtime {

using gc::g_collector;
using gc::g_cycle;
using gc::ThreadData;

// [once.restart]
void init_collector() {
  static constinit bool deputy_there = false;
  static constinit bool stacks_there = false;
  static constinit bool exit_there = false;
  static constinit bool observers_there = false;
  if (gc::g_options == nullptr) {
    gc::g_options = new Options(options_from_environment());
  }
  g_handshake.configure({gc::options().handshakesignal, gc::options().gctrace >= 1});
  gc::g_sweeper.set_clobber(gc::options().clobberfree);
  if (!deputy_there) {
    auto record = std::make_unique<Thread>();
    record->data = new ThreadData;
    Deputy::keep(record.release());
    deputy_there = true;
  }
  if (!stacks_there) {
    gc::g_processors = os::cpu_count();
    // [worklist.reserve]
    if (!gc::g_worklist.reserve(gc::g_processors + 1)) throw std::bad_alloc();
    stacks_there = true;
  }
  gc::g_pacing.init();
  if (!gc::g_has_fork_handlers) {
    gc::g_has_fork_handlers = gc::install_fork_handlers();
    if (!gc::g_has_fork_handlers) throw std::bad_alloc();
  }
  if (!exit_there) {
    if (!gc::watch_process_for_exit()) throw std::bad_alloc();
    exit_there = true;
  }
  if (!observers_there) {
    gc::start_observing();
    observers_there = true;
  }
  if (gc::options().gcsignal != 0) gc::install_collect_signal(gc::options().gcsignal);
}

void start_collector_threads() noexcept { pthread_once(&gc::g_start_once, gc::start_threads); }

void thread_attaches() { gc::watch_thread_for_exit(); }

void thread_attached(Thread& thread) {
  if (thread.data == nullptr) thread.data = new ThreadData;
  ThreadData& data = *thread.data;
  data.allocates_black = g_cycle.allocate_black;
  data.black_generation = g_cycle.sweep_generation.load(std::memory_order_relaxed);
  data.marked_bytes = 0;
  data.newborn_bytes = 0;
  data.assist_debt = 0;
  data.scanned_stack_bytes = 0;
  thread.until_sample =
      g_allocation_watch != nullptr ? g_allocation_watch->next_sample(thread) : INT64_MAX;
  gc::detail::store_word(thread.local->marking, g_cycle.barriers_on);
}

void thread_detached(Thread& thread) noexcept {
  ThreadData& data = *thread.data;
  gc::flush_buffer(data);
  gc::g_pacing.flush_departing(data);
  gc::g_roots.flush(data);
  g_collector.add_marked(data);
  fold_statistics(thread);
  data.allocates_black = false;
  if (&thread != Thread::current()) return;  // one that is gone
  gc::forget_old_frames();
  if (const auto forget = gc::g_forget_at_detach.load(std::memory_order_relaxed)) forget();
}

bool allocates_black(const Thread& thread, uint32_t generation) noexcept {
  return thread.data->allocates_black && thread.data->black_generation == generation;
}

bool zero_early() noexcept { return gc::options().gccheckmark; }

bool collect_for_memory(Thread&, unsigned attempt) noexcept {
  if (attempt >= 2 || g_collector.on_this_thread()) return false;
  const int64_t start = os::now_ns();
  try {
    g_collector.collect(gc::Collector::HooksHere::kOwn);
  } catch (const std::bad_alloc&) {
    return false;
  }
  // The memory of objects with a destructor is free only when it has run.
  if (attempt == 1 && !gc::finalizer_thread().on_this_thread() && !gc::finalizer_thread().by_hand())
    gc::finalizer_thread().wait_until_idle(
        1'000'000'000);  // its destructor may need a lock of the caller's
  g_collector.count_stall(os::now_ns() - start);
  return true;
}

}  // namespace tricolor::runtime
