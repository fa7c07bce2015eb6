#include "gc/finalizer_thread.h"

#include <array>
#include <mutex>
#include <new>
#include <utility>

#include "gc/destroy.h"
#include "gc/workers.h"
#include "runtime/heap/heap_map.h"
#include "runtime/os/os.h"
#include "runtime/thread.h"

#include <tricolor/detail/layout.hpp>
#include <tricolor/detail/thread_local.hpp>

namespace tricolor::gc {

using runtime::Thread;

FinalizerThread& finalizer_thread() noexcept {
  static auto* const instance = new FinalizerThread;
  return *instance;
}

void FinalizerThread::announce() noexcept {
  wake_.fetch_add(1, std::memory_order_seq_cst);
  if (sleepers_.load(std::memory_order_seq_cst) != 0) runtime::futex::wake(&wake_, INT32_MAX);
}

void FinalizerThread::push(Entry entry) {
  {
    const std::lock_guard guard(lock_);
    entries_.push_back(std::move(entry));
    ++queued_entries_;
  }
  announce();
}

bool FinalizerThread::queue_destructor(char* object) noexcept {
  try {
    const std::lock_guard guard(lock_);
    dead_.push_back(~reinterpret_cast<uintptr_t>(object));
    ++queued_dead_;
  } catch (const std::bad_alloc&) {
    return false;
  }
  announce();
  return true;
}

void FinalizerThread::queue_finalizer(char* object, std::function<void()> run) {
  push({object, std::move(run)});
}

void FinalizerThread::queue_cleanup(std::function<void()> run) { push({nullptr, std::move(run)}); }

void FinalizerThread::start_if_needed() noexcept {
  {
    const runtime::RuntimeScope scope(Thread::attached());
    const std::lock_guard guard(lock_);
    if (started_ || (entries_.empty() && dead_.empty())) return;
    started_ = true;
  }
  start_thread("tc-finalizer", [this] { main_loop(); });
}

// Runs one finalizer or cleanup, or a batch of destructors; false if there was nothing to do. Not
// inlined, so that addresses of the dead stay below the frames that wait.
bool FinalizerThread::run_some() noexcept {
  Thread& self = *Thread::current();
  Entry entry{nullptr, nullptr};
  std::array<uintptr_t, kBatch> dead;
  size_t count = 0;
  bool found = false;
  {
    const runtime::RuntimeScope scope(self);
    const std::lock_guard guard(lock_);
    if (!entries_.empty()) {
      // [finalizer.exactly-once]
      entry = std::move(entries_.front());
      entries_.pop_front();
      running_ = entry.object;
      found = true;
    } else {
      for (; count < kBatch && !dead_.empty(); ++count) {
        dead[count] = dead_.front();
        dead_.pop_front();
      }
    }
  }
  if (!found) {
    // NOLINTNEXTLINE(performance-no-int-to-ptr)
    for (size_t i = 0; i < count; ++i) destroy_dead(reinterpret_cast<char*>(~dead[i]));
    done_dead_.fetch_add(count, std::memory_order_release);
    return count != 0;
  }
  entry.run();
  entry.run = nullptr;
  const runtime::RuntimeScope scope(self);
  const std::lock_guard guard(lock_);
  running_ = nullptr;
  done_entries_.fetch_add(1, std::memory_order_release);
  return true;
}

void FinalizerThread::main_loop() noexcept {
  Thread& self = Thread::attached();
  self_.store(&self, std::memory_order_relaxed);
  for (;;) {
    const uint32_t seen = wake_.load(std::memory_order_acquire);
    // [finalizer.own-thread] run_some() is called from nowhere else.
    if (!stopping_.load(std::memory_order_relaxed) && run_some()) {
      announce();
      continue;
    }
    const runtime::BlockedWait wait(&self);
    sleepers_.fetch_add(1, std::memory_order_seq_cst);
    if (wake_.load(std::memory_order_seq_cst) == seen) runtime::futex::wait(&wake_, seen);
    sleepers_.fetch_sub(1, std::memory_order_relaxed);
  }
}

void FinalizerThread::wait_until_idle(int64_t timeout_ns) noexcept {
  const int64_t give_up = timeout_ns < 0 ? INT64_MAX : runtime::os::now_ns() + timeout_ns;
  start_if_needed();
  uint64_t entries;
  uint64_t dead;
  {
    const runtime::RuntimeScope scope(Thread::attached());
    const std::lock_guard guard(lock_);
    entries = queued_entries_;
    dead = queued_dead_;
  }
  for (;;) {
    const uint32_t seen = wake_.load(std::memory_order_acquire);
    if (done_entries_.load(std::memory_order_acquire) >= entries &&
        done_dead_.load(std::memory_order_acquire) >= dead) {
      return;
    }
    if (runtime::os::now_ns() >= give_up) return;
    const runtime::BlockedWait wait(Thread::current());
    sleepers_.fetch_add(1, std::memory_order_seq_cst);
    runtime::futex::wait(&wake_, seen, 100'000'000);
    sleepers_.fetch_sub(1, std::memory_order_relaxed);
  }
}

bool FinalizerThread::on_this_thread() const noexcept {
  return Thread::current() != nullptr && self_.load(std::memory_order_relaxed) == Thread::current();
}

}  // namespace tricolor::gc
