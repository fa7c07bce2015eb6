#include "runtime/base/once.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <climits>
#include <new>

#include "runtime/base/lock.h"

namespace tricolor::runtime {

void Once::leave(uint32_t state) noexcept {
  runner_.store(0, std::memory_order_relaxed);
  state_.store(state, std::memory_order_release);
  futex::wake(&state_, INT_MAX);
}

Once::Turn Once::take() noexcept {
  const auto process = static_cast<uint32_t>(::getpid());
  const auto self = static_cast<int>(::syscall(SYS_gettid));
  for (uint32_t state = state_.load(std::memory_order_acquire);;) {
    if (state == kDone) return Turn::kDone;
    if (state == process) {
      if (runner_.load(std::memory_order_relaxed) == self) return Turn::kWithin;
      futex::wait(&state_, state);
      state = state_.load(std::memory_order_acquire);
      continue;
    }
    // Nobody is at it, or a thread of the process that this one is a fork of.
    if (state_.compare_exchange_strong(state, process, std::memory_order_acquire)) break;
  }
  runner_.store(self, std::memory_order_relaxed);
  return Turn::kTaken;
}

void Once::run_slow(void (*function)()) {
  switch (take()) {
    case Turn::kDone:
      return;
    case Turn::kWithin:
      throw std::bad_alloc();
    case Turn::kTaken:
      break;
  }
  try {
    function();  // [once.restart]
  } catch (...) {
    leave(kNever);
    throw;
  }
  leave(kDone);
}

}  // namespace tricolor::runtime
