#include "runtime/base/lock.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <climits>

#include "runtime/base/bits.h"
#include "runtime/base/check.h"

namespace tricolor::runtime {
namespace {

constexpr int kSpins = 50;
constexpr int64_t kSecond = 1'000'000'000;

inline void pause() noexcept {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("isb" ::: "memory");
#endif
}

int64_t monotonic_ns() noexcept {
  timespec now;
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return int64_t{now.tv_sec} * kSecond + now.tv_nsec;
}

long futex_call(std::atomic<uint32_t>* word, int operation, uint32_t value,
                const timespec* timeout) noexcept {
  return ::syscall(SYS_futex, reinterpret_cast<uint32_t*>(word), operation | FUTEX_PRIVATE_FLAG,
                   value, timeout, nullptr, 0);
}

// What the calling thread holds, for [lock.rank]. Plain integers with static storage, so that the
// first touch in a signal handler allocates nothing.
struct HeldRanks {
  uint64_t mask = 0;
  uint8_t count[64] = {};
};
[[gnu::tls_model("initial-exec")]] constinit thread_local HeldRanks held;

}  // namespace

namespace futex {

bool wait(std::atomic<uint32_t>* word, uint32_t expected, int64_t timeout_ns) noexcept {
  const int saved_errno = errno;
  timespec timeout{};
  if (timeout_ns >= 0) {
    timeout.tv_sec = static_cast<time_t>(timeout_ns / kSecond);
    timeout.tv_nsec = static_cast<long>(timeout_ns % kSecond);
  }
  const long result = futex_call(word, FUTEX_WAIT, expected, timeout_ns >= 0 ? &timeout : nullptr);
  const bool timed_out = result != 0 && errno == ETIMEDOUT;
  errno = saved_errno;
  return !timed_out;
}

int wake(std::atomic<uint32_t>* word, int count) noexcept {
  const int saved_errno = errno;
  const long woken = futex_call(word, FUTEX_WAKE, static_cast<uint32_t>(count), nullptr);
  errno = saved_errno;
  return woken < 0 ? 0 : static_cast<int>(woken);
}

}  // namespace futex

void Lock::lock_slow() noexcept {
  for (int i = 0; i < kSpins; ++i) {
    pause();
    if ((word_.load(std::memory_order_relaxed) & kHeld) == 0 &&
        (word_.fetch_or(kHeld, std::memory_order_acquire) & kHeld) == 0) {
      return;
    }
  }
  // Whoever has slept acquires with kSleepers set, for it cannot know whether others still sleep:
  // at worst the next unlock() wakes nobody.
  for (;;) {
    const uint32_t before = word_.fetch_or(kHeld | kSleepers, std::memory_order_acquire);
    if ((before & kHeld) == 0) return;
    futex::wait(&word_, before | kHeld | kSleepers);
  }
}

void Lock::check_order() const noexcept {
  const auto rank = static_cast<unsigned>(this->rank());
  if (rank == 0) return;
  TC_CHECK(
      (held.mask >> rank) == 0,
      "lock %p of rank %u is acquired while rank %u is held; the order is in lock.h [lock.rank]",
      static_cast<const void*>(this), rank, highest_bit(held.mask));
}

void Lock::note_acquired() const noexcept {
  const auto rank = static_cast<unsigned>(this->rank());
  if (rank == 0) return;
  TC_CHECK(rank < 64, "lock %p has rank %u, the highest is 63", static_cast<const void*>(this),
           rank);
  ++held.count[rank];
  held.mask |= uint64_t{1} << rank;
}

void Lock::note_released() const noexcept {
  TC_CHECK(is_held(), "lock %p is released, but nobody holds it", static_cast<const void*>(this));
  const auto rank = static_cast<unsigned>(this->rank());
  if (rank == 0) return;
  TC_CHECK(held.count[rank] != 0,
           "lock %p of rank %u is released by a thread that does not hold it",
           static_cast<const void*>(this), rank);
  if (--held.count[rank] == 0) held.mask &= ~(uint64_t{1} << rank);
}

void Event::set() noexcept {
  if (state_.exchange(kSet, std::memory_order_release) == kSleepers) futex::wake(&state_, 1);
}

bool Event::wait(int64_t timeout_ns) noexcept {
  const int64_t deadline =
      timeout_ns < 0 || timeout_ns > INT64_MAX / 2 ? -1 : monotonic_ns() + timeout_ns;
  // Whoever has slept leaves kSleepers behind: others may sleep on the same event.
  uint32_t leave_behind = kClear;
  for (;;) {
    uint32_t state = kSet;
    if (state_.compare_exchange_strong(state, leave_behind, std::memory_order_acquire,
                                       std::memory_order_relaxed)) {
      return true;
    }
    if (timeout_ns == 0) return false;
    if (state == kClear &&
        !state_.compare_exchange_strong(state, kSleepers, std::memory_order_relaxed,
                                        std::memory_order_relaxed)) {
      continue;
    }
    leave_behind = kSleepers;
    int64_t remaining = -1;
    if (deadline >= 0) {
      remaining = deadline - monotonic_ns();
      if (remaining <= 0) return false;
    }
    futex::wait(&state_, kSleepers, remaining);
  }
}

}  // namespace tricolor::runtime
