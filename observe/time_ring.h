#pragma once

// TimeRing: what happened last, as it is told by threads in any place.
//
// [ring.newest]  a place is taken by counting, so that a full ring loses the oldest. Who finds its place still being
//                written to, by a thread that was held up for a whole round, loses its own. What is lost is counted.
// [ring.quiet]   take() waits until whoever found the ring on has left; who comes later finds it off. So what was
//                written stands still, and its memory can go.
//
// Threads: add(): any, in signal handlers too. The others: one at a time.

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "runtime/os/os.h"
#include "runtime/time_watch.h"

namespace tricolor::observe {

struct TimedEvent {
  int64_t begin_ns;
  int64_t end_ns;
  int64_t first;
  int64_t second;
  int tid;
  runtime::Timed what;
};

inline constexpr size_t kTimedEvents = size_t{1} << 17;

struct TimeSlot {
  enum class State : uint32_t { kFree, kBusy, kFilled };
  // Taken by an exchange to kBusy (acquire), given by a store of kFilled (release): whoever takes
  // it next finds it whole.
  std::atomic<State> state;
  TimedEvent event;
};

// What was recorded: its owner's.
class TimedEvents {
 public:
  TimedEvents() noexcept = default;
  TimedEvents(TimedEvents&& other) noexcept;
  TimedEvents& operator=(TimedEvents&&) = delete;
  ~TimedEvents();

  template <class Visit>
  void for_each(Visit visit) const {
    for (size_t i = 0; i < kTimedEvents && slots != nullptr; ++i) {
      if (slots[i].state.load(std::memory_order_acquire) == TimeSlot::State::kFilled)
        visit(slots[i].event);
    }
  }

  TimeSlot* slots = nullptr;
  uint64_t lost = 0;
  int64_t began_ns = 0;
  int64_t ended_ns = 0;
};

class TimeRing {
 public:
  // False: no memory.
  [[nodiscard]] bool start() noexcept;
  void add(const TimedEvent& event) noexcept;
  TimedEvents take() noexcept;
  // In the child of fork(): nobody else is there any more.
  void forget() noexcept;

 private:
  // on_ is stored, and read by add(), seq_cst, against inside_, which add() raises before it reads
  // and take() reads after it has stored. [ring.quiet]
  std::atomic<bool> on_{false};
  std::atomic<uint32_t> inside_{0};  // lowered by a release, which take() acquires
  // Relaxed: places and figures.
  std::atomic<uint64_t> taken_{0};
  std::atomic<uint64_t> collided_{0};
  // Written while off, read by those inside.
  TimeSlot* slots_ = nullptr;
  int64_t began_ns_ = 0;
};

}  // namespace tricolor::observe
