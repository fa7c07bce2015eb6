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
  };

  // The signal that reaches a thread outside the runtime.
  static int signal_number() noexcept;

  // Installs the signal handler; once.
  void init() noexcept;

  void run(Action action) noexcept;

  // As run(), but every thread waits after its answer, and the threads' lock stays held, until
  // resume().
  void stop(Action action) noexcept;
  void resume() noexcept;

  // Since the last call.
  Times take_times() noexcept;

  // The request that a thread attached now counts as having answered. Under g_threads.lock().
  uint32_t sequence() const noexcept { return sequence_; }

  // Called by Thread::answer().
  void perform(Thread& thread, StackView stack) noexcept;
  void acknowledge(Thread& thread, uint32_t sequence) noexcept;

 private:
  void take_turn() noexcept;
  void ask_all(Action action) noexcept;
  bool answer_for_blocked(Thread& thread) noexcept;
  uint32_t outstanding() noexcept;
  void signal_outstanding() noexcept;
  // Does for a thread that is gone what it should have done at its end.
  void bury(Thread& thread) noexcept;
  void wait_for_answers(uint32_t seen, bool briefly) noexcept;

  // Held through run(), and from stop() to resume(). [handshake.single]
  Lock turn_;

  // Written by the collector before it stores a thread's `requested` (release), read by the thread
  // after it has loaded that (acquire).
  Action action_ = nullptr;
  bool stopping_ = false;
  uint32_t sequence_ = 0;
  int64_t stop_began_ns_ = 0;  // the collector's own

  // Added to by every answer (release); the collector sleeps on it. Its value is only compared for
  // change.
  std::atomic<uint32_t> answers_{0};
  std::atomic<bool> collector_sleeps_{false};
  // The last stopping handshake that has been resumed: stored by resume() (release), waited for by
  // stopped threads (acquire).
  std::atomic<uint32_t> resumed_{0};

  // Statistics: relaxed.
  std::atomic<int64_t> longest_ns_{0};
  std::atomic<int64_t> total_ns_{0};
  std::atomic<int64_t> performed_{0};
  std::atomic<uint32_t> signals_{0};
};

extern Handshake g_handshake;

}  // namespace tricolor::runtime
