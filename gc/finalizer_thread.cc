#include "gc/finalizer_thread.h"

#include <cstddef>
#include <exception>
#include <mutex>
#include <new>
#include <utility>

#include "gc/barrier.h"
#include "gc/destroy.h"
#include "gc/helper_threads.h"
#include "runtime/base/immortal.h"
#include "runtime/base/no_cancellation.h"
#include "runtime/heap/heap_map.h"
#include "runtime/os/os.h"
#include "runtime/thread.h"

#include <tricolor/detail/layout.hpp>
#include <tricolor/detail/thread_local.hpp>

namespace tricolor::gc {

using runtime::Thread;

namespace {
constinit runtime::Immortal<FinalizerThread> g_the_finalizer_thread;
}

FinalizerThread& finalizer_thread() noexcept { return g_the_finalizer_thread.value; }

void FinalizerThread::announce() noexcept {
  wake_.fetch_add(1, std::memory_order_seq_cst);
  if (sleepers_.load(std::memory_order_seq_cst) != 0) runtime::futex::wake(&wake_, INT32_MAX);
}

void FinalizerThread::queue(TaskList& tasks) noexcept {
  if (tasks.empty()) return;
  {
    const std::lock_guard guard(lock_);
    queued_tasks_ += tasks.size();
    tasks_.append(tasks);
  }
  announce();
}

void FinalizerThread::queue_destructors(runtime::Span& span) noexcept {
  dead_.list(span);
  announce();
}

size_t FinalizerThread::copy_roots(bool begins, std::span<char*> objects) noexcept {
  size_t count = 0;
  const std::lock_guard guard(lock_);
  const auto add = [&](const Task& task) {
    if (task.hidden != Task::kNone) objects[count++] = task.object();
  };
  if (begins) {
    if (task_ != nullptr) add(*task_);
    walk_ = tasks_.first();
  }
  for (size_t looks = kLooks; walk_ != nullptr && looks > 0 && count < objects.size(); --looks) {
    add(*walk_);
    walk_ = walk_->next;
  }
  return count;
}

bool FinalizerThread::walk_goes_on() noexcept {
  const std::lock_guard guard(lock_);
  return walk_ != nullptr;
}

bool FinalizerThread::has_work_locked() const noexcept {
  return !tasks_.empty() || dead_.taken() != dead_.listed() ||
         (task_ != nullptr && !task_begun_.load(std::memory_order_relaxed)) ||
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

bool FinalizerThread::cannot_attach() noexcept {
  const std::lock_guard guard(lock_);
  return unattached_ && !taken_ && has_work_locked() && !patience_.over();
}

bool FinalizerThread::start_in_section(bool even_if_refused) noexcept {
  if (even_if_refused && cannot_attach()) return false;
  if (!take_role(even_if_refused)) return true;
  if (start_thread("tc-finalizer", [](unsigned) noexcept { finalizer_thread().main_loop(); })) {
    return true;
  }
  give_role_back(true);
  return false;
}

// Counts the task before as done, true if there was one, and takes the next, or a batch of the
// dead, unless there is something that a thread before fork() had taken and not begun.
bool FinalizerThread::take_some() noexcept {
  bool finished;
  {
    const std::lock_guard guard(lock_);
    finished = task_ != nullptr && task_begun_.load(std::memory_order_relaxed);
    if (finished) {
      delete std::exchange(task_, nullptr);  // what it held is gone already
      done_tasks_.fetch_add(1, std::memory_order_release);
    }
    if (task_ != nullptr || batch_begun_.load(std::memory_order_relaxed) < batch_size_) {
      return finished;
    }
    if (stopping_.load(std::memory_order_relaxed)) return finished;
    if (!tasks_.empty()) {
      // What leaves the queue is shaded: [finalizer.roots]. [finalizer.exactly-once]
      if (walk_ == tasks_.first()) walk_ = walk_->next;
      task_begun_.store(false, std::memory_order_relaxed);
      task_ = tasks_.pop().release();
      return finished;
    }
  }
  const DeadQueue::Taken taken = dead_.take(batch_);
  const std::lock_guard guard(lock_);
  batch_size_ = taken.objects;
  batch_spans_ = taken.spans;
  batch_begun_.store(0, std::memory_order_relaxed);
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
    if (task_ != nullptr && task_->hidden != Task::kNone &&
        detail::load_word(detail::this_thread().marking)) {
      shade_address(self, task_->object());
    }
  }
  if (task_ != nullptr) {
    task_begun_.store(true, std::memory_order_relaxed);
    task_->run();
    task_->run = nullptr;
    return true;
  }
  const size_t first = batch_begun_.load(std::memory_order_relaxed);
  for (size_t i = first; i < batch_size_; ++i) {
    batch_begun_.store(i + 1, std::memory_order_relaxed);
    destroy_dead(reinterpret_cast<char*>(~batch_[i]));  // NOLINT(performance-no-int-to-ptr)
  }
  done_turns_.fetch_add(std::exchange(batch_spans_, 0), std::memory_order_release);
  return batch_size_ != first || finished;
}

void FinalizerThread::forget_thread() noexcept {
  if (on_this_thread()) return;  // it is the one that forked
  taken_ = false;
  unattached_ = false;
  patience_.reset();
  self_.store(nullptr, std::memory_order_relaxed);
  // The one before is in use, on a stack that is gone.
  if (task_ != nullptr && task_begun_.load(std::memory_order_relaxed)) task_ = nullptr;
  done_tasks_.store(queued_tasks_ - tasks_.size() - (task_ != nullptr ? 1 : 0),
                    std::memory_order_relaxed);
  // Of the batch only the last one begun can be unfinished.
  const size_t begun = batch_begun_.load(std::memory_order_relaxed);
  if (begun != 0) {
    give_up_destruction(
        reinterpret_cast<char*>(~batch_[begun - 1]));  // NOLINT(performance-no-int-to-ptr)
  }
  if (begun == batch_size_) batch_spans_ = 0;
  done_turns_.store(dead_.taken() - batch_spans_, std::memory_order_relaxed);
}

void FinalizerThread::main_loop() noexcept {
  try {
    Thread::attached();
  } catch (const std::exception&) {
    {
      const std::lock_guard guard(lock_);
      unattached_ = true;
    }
    give_role_back(true);
    announce();
    return;
  }
  Thread& self = *Thread::current();
  self_.store(&self, std::memory_order_relaxed);
  {
    const runtime::RuntimeScope scope(self);
    const std::lock_guard guard(lock_);
    unattached_ = false;
  }
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
  uint64_t tasks;
  uint64_t turns;
  {
    const runtime::RuntimeScope scope(Thread::attached());
    const std::lock_guard guard(lock_);
    tasks = queued_tasks_;
    turns = dead_.listed();  // [dead.turns]
  }
  for (;;) {
    const uint32_t seen = wake_.load(std::memory_order_acquire);
    if (done_tasks_.load(std::memory_order_acquire) >= tasks &&
        done_turns_.load(std::memory_order_acquire) >= turns) {
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
