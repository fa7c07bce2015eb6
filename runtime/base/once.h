#pragma once

// Once: what is done once, by whoever comes first; if it throws, the next caller does it again.
//
// [once.restart]  the function runs until it has returned once. It may find what an earlier run has done, or what one
//                 that a fork() cut off has left half done, so it goes step by step and notes each step when it is
//                 over.
// A caller that the function itself leads back to (a std::new_handler that uses the heap) gets
// std::bad_alloc.
// Around fork(): take() waits for a run that is under way, and keeps others from it until
// give_back().
// Threads: any; not in a signal handler.

#include <atomic>
#include <cstdint>

namespace tricolor::runtime {

class Once {
 public:
  constexpr Once() noexcept = default;
  Once(const Once&) = delete;
  Once& operator=(const Once&) = delete;

  void run(void (*function)()) {
    if (__builtin_expect(state_.load(std::memory_order_acquire) != kDone, 0)) run_slow(function);
  }

  enum class Turn {
    kTaken,   // by this thread: others wait until give_back()
    kWithin,  // by this thread, earlier
    kDone,    // nothing to take: the function has returned
  };
  [[nodiscard]] Turn take() noexcept;
  // By who has got kTaken, also in the child of its fork().
  void give_back() noexcept { leave(kNever); }

 private:
  static constexpr uint32_t kNever = 0;
  static constexpr uint32_t kDone = UINT32_MAX;

  void run_slow(void (*function)());
  void leave(uint32_t state) noexcept;

  // kNever, the id of the process that is at it, or kDone: stored (release) as the function has
  // returned, loaded (acquire) by all who rely on it. Slept on by those who wait.
  std::atomic<uint32_t> state_{kNever};
  std::atomic<int> runner_{0};  // thread id; compared with their own by others (relaxed)
};

}  // namespace tricolor::runtime
