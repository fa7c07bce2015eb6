#include "gc/finalizer_thread.h"

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

void FinalizerThread::push(Entry entry) {
  {
    const std::lock_guard guard(lock_);
    entries_.push_back(std::move(entry));
    ++queued_;
  }
  wake_.fetch_add(1, std::memory_order_release);
  runtime::futex::wake(&wake_, INT32_MAX);
}

bool FinalizerThread::queue_destructor(char* object) noexcept {
  try {
    push({object, nullptr});
    return true;
  } catch (const std::bad_alloc&) {
    return false;
  }
}

void FinalizerThread::queue_finalizer(char* object, std::function<void()> run) {
  push({object, std::move(run)});
}

void FinalizerThread::queue_cleanup(std::function<void()> run) { push({nullptr, std::move(run)}); }

void FinalizerThread::start_if_needed() noexcept {
  {
    const std::lock_guard guard(lock_);
    if (started_ || entries_.empty()) return;
    started_ = true;
  }
  start_thread("tc-finalizer", [this] { main_loop(); });
}

void FinalizerThread::run(Entry& entry) noexcept {
  if (entry.run) {
    entry.run();
    return;
  }
  destroy_dead(entry.object);
}

void FinalizerThread::main_loop() noexcept {
  Thread& self = Thread::attached();
  self_.store(&self, std::memory_order_relaxed);
  for (;;) {
    const uint32_t seen = wake_.load(std::memory_order_acquire);
    Entry entry{nullptr, nullptr};
    bool found = false;
    if (!stopping_.load(std::memory_order_relaxed)) {
      const runtime::RuntimeScope scope(self);
      const std::lock_guard guard(lock_);
      if (!entries_.empty()) {
        entry = std::move(entries_.front());
        entries_.pop_front();
        running_ = entry.run ? entry.object : nullptr;
        found = true;
      }
    }
    if (!found) {
      const runtime::BlockedWait wait(&self);
      runtime::futex::wait(&wake_, seen);
      continue;
    }
    run(entry);
    entry.run = nullptr;
    {
      const runtime::RuntimeScope scope(self);
      const std::lock_guard guard(lock_);
      running_ = nullptr;
    }
    done_.fetch_add(1, std::memory_order_release);
    wake_.fetch_add(1, std::memory_order_release);
    runtime::futex::wake(&wake_, INT32_MAX);
  }
}

void FinalizerThread::wait_until_idle() noexcept {
  start_if_needed();
  uint64_t target;
  {
    const std::lock_guard guard(lock_);
    target = queued_;
  }
  for (;;) {
    const uint32_t seen = wake_.load(std::memory_order_acquire);
    if (done_.load(std::memory_order_acquire) >= target) return;
    const runtime::BlockedWait wait(Thread::current());
    runtime::futex::wait(&wake_, seen, 100'000'000);
  }
}

bool FinalizerThread::on_this_thread() const noexcept {
  return Thread::current() != nullptr && self_.load(std::memory_order_relaxed) == Thread::current();
}

}  // namespace tricolor::gc
