#include "gc/finalizer_thread.h"

#include <algorithm>
#include <cstddef>
#include <exception>
#include <memory>
#include <mutex>
#include <new>
#include <utility>

#include "gc/barrier.h"
#include "gc/exit_watch.h"
#include "gc/helper_threads.h"
#include "gc/pacing.h"
#include "runtime/base/immortal.h"
#include "runtime/base/no_cancellation.h"
#include "runtime/base/thread_order.h"
#include "runtime/os/os.h"
#include "runtime/thread.h"
#include "runtime/time_watch.h"

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

void FinalizerThread::queue_dead(runtime::Span& span, uint32_t cells) noexcept {
  g_dead_cells.add(span, cells);
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
  return !tasks_.empty() || !g_dead_cells.empty() ||
         (task_ != nullptr && !task_begun_.load(std::memory_order_relaxed));
}

void FinalizerThread::start_if_needed() noexcept {
  // In a runtime section, so that fork() comes before or after.
  const runtime::RuntimeScope scope(Thread::attached());
  start_in_section(false);
}

bool FinalizerThread::cannot_attach() noexcept {
  const std::lock_guard guard(lock_);
  return unattached_ && !started_ && has_work_locked() && !patience_.over();
}

bool FinalizerThread::start_in_section(bool even_if_refused) noexcept {
  if (by_hand()) return true;
  if (even_if_refused && cannot_attach()) return false;
  {
    const std::lock_guard guard(lock_);
    if (started_ || !has_work_locked()) return true;
    if (!even_if_refused && !patience_.over()) return true;
    started_ = true;
  }
  if (start_thread("tc-finalizer", [](unsigned) noexcept { finalizer_thread().main_loop(); })) {
    return true;
  }
  note_refused();
  return false;
}

void FinalizerThread::note_refused() noexcept {
  const std::lock_guard guard(lock_);
  started_ = false;
  patience_.refused();
}

uint64_t FinalizerThread::waiting() noexcept {
  const std::lock_guard guard(lock_);
  return tasks_.size() + (task_ != nullptr ? 1 : 0) + static_cast<uint64_t>(g_dead_cells.cells());
}

// [finalizer.own-thread] [finalizer.exit]
class FinalizerThread::Turn {
 public:
  Turn(FinalizerThread& finalizers, const Thread& self) noexcept : finalizers_(finalizers) {
    const void* nobody = nullptr;
    taken_ = finalizers_.runner_.compare_exchange_strong(nobody, &self, std::memory_order_seq_cst);
    if (taken_ && finalizers_.stopping_.load(std::memory_order_seq_cst)) give_up();
  }
  ~Turn() {
    if (taken_) give_up();
  }
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;
  explicit operator bool() const noexcept { return taken_; }

 private:
  void give_up() noexcept {
    taken_ = false;
    finalizers_.turns_.fetch_add(1, std::memory_order_seq_cst);
    finalizers_.runner_.store(nullptr, std::memory_order_release);
  }

  FinalizerThread& finalizers_;
  bool taken_;
};

// Takes the next task, unless there is one that was taken before fork() and not begun; whether
// there is one.
bool FinalizerThread::take_task() noexcept {
  const std::lock_guard guard(lock_);
  if (task_ == nullptr && !tasks_.empty()) {
    // What leaves the queue is shaded: [finalizer.roots]. [finalizer.exactly-once]
    if (walk_ == tasks_.first()) walk_ = walk_->next;
    task_begun_.store(false, std::memory_order_relaxed);
    task_ = tasks_.pop().release();
  }
  return task_ != nullptr;
}

// Runs one finalizer or cleanup, or some destructors, `most` at most; gives how many. With the
// turn. Not inlined, so that addresses of the dead stay below the frames that wait.
size_t FinalizerThread::run_some(size_t most) noexcept {
  Thread& self = *Thread::current();
  bool has_task;
  {
    const runtime::RuntimeScope scope(self);
    has_task = take_task();
    // [finalizer.roots]
    if (has_task && task_->hidden != Task::kNone &&
        detail::load_word(TRICOLOR_THIS_THREAD.marking)) {
      shade_address(self, task_->object());
    }
  }
  runtime::learn_order();
  if (has_task) {
    task_begun_.store(true, std::memory_order_relaxed);
    {
      runtime::TimedScope timed(runtime::Timed::kDead);
      timed.set(1);
      task_->run();
    }
    runtime::tell_order();
    task_->run = nullptr;
    {
      const runtime::RuntimeScope scope(self);
      const std::lock_guard guard(lock_);
      delete std::exchange(task_, nullptr);  // what it held is gone already
    }
    done_tasks_.fetch_add(1, std::memory_order_release);
    return 1;
  }
  runtime::TimeWatch* const watch = runtime::time_watch();
  const int64_t began = watch != nullptr ? runtime::os::now_ns() : 0;
  const size_t count = g_dead_cells.run(self, std::min(most, kMostAtOnce), stopping_);
  if (watch != nullptr && count != 0) {
    watch->took(runtime::Timed::kDead, began, runtime::os::now_ns(), static_cast<int64_t>(count),
                0);
  }
  done_dead_.fetch_add(count, std::memory_order_relaxed);
  if (count == 0) {
    const runtime::RuntimeScope scope(self);
    if (g_dead_cells.empty()) {
      g_pacing.flush_departing(*self.data);
      g_pacing.dead_are_destroyed();
    }
  } else if (room_waiters_.load(std::memory_order_seq_cst) != 0 && g_pacing.has_room_for_dead()) {
    room_.fetch_add(1, std::memory_order_seq_cst);
    runtime::futex::wake(&room_, INT32_MAX);
  }
  return count;
}

void FinalizerThread::forget_thread() noexcept {
  const void* const forked = Thread::current();
  room_waiters_.store(0, std::memory_order_relaxed);
  sleepers_.store(0, std::memory_order_relaxed);
  if (forked == nullptr || self_.load(std::memory_order_relaxed) != forked) {
    started_ = false;
    unattached_ = false;
    patience_.reset();
    self_.store(nullptr, std::memory_order_relaxed);
    tid_.store(0, std::memory_order_relaxed);
  }
  if (on_this_thread()) return;  // what it runs goes on
  g_dead_cells.orphan();
  runner_.store(nullptr, std::memory_order_relaxed);
  // The one before is in use, on a stack that is gone.
  if (task_ != nullptr && task_begun_.load(std::memory_order_relaxed)) task_ = nullptr;
  done_tasks_.store(queued_tasks_ - tasks_.size() - (task_ != nullptr ? 1 : 0),
                    std::memory_order_relaxed);
}

void FinalizerThread::sleep(uint32_t seen, int64_t timeout_ns) noexcept {
  const runtime::BlockedWait wait(Thread::current());
  sleepers_.fetch_add(1, std::memory_order_seq_cst);
  if (wake_.load(std::memory_order_seq_cst) == seen) {
    runtime::futex::wait(&wake_, seen, timeout_ns);
  }
  sleepers_.fetch_sub(1, std::memory_order_relaxed);
}

void FinalizerThread::main_loop() noexcept {
  try {
    Thread::attached();
  } catch (const std::exception&) {
    {
      const std::lock_guard guard(lock_);
      unattached_ = true;
    }
    note_refused();
    announce();
    return;
  }
  Thread& self = *Thread::current();
  self_.store(&self, std::memory_order_relaxed);
  tid_.store(runtime::os::tid(), std::memory_order_relaxed);
  {
    const runtime::RuntimeScope scope(self);
    const std::lock_guard guard(lock_);
    unattached_ = false;
  }
  for (uint64_t runs = 0;;) {
    const uint32_t seen = wake_.load(std::memory_order_acquire);
    // As the work doubles: what was made since the last time may be what destructors use.
    ++batches_;
    if ((batches_ & (batches_ - 1)) == 0) watch_process_for_exit();
    size_t count = 0;
    if (!by_hand()) {
      const Turn turn(*this, self);
      if (turn) count = run_some(kMostAtOnce);
    }
    if (count != 0) {
      // Whoever waits looks at the counts: often enough while there is more to do.
      if (++runs % kRunsAnnounced == 0) announce();
      continue;
    }
    if (std::exchange(runs, 0) % kRunsAnnounced != 0) {
      announce();
      continue;
    }
    sleep(seen, -1);
  }
}

bool FinalizerThread::set_by_hand(bool on) noexcept {
  const bool before = by_hand_.exchange(on, std::memory_order_relaxed);
  if (before && !on) {
    announce();
    start_if_needed();
  }
  return before;
}

size_t FinalizerThread::run_by_hand(size_t most) noexcept {
  const Thread& self = Thread::attached();
  if (on_this_thread()) return 0;  // from a finalizer: what it is part of is not over
  const runtime::NoCancellation whole;
  size_t count = 0;
  while (count < most && !stopping_.load(std::memory_order_relaxed)) {
    const uint32_t seen = wake_.load(std::memory_order_acquire);
    {
      const Turn turn(*this, self);
      if (turn) {
        const size_t ran = run_some(most - count);
        if (ran == 0) break;
        count += ran;
        continue;
      }
    }
    sleep(seen, kWaitNs);
  }
  announce();
  return count;
}

// [finalizer.own-thread] As long as there is work; false if another thread runs some.
bool FinalizerThread::run_here() noexcept {
  const runtime::NoCancellation whole;
  {
    const Turn turn(*this, *Thread::current());
    if (!turn) return false;
    while (run_some(kMostAtOnce) != 0) {
    }
  }
  announce();
  return true;
}

void FinalizerThread::wait_until_idle(int64_t timeout_ns) noexcept {
  const bool unbounded = timeout_ns < 0;
  const int64_t give_up = unbounded ? INT64_MAX : runtime::os::now_ns() + timeout_ns;
  uint64_t tasks;
  uint64_t dead;
  {
    const runtime::RuntimeScope scope(Thread::attached());
    const std::lock_guard guard(lock_);
    tasks = queued_tasks_;
    dead = g_dead_cells.queued();
  }
  for (;;) {
    const uint32_t seen = wake_.load(std::memory_order_acquire);
    if (done_tasks_.load(std::memory_order_acquire) >= tasks && g_dead_cells.done() >= dead) {
      return;
    }
    // At exit nothing more is begun, so what is left will not be done; by hand, nobody may.
    if (stopping_.load(std::memory_order_relaxed) || by_hand() ||
        runtime::os::now_ns() >= give_up) {
      return;
    }
    bool refused;
    {
      const runtime::RuntimeScope scope(*Thread::current());
      refused = !start_in_section(true);
    }
    // Whoever asked for memory may hold a lock that a destructor needs.
    if (refused && !unbounded) return;
    if (refused && run_here()) continue;
    sleep(seen, kWaitNs);
  }
}

void FinalizerThread::wait_for_room(Thread& thread, int64_t at_most_ns) noexcept {
  const runtime::BlockedWait wait(&thread);
  room_waiters_.fetch_add(1, std::memory_order_seq_cst);
  const uint32_t seen = room_.load(std::memory_order_seq_cst);
  runtime::futex::wait(&room_, seen, at_most_ns);
  room_waiters_.fetch_sub(1, std::memory_order_relaxed);
}

void FinalizerThread::stop_at_exit() noexcept {
  stopping_.store(true, std::memory_order_seq_cst);
  announce();
  wait_for_turn(kExitWaitNs);
}

// [finalizer.exit] Who begins after this look has seen what its caller did before; so has whoever
// takes the turn after the one that is over.
bool FinalizerThread::wait_for_turn(int64_t at_most_ns) noexcept {
  const Thread* const self = Thread::current();
  const int64_t give_up = runtime::os::now_ns() + at_most_ns;
  const uint64_t turns = turns_.load(std::memory_order_seq_cst);
  for (;;) {
    const void* const runner = runner_.load(std::memory_order_seq_cst);
    if (runner == nullptr || runner == self) return true;
    if (turns_.load(std::memory_order_seq_cst) != turns) return true;
    if (runtime::os::now_ns() >= give_up) return false;
    const runtime::BlockedWait wait(Thread::current());
    runtime::os::sleep_ns(50'000);
  }
}

bool FinalizerThread::is_runnable() const noexcept {
  const int tid = tid_.load(std::memory_order_relaxed);
  return tid != 0 && runtime::os::is_runnable(tid);
}

bool FinalizerThread::on_this_thread() const noexcept {
  return Thread::current() != nullptr &&
         runner_.load(std::memory_order_relaxed) == Thread::current();
}

}  // namespace tricolor::gc
