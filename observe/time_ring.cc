#include "observe/time_ring.h"

#include <utility>

namespace tricolor::observe {

namespace os = runtime::os;

namespace {
constexpr size_t kBytes = kTimedEvents * sizeof(TimeSlot);
}

TimedEvents::TimedEvents(TimedEvents&& other) noexcept
    : slots(std::exchange(other.slots, nullptr)),
      lost(other.lost),
      began_ns(other.began_ns),
      ended_ns(other.ended_ns) {}

TimedEvents::~TimedEvents() {
  if (slots != nullptr) os::unmap(slots, kBytes);
}

bool TimeRing::start() noexcept {
  // Zero-filled: every slot is free.
  slots_ = static_cast<TimeSlot*>(os::map(kBytes));
  if (slots_ == nullptr) return false;
  taken_.store(0, std::memory_order_relaxed);
  collided_.store(0, std::memory_order_relaxed);
  began_ns_ = os::now_ns();
  on_.store(true, std::memory_order_seq_cst);
  return true;
}

// [ring.newest] What began before is not in it.
void TimeRing::add(const TimedEvent& event) noexcept {
  inside_.fetch_add(1, std::memory_order_seq_cst);
  if (on_.load(std::memory_order_seq_cst) && event.begin_ns >= began_ns_) {
    const uint64_t at = taken_.fetch_add(1, std::memory_order_relaxed);
    TimeSlot& slot = slots_[at % kTimedEvents];
    if (slot.state.exchange(TimeSlot::State::kBusy, std::memory_order_acquire) ==
        TimeSlot::State::kBusy) {
      collided_.fetch_add(1, std::memory_order_relaxed);
    } else {
      slot.event = event;
      slot.state.store(TimeSlot::State::kFilled, std::memory_order_release);
    }
  }
  inside_.fetch_sub(1, std::memory_order_release);
}

// [ring.quiet] Nobody waits for anything inside.
TimedEvents TimeRing::take() noexcept {
  on_.store(false, std::memory_order_seq_cst);
  while (inside_.load(std::memory_order_seq_cst) != 0) os::yield();
  TimedEvents events;
  events.slots = std::exchange(slots_, nullptr);
  const uint64_t taken = taken_.load(std::memory_order_relaxed);
  events.lost =
      (taken > kTimedEvents ? taken - kTimedEvents : 0) + collided_.load(std::memory_order_relaxed);
  events.began_ns = began_ns_;
  events.ended_ns = os::now_ns();
  return events;
}

void TimeRing::forget() noexcept {
  on_.store(false, std::memory_order_relaxed);
  inside_.store(0, std::memory_order_relaxed);
  if (slots_ != nullptr) os::unmap(std::exchange(slots_, nullptr), kBytes);
}

}  // namespace tricolor::observe
