#include "gc/finalizer_thread.h"

#include <algorithm>
#include <cstddef>
#include <memory>
#include <mutex>
#include <new>
#include <utility>

#include "gc/barrier.h"
#include "gc/destroy.h"
#include "gc/helper_threads.h"
#include "runtime/base/no_cancellation.h"
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

void FinalizerThread::Batch::flush() {
  const std::lock_guard guard(thread_.lock_);
  for (size_t i = 0; i < count_; ++i) thread_.entries_.push_back(std::move(entries_[i]));
  thread_.queued_entries_ += count_;
  used_ = used_ || count_ != 0;
  count_ = 0;
}

FinalizerThread::Batch::~Batch() {
  flush();
  if (used_) thread_.announce();
}

void FinalizerThread::queue_cleanup(std::function<void()> run) {
  Batch(*this).add({nullptr, std::move(run)});
}

size_t FinalizerThread::queue_destructors(std::span<const uintptr_t> hidden) noexcept {
  size_t count = 0;
  {
    const std::lock_guard guard(lock_);
    try {
      for (; count < hidden.size(); ++count) dead_.push_back(hidden[count]);
    } catch (const std::bad_alloc&) {
      // The caller sees which.
    }
    queued_dead_ += count;
  }
  if (count != 0) announce();
  return count;
}

size_t FinalizerThread::copy_roots(uint64_t& next, std::span<char*> objects) noexcept {
  size_t count = 0;
  const std::lock_guard guard(lock_);
  const auto add = [&](const Entry& entry) {
    if (entry.hidden != Entry::kNone) objects[count++] = entry.object();
  };
  if (next == 0 && has_entry_) add(entry_);
  const uint64_t first = queued_entries_ - entries_.size();
  // What was taken meanwhile is shaded: [finalizer.roots].
  next = std::max(next, first);
  const uint64_t end = std::min(queued_entries_, next + kLooks);
  for (; next < end && count < objects.size(); ++next) add(entries_[next - first]);
  if (next == queued_entries_) next = 0;
  return count;
}

bool FinalizerThread::has_work_locked() const noexcept {
  return !entries_.empty() || !dead_.empty() ||
         (has_entry_ && !entry_begun_.load(std::memory_order_relaxed)) ||
         batch_begun_.load(std::memory_order_relaxed) < batch_size_;
}

bool FinalizerThread::take_role(bool even_if_refused) noexcept {
  const std::lock_guard guard(lock_);
  if (taken_ || !has_work_locked()) return false;
  if (!even_if_refused && !patience_.over()) return false;
  taken_ = true;
  return true;
}

void FinalizerThread::give_role_back(bool refused) noexcept {
  const std::lock_guard guard(lock_);
  taken_ = false;
  if (refused) patience_.refused();
}

void FinalizerThread::start_if_needed() noexcept {
  // In a runtime section, so that fork() comes before or after.
  const runtime::RuntimeScope scope(Thread::attached());
  start_in_section(false);
}

bool FinalizerThread::start_in_section(bool even_if_refused) noexcept {
  if (!take_role(even_if_refused)) return true;
  if (start_thread("tc-finalizer", [](unsigned) noexcept { finalizer_thread().main_loop(); })) {
    return true;
  }
  give_role_back(true);
  return false;
}

// Counts the entry before as done, true if there was one, and takes the next, or a batch of the
// dead, unless there is something that a thread before fork() had taken and not begun.
bool FinalizerThread::take_some() noexcept {
  const std::lock_guard guard(lock_);
  const bool finished = has_entry_ && entry_begun_.load(std::memory_order_relaxed);
  if (finished) {
    has_entry_ = false;
    entry_.hidden = Entry::kNone;
    done_entries_.fetch_add(1, std::memory_order_release);
  }
  if (has_entry_ || batch_begun_.load(std::memory_order_relaxed) < batch_size_) return finished;
  if (stopping_.load(std::memory_order_relaxed)) return finished;
  if (!entries_.empty()) {
    // [finalizer.exactly-once]
    entry_ = std::move(entries_.front());
    entries_.pop_front();
    entry_begun_.store(false, std::memory_order_relaxed);
    has_entry_ = true;
    return finished;
  }
  batch_size_ = std::min(kBatch, dead_.size());
  batch_begun_.store(0, std::memory_order_relaxed);
  const auto end = dead_.begin() + static_cast<std::ptrdiff_t>(batch_size_);
  std::copy(dead_.begin(), end, batch_.begin());
  dead_.erase(dead_.begin(), end);
  return finished;
}

// Runs one finalizer or cleanup, or a batch of destructors; false if there was nothing to do. Not
// inlined, so that addresses of the dead stay below the frames that wait.
bool FinalizerThread::run_some() noexcept {
  Thread& self = *Thread::current();
  bool finished;
  {
    const runtime::RuntimeScope scope(self);
    finished = take_some();
    // [finalizer.roots]
    if (has_entry_ && entry_.hidden != Entry::kNone &&
        detail::load_word(detail::this_thread().marking)) {
      shade_address(self, entry_.object());
    }
  }
  if (has_entry_) {
    entry_begun_.store(true, std::memory_order_relaxed);
    entry_.run();
    entry_.run = nullptr;
    return true;
  }
  const size_t first = batch_begun_.load(std::memory_order_relaxed);
  for (size_t i = first; i < batch_size_; ++i) {
    batch_begun_.store(i + 1, std::memory_order_relaxed);
    destroy_dead(reinterpret_cast<char*>(~batch_[i]));  // NOLINT(performance-no-int-to-ptr)
  }
  done_dead_.fetch_add(batch_size_ - first, std::memory_order_release);
  return batch_size_ != first || finished;
}

void FinalizerThread::forget_thread() noexcept {
  if (on_this_thread()) return;  // it is the one that forked
  taken_ = false;
  patience_.reset();
  self_.store(nullptr, std::memory_order_relaxed);
  if (has_entry_ && entry_begun_.load(std::memory_order_relaxed)) {
    has_entry_ = false;
    std::construct_at(&entry_);  // the one before is in use, on a stack that is gone
  }
  // Of the batch only the last one begun can be unfinished.
  if (const size_t begun = batch_begun_.load(std::memory_order_relaxed); begun != 0) {
    give_up_destruction(
        reinterpret_cast<char*>(~batch_[begun - 1]));  // NOLINT(performance-no-int-to-ptr)
  }
  done_entries_.store(queued_entries_ - entries_.size() - (has_entry_ ? 1 : 0),
                      std::memory_order_relaxed);
  done_dead_.store(
      queued_dead_ - dead_.size() - (batch_size_ - batch_begun_.load(std::memory_order_relaxed)),
      std::memory_order_relaxed);
}

void FinalizerThread::main_loop() noexcept {
  try {
    Thread::attached();
  } catch (const std::bad_alloc&) {
    give_role_back(true);
    announce();
    return;
  }
  Thread& self = *Thread::current();
  self_.store(&self, std::memory_order_relaxed);
  for (uint64_t runs = 0;;) {
    const uint32_t seen = wake_.load(std::memory_order_acquire);
    // [finalizer.own-thread] run_some() is called from here and from run_here().
    if (run_some()) {
      // Whoever waits looks at the counts: often enough while there is more to do.
      if (++runs % kRunsAnnounced == 0) announce();
      continue;
    }
    if (std::exchange(runs, 0) % kRunsAnnounced != 0) {
      announce();
      continue;
    }
    const runtime::BlockedWait wait(&self);
    sleepers_.fetch_add(1, std::memory_order_seq_cst);
    if (wake_.load(std::memory_order_seq_cst) == seen) runtime::futex::wait(&wake_, seen);
    sleepers_.fetch_sub(1, std::memory_order_relaxed);
  }
}

// [finalizer.own-thread] As long as there is work and no thread of its own for it.
void FinalizerThread::run_here() noexcept {
  const runtime::NoCancellation whole;
  {
    const runtime::RuntimeScope scope(Thread::attached());
    if (!take_role(true)) return;
    self_.store(Thread::current(), std::memory_order_relaxed);
  }
  while (run_some()) {
  }
  {
    const runtime::RuntimeScope scope(Thread::attached());
    self_.store(nullptr, std::memory_order_relaxed);
    give_role_back(false);
  }
  announce();
}

void FinalizerThread::wait_until_idle(int64_t timeout_ns) noexcept {
  const bool unbounded = timeout_ns < 0;
  const int64_t give_up = unbounded ? INT64_MAX : runtime::os::now_ns() + timeout_ns;
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
    // At exit nothing more is begun, so what is left will not be done.
    if (stopping_.load(std::memory_order_relaxed) || runtime::os::now_ns() >= give_up) return;
    bool refused;
    {
      const runtime::RuntimeScope scope(*Thread::current());
      refused = !start_in_section(true);
    }
    if (refused) {
      // Whoever asked for memory may hold a lock that a destructor needs.
      if (!unbounded) return;
      run_here();
      continue;
    }
    const runtime::BlockedWait wait(Thread::current());
    sleepers_.fetch_add(1, std::memory_order_seq_cst);
    if (wake_.load(std::memory_order_seq_cst) == seen) runtime::futex::wait(&wake_, seen, kWaitNs);
    sleepers_.fetch_sub(1, std::memory_order_relaxed);
  }
}

bool FinalizerThread::on_this_thread() const noexcept {
  return Thread::current() != nullptr && self_.load(std::memory_order_relaxed) == Thread::current();
}

}  // namespace tricolor::gc
