#pragma once

// Handshake: asks every attached thread to do one small thing, and waits until all have.
//
// A thread does it when it leaves the runtime; the collector does it for a thread that is blocked;
// a thread that does neither within some 30 us is sent a signal and does it in the handler. Threads
// are never stopped together, except by stop(), which exists for checks and for programs with
// registered fiber stacks.
//
// [handshake.once]    every thread attached at the start runs the action exactly once (itself, or the collector
//                     for it while it is kTaken).
// [handshake.single]  one handshake at a time.
// [handshake.open]    threads may attach and leave while run() waits: one that attaches has taken over what the
//                     handshake brings and counts as having answered, one that leaves has handed over what it had.
//                     stop() and resume() hold g_threads.lock() throughout.
// [handshake.aside]   where more threads have to answer than there are processors, those that have answered sleep until
//                     the last one has: else each answer would wait for a time slice of every thread that has
//                     answered. They sleep as blocked, and the collector answers for them what it asks next (H2 right
//                     after H1, H4 right after H3). It ends after 10 ms without an answer, and after 100 ms, and as
//                     much time passes before it may happen again. A thread found in a system call goes back into it
//                     instead. It is a delay and nothing else: the thread has answered, and may hold any lock of the
//                     program.
// [handshake.named]   a thread that cannot answer (all signals masked, waiting in the kernel) stops collection. After
//                     5 ms the handler is looked at (handshake_signal.h) and so is whether the thread still exists;
//                     after 100 ms the trace names it, after 10 s stderr does.
// [handshake.vain]    a thread that keeps all signals from itself and waits for a lock of the program cannot answer
//                     while the one that holds the lock stands. stop() lets everybody go on after 100 ms and waits
//                     for the last answers as run() does.
// Threads: run(), stop(), resume(): the collector's thread, not in a runtime section.

#include <atomic>
#include <cstdint>

#include "runtime/thread.h"

namespace tricolor::runtime {

class Handshake {
 public:
  // Runs on the thread itself or on the collector's, with the thread's stack. Async-signal-safe: no
  // malloc, no lock that code outside runtime sections holds.
  using Action = void (*)(Thread& thread, StackView stack) noexcept;

  // How long answers took, from their first to their last instruction: what a program notices. For
  // the longest, a stop counts from the first request until all have been let go.
  struct Times {
    int64_t longest_ns = 0;
    int64_t total_ns = 0;
    int64_t answers = 0;
    uint32_t signals = 0;
    int64_t asides = 0;  // [handshake.aside]
    int64_t longest_aside_ns = 0;
  };

  struct Settings {
    int signal = 0;      // 0: SIGURG
    bool trace = false;  // name threads that are late
  };
  // Before init().
  void configure(const Settings& settings) noexcept { settings_ = settings; }

  // Installs the signal handler; once.
  void init() noexcept;

  // Those that stand aside do so until the last has answered, or until the next run() or let_go().
  enum class Afterwards : uint8_t { go_on, keep_aside };
  void run(Action action, Afterwards afterwards = Afterwards::go_on) noexcept;
  void let_go() noexcept;

  // As run(), but every thread waits after its answer, and the threads' lock stays held, until
  // resume(). It may be in vain ([handshake.vain]): false, and then there is nothing to resume.
  [[nodiscard]] bool stop(Action action) noexcept;
  void resume() noexcept;

  // Since the last call.
  Times take_times() noexcept;

  // The request that a thread attached now counts as having answered. Under g_threads.lock(), or in
  // a handler that only compares it.
  uint32_t sequence() const noexcept { return sequence_.load(std::memory_order_relaxed); }

  // Not 0 while threads that have answered stand aside.
  uint32_t asides() const noexcept { return aside_.load(std::memory_order_relaxed); }

  // How many threads ran as the last handshake began. A hint.
  uint32_t running_threads() const noexcept { return running_.load(std::memory_order_relaxed); }

  // Called by Thread::answer_here().
  void perform(Thread& thread, StackView stack) noexcept;
  void acknowledge(Thread& thread, uint32_t sequence) noexcept;

  // Sleeps while threads stand aside. The calling thread, blocked.
  void stand_aside() noexcept;

 private:
  // How long the running handshake has waited, and what it has done about it; the collector's own.
  struct Wait {
    int64_t start_ns = 0;
    int64_t signal_ns = 0;    // when to send signals (again)
    int64_t interval_ns = 0;  // between signals
    int64_t name_ns = 0;      // when to name those that are late (again)
    uint32_t fewest = 0;  // that have not answered, and when there were so few for the first time
    int64_t progress_ns = 0;
    bool named_to_all = false;
  };

  bool is_stopping() const noexcept { return stopping_.load(std::memory_order_relaxed); }
  void take_turn() noexcept;
  void ask_all(Action action) noexcept;
  void wait_for_all(Thread* self) noexcept;
  bool answer_for_blocked(Thread& thread) noexcept;
  bool is_outstanding(const Thread& thread) const noexcept;
  uint32_t outstanding() noexcept;
  void signal_outstanding() noexcept;
  void see_to_the_late(Wait& wait, int64_t now) noexcept;
  void bury_the_gone() noexcept;
  void name_outstanding(int64_t waited_ns) noexcept;
  // Does for a thread that is gone what it should have done at its end.
  void bury(Thread& thread) noexcept;
  void wait_for_answers(uint32_t seen, bool briefly) noexcept;
  void let_all_go_on() noexcept;
  void begin_asides() noexcept;
  void end_asides() noexcept;

  Settings settings_;
  unsigned processors_ = 1;
  uint32_t aside_number_ = 0;  // the last value of aside_ that was not 0
  int64_t aside_since_ns_ = 0;
  int64_t aside_again_ns_ = 0;  // not before
  bool keeps_aside_ = false;    // the handshake before has left threads aside
  // Threads that had to answer, by the first count of the last handshake; read by others as a hint.
  std::atomic<uint32_t> running_{0};

  // Held through run(), and from stop() to resume(). [handshake.single]
  Lock turn_;

  // Written by the collector before it stores a thread's `requested` (release), read by the thread
  // after it has loaded that (acquire).
  Action action_ = nullptr;
  int64_t asked_ns_ = 0;
  // Written by the collector; read (relaxed) by a thread that answers: one that takes a stop that
  // was given up for one that goes on finds it resumed.
  std::atomic<bool> stopping_{false};
  // Read relaxed by a handler on a thread without a record, which only compares it.
  std::atomic<uint32_t> sequence_{0};
  int64_t stop_began_ns_ = 0;  // the collector's own

  // Added to by every answer (release); the collector sleeps on it. Its value is only compared for
  // change.
  std::atomic<uint32_t> answers_{0};
  std::atomic<bool> collector_sleeps_{false};
  // The last stopping handshake that has been resumed: stored by resume() (release), waited for by
  // stopped threads (acquire).
  std::atomic<uint32_t> resumed_{0};

  // How many answers the collector still waits for, as of its last look: an answer that makes it 0
  // wakes it. A hint (relaxed): threads come and go, and the collector looks again after 1 ms.
  std::atomic<int32_t> awaited_{0};
  // Not 0 while threads that have answered stand aside; another value each time. Stored by the
  // collector
  // (release), slept on by them (acquire).
  std::atomic<uint32_t> aside_{0};

  // Statistics: relaxed.
  std::atomic<int64_t> longest_ns_{0};
  std::atomic<int64_t> total_ns_{0};
  std::atomic<int64_t> performed_{0};
  std::atomic<uint32_t> signals_{0};
  std::atomic<int64_t> asides_{0};
  std::atomic<int64_t> longest_aside_ns_{0};
};

extern Handshake g_handshake;

}  // namespace tricolor::runtime
