#include "runtime/handshake.h"

#include <cerrno>
#include <csignal>
#include <iterator>

#include "runtime/arch/cpu.h"
#include "runtime/base/check.h"
#include "runtime/heap/collector_hooks.h"
#include "runtime/os/os.h"

namespace tricolor::runtime {

constinit Handshake g_handshake;

namespace {

constexpr int kSignal = SIGURG;          // ignored by default, so a stray one does no harm
constexpr int64_t kPatienceNs = 30'000;  // how long a thread may take to come by on its own
constexpr int64_t kSleepNs = 1'000'000;
constexpr int64_t kResendNs =
    20'000'000;  // a lost signal is unheard of, but nothing would end without it

struct sigaction g_previous_action;

void pass_on(int signal, siginfo_t* info, void* context) noexcept {
  if ((g_previous_action.sa_flags & SA_SIGINFO) != 0) {
    if (g_previous_action.sa_sigaction != nullptr)
      g_previous_action.sa_sigaction(signal, info, context);
  } else if (g_previous_action.sa_handler != SIG_DFL && g_previous_action.sa_handler != SIG_IGN) {
    g_previous_action.sa_handler(signal);
  }
}

void on_signal(int signal, siginfo_t* info, void* context) noexcept {
  const int saved_errno = errno;
  if (info->si_code == SI_TKILL) {
    Thread* const thread = Thread::current();
    // [thread.depth] inside the runtime the answer is given on the way out.
    if (thread != nullptr && !thread->in_runtime() &&
        thread->state.load(std::memory_order_relaxed) == ThreadState::kRunning &&
        thread->is_asked()) {
      thread->answer_here();
    }
  } else {
    pass_on(signal, info, context);
  }
  errno = saved_errno;
}

void raise_to(std::atomic<int64_t>& maximum, int64_t value) noexcept {
  int64_t seen = maximum.load(std::memory_order_relaxed);
  while (value > seen && !maximum.compare_exchange_weak(seen, value, std::memory_order_relaxed)) {
  }
}

}  // namespace

int Handshake::signal_number() noexcept { return kSignal; }

void Handshake::init() noexcept {
  struct sigaction action {};
  action.sa_sigaction = on_signal;
  action.sa_flags = SA_SIGINFO | SA_RESTART;
  sigemptyset(&action.sa_mask);
  TC_CHECK(sigaction(kSignal, &action, &g_previous_action) == 0,
           "cannot install the handshake signal handler");
}

void Handshake::perform(Thread& thread, StackView stack) noexcept {
  const int64_t start = os::now_ns();
  action_(thread, stack);
  const int64_t spent = os::now_ns() - start;
  raise_to(longest_ns_, spent);
  total_ns_.fetch_add(spent, std::memory_order_relaxed);
  performed_.fetch_add(1, std::memory_order_relaxed);
}

void Handshake::acknowledge(Thread& thread, uint32_t sequence) noexcept {
  const bool stopping = stopping_;
  thread.answered.store(sequence, std::memory_order_release);
  answers_.fetch_add(1, std::memory_order_seq_cst);
  if (collector_sleeps_.load(std::memory_order_seq_cst)) futex::wake(&answers_, 1);
  if (!stopping) return;
  for (uint32_t seen; (seen = resumed_.load(std::memory_order_acquire)) != sequence;)
    futex::wait(&resumed_, seen);
}

// [handshake.once] the compare-exchange keeps the thread from leaving, so its state stands still.
bool Handshake::answer_for_blocked(Thread& thread) noexcept {
  ThreadState expected = ThreadState::kBlocked;
  if (!thread.state.compare_exchange_strong(expected, ThreadState::kTaken,
                                            std::memory_order_acq_rel))
    return false;
  if (thread.is_asked()) {
    perform(thread, StackView{thread.saved_sp, thread.saved_words.data(), thread.saved_words.size(),
                              thread.saved_signal_hi});
    thread.answered.store(sequence_, std::memory_order_release);
  }
  if (!stopping_) thread.state.store(ThreadState::kBlocked, std::memory_order_release);
  return true;
}

uint32_t Handshake::outstanding() noexcept {
  uint32_t waiting = 0;
  for (Thread* t = g_threads.first(); t != nullptr; t = t->next) {
    if (t->answered.load(std::memory_order_acquire) == sequence_) continue;
    if (t->state.load(std::memory_order_relaxed) == ThreadState::kBlocked && answer_for_blocked(*t))
      continue;
    if (t->answered.load(std::memory_order_acquire) != sequence_) ++waiting;
  }
  return waiting;
}

void Handshake::ask_all(Action action) noexcept {
  Thread* const self = Thread::current();
  action_ = action;
  ++sequence_;
  for (Thread* t = g_threads.first(); t != nullptr; t = t->next) {
    t->requested.store(sequence_, std::memory_order_release);
  }
  if (self != nullptr) {
    // The collector keeps no reference across a handshake: hooks are over, and what its frames hold
    // besides are the addresses of objects it has marked.
    perform(*self, StackView{self->stack_hi - sizeof(void*), nullptr, 0});
    self->answered.store(sequence_, std::memory_order_release);
  }
  const int64_t start = os::now_ns();
  int64_t signalled = 0;
  for (;;) {
    const uint32_t seen = answers_.load(std::memory_order_acquire);
    if (outstanding() == 0) return;
    const int64_t now = os::now_ns();
    const bool patient = now - start < kPatienceNs;
    if (!patient && (signalled == 0 || now - signalled > kResendNs)) {
      signalled = now;
      signal_outstanding();
    }
    // [handshake.open] threads come and go while we wait
    if (!stopping_) g_threads.lock().unlock();
    wait_for_answers(seen, patient);
    if (!stopping_) lock_threads(self);
  }
}

void Handshake::signal_outstanding() noexcept {
  for (Thread *t = g_threads.first(), *next; t != nullptr; t = next) {
    next = t->next;
    if (t->answered.load(std::memory_order_acquire) == sequence_) continue;
    if (t->state.load(std::memory_order_relaxed) != ThreadState::kRunning) continue;
    if (!os::signal_thread(os::pid(), t->tid, kSignal)) {
      bury(*t);  // [thread.gone]
      continue;
    }
    signals_.fetch_add(1, std::memory_order_relaxed);
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

// [handshake.single] Whoever waits for its turn counts as blocked: the one whose turn it is asks it too.
void Handshake::take_turn() noexcept {
  while (!turn_.try_lock()) {
    const BlockedWait wait(Thread::current());
    turn_.lock();
    turn_.unlock();
  }
}

void Handshake::run(Action action) noexcept {
  take_turn();
  lock_threads(Thread::current());
  stopping_ = false;
  ask_all(action);
  g_threads.lock().unlock();
  turn_.unlock();
}

void Handshake::stop(Action action) noexcept {
  take_turn();
  lock_threads(Thread::current());
  stopping_ = true;
  stop_began_ns_ = os::now_ns();
  ask_all(action);
}

void Handshake::resume() noexcept {
  for (Thread* t = g_threads.first(); t != nullptr; t = t->next) {
    if (t->state.load(std::memory_order_relaxed) == ThreadState::kTaken) {
      t->state.store(ThreadState::kBlocked, std::memory_order_release);
    }
  }
  resumed_.store(sequence_, std::memory_order_release);
  futex::wake(&resumed_, INT32_MAX);
  raise_to(longest_ns_, os::now_ns() - stop_began_ns_);
  stopping_ = false;
  g_threads.lock().unlock();
  turn_.unlock();
}

Handshake::Times Handshake::take_times() noexcept {
  Times times;
  times.longest_ns = longest_ns_.exchange(0, std::memory_order_relaxed);
  times.total_ns = total_ns_.exchange(0, std::memory_order_relaxed);
  times.answers = performed_.exchange(0, std::memory_order_relaxed);
  times.signals = signals_.exchange(0, std::memory_order_relaxed);
  return times;
}

}  // namespace tricolor::runtime
