#pragma once

// TimeWatch: what runtime and collector tell those who draw where time goes. observe/ implements it.
//
// All of it is told when it is over, with its beginning. What one thread did lies one in the other
// or apart; an answer that the collector gives for a blocked thread lies within what that thread
// waits for.
//
// Threads: any, anywhere: in signal handlers, under locks, in a stop. Takes no lock and no memory.

#include <atomic>
#include <cstdint>

#include "runtime/os/os.h"

namespace tricolor::runtime {

enum class Timed : uint8_t {
  // On the thread that runs the cycle. Those with a handshake give its number.
  kCycle,      // number, whether it was forced
  kPrepare,    // what the last sweep left, and the hooks
  kEnter,      // H1 and H2
  kBarrierOn,  // H1: handshake
  kGoBlack,    // H2: handshake
  kMark,
  kTerminate,  // a round of H3: handshake, whether it was clean
  kStop,       // from the first answer's request until all go on
  kClear,
  kLeave,  // H4: handshake
  kSweep,  // pages
  // On any thread.
  kMarking,  // bytes scanned
  kAssist,   // bytes scanned
  kStall,
  kWaitForDead,
  kCollect,
  kAside,
  kStopped,
  kAnswer,    // handshake, when it was asked for
  kAllocate,  // bytes
  kDead,      // how many finalizers, cleanups and destructors
  // Moments.
  kTrigger,    // bytes of heap
  kSignal,     // to this thread
  kThreadEnd,  // the thread's name in 16 bytes
  kHeap,       // bytes alive, goal
};

class TimeWatch {
 public:
  // The calling thread did `what`. The figures are as said above.
  virtual void took(Timed what, int64_t begin_ns, int64_t end_ns, int64_t first,
                    int64_t second) noexcept = 0;
  // Thread `tid` answered, or was answered for.
  virtual void answered(int tid, uint32_t handshake, int64_t asked_ns, int64_t begin_ns,
                        int64_t end_ns) noexcept = 0;
  // The calling thread allocated on a path that may have been long.
  virtual void allocated(int64_t begin_ns, int64_t bytes) noexcept = 0;
  // The calling thread is about to leave the list.
  virtual void thread_ends() noexcept = 0;

  void happened(Timed what, int64_t first, int64_t second = 0) noexcept {
    const int64_t now = os::now_ns();
    took(what, now, now, first, second);
  }

 protected:
  ~TimeWatch() = default;
};

// nullptr: nobody watches. Relaxed: who is there is never destroyed, and constant-initialised.
inline constinit std::atomic<TimeWatch*> g_time_watch{nullptr};
inline TimeWatch* time_watch() noexcept { return g_time_watch.load(std::memory_order_relaxed); }

// Tells of the scope, if somebody watches as it begins.
class TimedScope {
 public:
  explicit TimedScope(Timed what) noexcept
      : watch_(time_watch()), what_(what), begin_ns_(watch_ != nullptr ? os::now_ns() : 0) {}
  ~TimedScope() {
    if (__builtin_expect(watch_ != nullptr, 0))
      watch_->took(what_, begin_ns_, os::now_ns(), first_, second_);
  }
  TimedScope(const TimedScope&) = delete;
  TimedScope& operator=(const TimedScope&) = delete;

  void set(int64_t first, int64_t second = 0) noexcept {
    first_ = first;
    second_ = second;
  }

 private:
  TimeWatch* const watch_;
  const Timed what_;
  const int64_t begin_ns_;
  int64_t first_ = 0;
  int64_t second_ = 0;
};

}  // namespace tricolor::runtime
