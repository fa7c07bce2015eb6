#include "runtime/handshake.h"

#include <algorithm>

#include "runtime/arch/cpu.h"
#include "runtime/base/check.h"
#include "runtime/handshake_signal.h"
#include "runtime/os/os.h"
#include "runtime/thread_report.h"
#include "runtime/time_watch.h"

namespace tricolor::runtime {

constinit Handshake g_handshake;

namespace {

constexpr int64_t kPatienceNs = 30'000;  // how long a thread may take to come by on its own
constexpr int64_t kSleepNs = 1'000'000;
// Signals are sent again after 1 ms, then less and less often: one of ours may have been merged
// with another's that was still pending.
constexpr int64_t kResendNs = 1'000'000;
constexpr int64_t kLongestResendNs = 32'000'000;
constexpr int64_t kResendPerThreadNs =
    50'000;  // sending is the collector's time, of which it gets little
// [handshake.aside] In all, and without an answer from anybody.
constexpr int64_t kAsideNs = 100'000'000;
constexpr int64_t kAsideInVainNs = 10'000'000;
constexpr int64_t kRunNs = 2'000'000;     // at least between two asides
constexpr int64_t kVainNs = 100'000'000;  // [handshake.vain]
constexpr int64_t kLateNs = 5'000'000;
constexpr int64_t kNamedInTraceNs = 100'000'000;
constexpr int64_t kNamedNs = 10'000'000'000;

void raise_to(std::atomic<int64_t>& maximum, int64_t value) noexcept {
  int64_t seen = maximum.load(std::memory_order_relaxed);
  while (value > seen && !maximum.compare_exchange_weak(seen, value, std::memory_order_relaxed)) {
  }
}

}  // namespace

void Handshake::init() noexcept {
  processors_ = os::cpu_count();
  init_handshake_signal(settings_.signal);
}

void Handshake::perform(Thread& thread, StackView stack) noexcept {
  const int64_t start = os::now_ns();
  action_(thread, stack);
  const int64_t end = os::now_ns();
  const int64_t spent = end - start;
  if (TimeWatch* const watch = time_watch())
    watch->answered(thread.tid, sequence(), asked_ns_, start, end);
  raise_to(longest_ns_, spent);
  total_ns_.fetch_add(spent, std::memory_order_relaxed);
  performed_.fetch_add(1, std::memory_order_relaxed);
}

void Handshake::acknowledge(Thread& thread, uint32_t sequence) noexcept {
  const bool stopping = stopping_.load(std::memory_order_relaxed);
  thread.answered.store(sequence, std::memory_order_release);
  answers_.fetch_add(1, std::memory_order_seq_cst);
  const bool last = awaited_.fetch_sub(1, std::memory_order_relaxed) <= 1;
  if (last && collector_sleeps_.load(std::memory_order_seq_cst)) futex::wake(&answers_, 1);
  if (!stopping) return;
  const TimedScope timed(Timed::kStopped);
  for (uint32_t seen; (seen = resumed_.load(std::memory_order_acquire)) != sequence;)
    futex::wait(&resumed_, seen);
}

// [handshake.aside] As blocked, so that the collector answers for it what is asked meanwhile.
void Handshake::stand_aside() noexcept {
  const uint32_t seen = aside_.load(std::memory_order_acquire);
  if (seen == 0) return;
  const int64_t start = os::now_ns();
  int64_t waited = 0;
  do {
    futex::wait(&aside_, seen, kAsideNs - waited);
    waited = os::now_ns() - start;
  } while (waited < kAsideNs && aside_.load(std::memory_order_acquire) == seen);
  asides_.fetch_add(1, std::memory_order_relaxed);
  raise_to(longest_aside_ns_, waited);
}

// Threads get as much time as they stood aside before they do so again: cycles back to back would
// otherwise never let them run.
void Handshake::begin_asides() noexcept {
  if (aside_.load(std::memory_order_relaxed) != 0) return;
  aside_since_ns_ = os::now_ns();
  if (aside_since_ns_ < aside_again_ns_) return;
  if (++aside_number_ == 0) ++aside_number_;
  aside_.store(aside_number_, std::memory_order_release);
}

void Handshake::end_asides() noexcept {
  if (aside_.load(std::memory_order_relaxed) == 0) return;
  const int64_t now = os::now_ns();
  aside_again_ns_ = now + std::max(now - aside_since_ns_, kRunNs);
  aside_.store(0, std::memory_order_release);
  futex::wake(&aside_, INT32_MAX);
}

// [handshake.once] the compare-exchange keeps the thread from leaving, so its state stands still.
bool Handshake::answer_for_blocked(Thread& thread) noexcept {
  ThreadState expected = ThreadState::kBlocked;
  if (!thread.state.compare_exchange_strong(expected, ThreadState::kTaken,
                                            std::memory_order_acq_rel))
    return false;
  if (thread.is_asked()) {
    perform(thread, StackView{thread.saved_sp, thread.saved_words.data(), thread.saved_words.size(),
                              thread.saved_signal_hi, thread.interrupted_sp});
    thread.answered.store(sequence(), std::memory_order_release);
  }
  if (!is_stopping()) thread.state.store(ThreadState::kBlocked, std::memory_order_release);
  return true;
}

bool Handshake::is_outstanding(const Thread& thread) const noexcept {
  return thread.answered.load(std::memory_order_acquire) != sequence();
}

uint32_t Handshake::outstanding() noexcept {
  uint32_t waiting = 0;
  for (Thread* t = g_threads.first(); t != nullptr; t = t->next) {
    if (!is_outstanding(*t)) continue;
    if (t->state.load(std::memory_order_relaxed) == ThreadState::kBlocked && answer_for_blocked(*t))
      continue;
    if (is_outstanding(*t)) ++waiting;
  }
  return waiting;
}

void Handshake::ask_all(Action action) noexcept {
  Thread* const self = Thread::current();
  action_ = action;
  const uint32_t sequence = this->sequence() + 1;
  sequence_.store(sequence, std::memory_order_relaxed);
  asked_ns_ = os::now_ns();
  // Those that answer before the first count stand aside as well where the last count says so.
  const bool first_ever = sequence == 1;
  const size_t expected = first_ever ? g_threads.count() : running_threads();
  if (expected > processors_ && !is_stopping()) begin_asides();
  for (Thread* t = g_threads.first(); t != nullptr; t = t->next) {
    t->requested.store(sequence, std::memory_order_release);
  }
  if (self != nullptr) {
    // The collector keeps no reference across a handshake: hooks are over, and what its frames hold
    // besides are the addresses of objects it has marked.
    perform(*self, StackView{self->stack_hi - sizeof(void*), nullptr, 0});
    self->answered.store(sequence, std::memory_order_release);
  }
  wait_for_all(self);
}

void Handshake::wait_for_all(Thread* self) noexcept {
  Wait wait;
  wait.start_ns = os::now_ns();
  // Where processors are short, patience would be spent among those that do not come by.
  wait.signal_ns = wait.start_ns + (asides() != 0 ? 0 : kPatienceNs);
  wait.interval_ns = kResendNs;
  wait.name_ns = wait.start_ns + (settings_.trace ? kNamedInTraceNs : kNamedNs);
  for (bool first = true;; first = false) {
    const uint32_t seen = answers_.load(std::memory_order_acquire);
    const uint32_t waiting = outstanding();
    // Those that stand aside from the handshake before are answered for: they count as they did
    // there.
    if (first && !(keeps_aside_ && asides() != 0))
      running_.store(waiting, std::memory_order_relaxed);
    if (waiting == 0) return;
    awaited_.store(static_cast<int32_t>(waiting), std::memory_order_relaxed);
    const int64_t now = os::now_ns();
    if (waiting < wait.fewest || first) {
      wait.fewest = waiting;
      wait.progress_ns = now;
    }
    if (first && waiting > processors_ && !is_stopping()) {
      begin_asides();
    } else if ((first && !keeps_aside_) || now - wait.start_ns >= kAsideNs ||
               now - wait.progress_ns >= kAsideInVainNs) {
      end_asides();
    }
    if (now - wait.start_ns >= kLateNs) see_to_the_late(wait, now);
    if (now >= wait.signal_ns) {
      signal_outstanding();
      wait.signal_ns = now + std::max(wait.interval_ns, waiting * kResendPerThreadNs);
      wait.interval_ns = std::min(2 * wait.interval_ns, kLongestResendNs);
    }
    if (is_stopping() && now - wait.start_ns >= kVainNs) let_all_go_on();
    // [handshake.open] threads come and go while we wait
    const bool stopping = is_stopping();
    if (!stopping) g_threads.lock().unlock();
    wait_for_answers(seen, now < wait.signal_ns && now - wait.start_ns < kPatienceNs);
    if (!stopping) lock_threads(self);
  }
}

void Handshake::signal_outstanding() noexcept {
  for (Thread *t = g_threads.first(), *next; t != nullptr; t = next) {
    next = t->next;
    if (!is_outstanding(*t)) continue;
    if (t->state.load(std::memory_order_relaxed) != ThreadState::kRunning) continue;
    switch (send_handshake_signal(*t)) {
      case Sent::yes:
        signals_.fetch_add(1, std::memory_order_relaxed);
        if (TimeWatch* const watch = time_watch()) watch->happened(Timed::kSignal, t->tid);
        break;
      case Sent::gone:
        bury(*t);
        break;  // [thread.gone]
      case Sent::refused:
        break;
    }
  }
}

// [handshake.named] Once a signal interval.
void Handshake::see_to_the_late(Wait& wait, int64_t now) noexcept {
  if (now < wait.signal_ns && now < wait.name_ns) return;
  if (!check_handler(settings_.trace)) wait.signal_ns = now;
  bury_the_gone();
  if (now < wait.name_ns) return;
  const int64_t waited = now - wait.start_ns;
  if (settings_.trace || !wait.named_to_all) name_outstanding(waited);
  if (waited >= kNamedNs) wait.named_to_all = true;
  wait.name_ns = wait.start_ns + (settings_.trace ? 2 * waited : INT64_MAX / 2);
}

// [thread.gone] [thread.named] Records of threads that ended unseen, whose id another thread has got.
void Handshake::bury_the_gone() noexcept {
  const Stray stray = last_stray();
  for (Thread *t = g_threads.first(), *next; t != nullptr; t = next) {
    next = t->next;
    // One that is blocked is alive: the other record of a thread that runs a cycle has the same id.
    if (!is_outstanding(*t) || t->state.load(std::memory_order_relaxed) != ThreadState::kRunning)
      continue;
    bool gone = stray.sequence == sequence() && stray.tid == static_cast<uint32_t>(t->tid);
    // New records come first in the list.
    for (const Thread* newer = g_threads.first(); newer != t && !gone; newer = newer->next) {
      gone = newer->tid == t->tid;
    }
    if (gone) bury(*t);
  }
}

void Handshake::name_outstanding(int64_t waited_ns) noexcept {
  constexpr int kMost = 10;
  int named = 0;
  for (const Thread* t = g_threads.first(); t != nullptr; t = t->next) {
    if (!is_outstanding(*t)) continue;
    if (++named > kMost) {
      report("collection waits for more threads than these %d", kMost);
      return;
    }
    ThreadDescription what;
    describe_thread(*t, what);
    report("collection has waited %lld ms for thread %s",
           static_cast<long long>(waited_ns / 1'000'000), what.text);
  }
}

void Handshake::bury(Thread& thread) noexcept {
  g_threads.remove(thread);
  g_threads.take_back(thread);
}

void Handshake::wait_for_answers(uint32_t seen, bool briefly) noexcept {
  if (briefly) {
    for (int i = 0; i < 20; ++i) arch::pause();
    return;
  }
  collector_sleeps_.store(true, std::memory_order_seq_cst);
  if (answers_.load(std::memory_order_seq_cst) == seen) futex::wait(&answers_, seen, kSleepNs);
  collector_sleeps_.store(false, std::memory_order_relaxed);
}

// [handshake.single] A thread that waits for its turn counts as blocked: the one whose turn it is asks it too.
void Handshake::take_turn() noexcept {
  while (!turn_.try_lock()) {
    const BlockedWait wait(Thread::current());
    turn_.lock();
    turn_.unlock();
  }
}

void Handshake::run(Action action, Afterwards afterwards) noexcept {
  take_turn();
  lock_threads(Thread::current());
  stopping_.store(false, std::memory_order_relaxed);
  ask_all(action);
  keeps_aside_ = afterwards == Afterwards::keep_aside;
  if (!keeps_aside_) end_asides();
  g_threads.lock().unlock();
  turn_.unlock();
}

void Handshake::let_go() noexcept {
  keeps_aside_ = false;
  end_asides();
}

bool Handshake::stop(Action action) noexcept {
  take_turn();
  lock_threads(Thread::current());
  stopping_.store(true, std::memory_order_relaxed);
  stop_began_ns_ = os::now_ns();
  ask_all(action);
  if (is_stopping()) return true;
  g_threads.lock().unlock();
  turn_.unlock();
  return false;
}

// [handshake.vain]
void Handshake::let_all_go_on() noexcept {
  for (Thread* t = g_threads.first(); t != nullptr; t = t->next) {
    if (t->state.load(std::memory_order_relaxed) == ThreadState::kTaken) {
      t->state.store(ThreadState::kBlocked, std::memory_order_release);
    }
  }
  resumed_.store(sequence(), std::memory_order_release);
  futex::wake(&resumed_, INT32_MAX);
  raise_to(longest_ns_, os::now_ns() - stop_began_ns_);
  stopping_.store(false, std::memory_order_relaxed);
}

void Handshake::resume() noexcept {
  let_all_go_on();
  g_threads.lock().unlock();
  turn_.unlock();
}

Handshake::Times Handshake::take_times() noexcept {
  Times times;
  times.longest_ns = longest_ns_.exchange(0, std::memory_order_relaxed);
  times.total_ns = total_ns_.exchange(0, std::memory_order_relaxed);
  times.answers = performed_.exchange(0, std::memory_order_relaxed);
  times.signals = signals_.exchange(0, std::memory_order_relaxed);
  times.asides = asides_.exchange(0, std::memory_order_relaxed);
  times.longest_aside_ns = longest_aside_ns_.exchange(0, std::memory_order_relaxed);
  return times;
}

}  // namespace tricolor::runtime
