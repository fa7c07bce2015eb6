#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <stdexcept>
#include <vector>

#include "gc/helper_threads.h"
#include "gc/options.h"
#include "pool/rotation.h"
#include "runtime/base/check.h"
#include "runtime/os/os.h"
#include "runtime/thread.h"
#include "runtime/trace_log.h"

#include <tricolor/debug.hpp>
#include <tricolor/runtime.hpp>
#include <tricolor/sync/memory_guard.hpp>

namespace tricolor::sync {

namespace {

int64_t used_bytes() {
  runtime::MemStats stats;
  runtime::read_mem_stats(stats);
  return static_cast<int64_t>(stats.sys - stats.heap_released - stats.heap_inuse_released);
}

// The holder may wait for a collection, which waits for this thread: it waits as a blocked one.
std::unique_lock<std::mutex> lock_as_blocked(std::mutex& mutex) {
  const runtime::BlockingScope blocked;
  return std::unique_lock(mutex);
}

}  // namespace

struct MemoryGuard::State {
  explicit State(MemoryGuardOptions o) : options(std::move(o)) {}

  const MemoryGuardOptions options;
  std::mutex lock;  // one look at a time; the destructor waits for it
  // Guarded by lock.
  bool gone = false;
  int64_t next_look_ns = 0;
  std::atomic<std::size_t> actions{0};  // relaxed: a count

  bool act_if_needed() {
    const int64_t limit = options.limit > 0 ? options.limit : debug::set_memory_limit(-1);
    if (limit == INT64_MAX) return false;
    const MemoryPressure pressure{used_bytes(), limit};
    if (static_cast<double>(pressure.used) < options.share * static_cast<double>(limit)) {
      return false;
    }
    if (options.hook) {
      try {
        options.hook(pressure);
      } catch (const std::exception& error) {
        runtime::report("memory guard: the hook threw: %s", error.what());
      } catch (...) {
        runtime::report("memory guard: the hook threw");
      }
    }
    detail::drop_pools_at_next_rotation();
    debug::free_os_memory();
    actions.fetch_add(1, std::memory_order_relaxed);
    say(pressure);
    return true;
  }

  void say(const MemoryPressure& pressure) const {
    if (!options.trace && gc::options().gctrace < 1) return;
    runtime::TraceLine line;
    line.append("memory guard: ").append_mb(pressure.used).append(" of ");
    line.append_mb(pressure.limit).append(" MB in use");
    line.append(options.hook ? ", hook called" : "").append(", pools dropped, collected: ");
    line.append_mb(used_bytes()).append(" MB");
    runtime::write_line(line);
  }
};

// All guards, and the thread that looks after them.
struct MemoryGuard::Watch {
  std::mutex lock;
  // Guarded by lock.
  std::vector<std::shared_ptr<State>> guards;
  bool runs = false;

  static Watch& get() {
    static Watch* const watch = [] {
      pthread_atfork([] { get().hold(true); }, [] { get().hold(false); },
                     [] {
                       get().runs = false;  // the thread is not there
                       get().hold(false);
                     });
      return new Watch;
    }();
    return *watch;
  }

  void add(const std::shared_ptr<State>& state) {
    const std::lock_guard guard(lock);
    guards.push_back(state);
    if (runs) return;
    const runtime::RuntimeScope scope(runtime::Thread::attached());
    runs = gc::start_thread("tricolor guard", [](unsigned) noexcept { get().run(); });
  }
  void remove(const std::shared_ptr<State>& state) {
    const std::lock_guard guard(lock);
    std::erase(guards, state);
  }

  // Around fork(): nobody looks.
  void hold(bool on) {
    if (on) lock.lock();
    for (const std::shared_ptr<State>& state : guards) {
      on ? state->lock.lock() : state->lock.unlock();
    }
    if (!on) lock.unlock();
  }

  // Until there is no guard left.
  void run() noexcept {
    for (;;) {
      std::vector<std::shared_ptr<State>> now;
      {
        const std::lock_guard guard(lock);
        if (guards.empty()) {
          runs = false;
          return;
        }
        now = guards;
      }
      int64_t next = INT64_MAX;
      for (const std::shared_ptr<State>& state : now) next = std::min(next, look(*state));
      now.clear();
      const runtime::BlockingScope blocked;
      runtime::os::sleep_ns(
          std::clamp<int64_t>(next - runtime::os::now_ns(), 1'000'000, 100'000'000));
    }
  }

  // When to look again.
  static int64_t look(State& state) noexcept {
    const std::lock_guard guard(state.lock);
    const int64_t start = runtime::os::now_ns();
    if (state.gone || start < state.next_look_ns) return state.next_look_ns;
    int64_t rest = state.options.interval.count();
    try {
      if (state.act_if_needed()) {
        rest = 10 * std::max(rest, runtime::os::now_ns() - start);
      }
    } catch (const std::exception&) {
      // No memory to look with: the next time.
    }
    state.next_look_ns = start + rest;
    return state.next_look_ns;
  }
};

MemoryGuard::MemoryGuard(MemoryGuardOptions options)
    : state_(std::make_shared<State>(std::move(options))) {
  const MemoryGuardOptions& o = state_->options;
  if (!(o.share > 0 && o.share <= 1) || o.limit < 0 || o.interval.count() <= 0) {
    throw std::invalid_argument(
        "sync::MemoryGuard: accepted are a share above 0 and up to 1, a limit of 0 or more bytes, "
        "and an interval above 0");
  }
  Watch::get().add(state_);
}

MemoryGuard::~MemoryGuard() {
  Watch::get().remove(state_);
  const auto guard = lock_as_blocked(state_->lock);
  state_->gone = true;
}

bool MemoryGuard::check() {
  const auto guard = lock_as_blocked(state_->lock);
  return state_->act_if_needed();
}

std::size_t MemoryGuard::actions() const noexcept {
  return state_->actions.load(std::memory_order_relaxed);
}

namespace detail {

void start_memory_guard_of_environment() {
  const int64_t percent = gc::options().memoryguard;
  if (percent == 0) return;
  static constinit const MemoryGuard* guard = nullptr;
  if (guard == nullptr) guard = new MemoryGuard({.share = static_cast<double>(percent) / 100});
}

}  // namespace detail
}  // namespace tricolor::sync
