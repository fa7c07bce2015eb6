// A coroutine on a stack of its own (makecontext), registered with the runtime or not.
//
// Threads: resume() from one thread at a time. The body must return or be left suspended for good.
#pragma once

#include <sys/mman.h>
#include <ucontext.h>

#include <functional>
#include <new>

#include "tests/support.hpp"

#if TRICOLOR_TSAN
#include <sanitizer/tsan_interface.h>
#endif

namespace tricolor::tests {

class Fiber {
 public:
  static constexpr std::size_t kStackSize = 256 * 1024;

  explicit Fiber(std::function<void(Fiber&)> body, bool registered = true)
      : body_(std::move(body)), registered_(registered) {
    void* const memory = mmap(nullptr, kStackSize, PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) throw std::bad_alloc();
    stack_ = static_cast<char*>(memory);
    if (registered_) runtime::register_stack(stack_, stack_ + kStackSize);
    getcontext(&start_);
    start_.uc_stack.ss_sp = stack_;
    start_.uc_stack.ss_size = kStackSize;
    start_.uc_link = nullptr;
    const auto self = reinterpret_cast<std::uintptr_t>(this);
    makecontext(&start_, reinterpret_cast<void (*)()>(&Fiber::entry), 2,
                static_cast<unsigned>(self >> 32), static_cast<unsigned>(self));
#if TRICOLOR_TSAN
    tsan_inside_ = __tsan_create_fiber(0);
#endif
  }
  ~Fiber() {
    if (registered_) runtime::unregister_stack(stack_);
    munmap(stack_, kStackSize);
#if TRICOLOR_TSAN
    __tsan_destroy_fiber(tsan_inside_);
#endif
  }
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  // Runs the body until it suspends or returns. True while there is more to come.
  bool resume() {
#if TRICOLOR_TSAN
    tsan_outside_ = __tsan_get_current_fiber();
    __tsan_switch_to_fiber(tsan_inside_, 0);
#endif
    ucontext_t here;
    outside_ = &here;
    swapcontext(&here, inside_);
    return !done_;
  }

  // From inside the body: back to the caller of resume().
  void suspend() {
#if TRICOLOR_TSAN
    __tsan_switch_to_fiber(tsan_outside_, 0);
#endif
    ucontext_t here;
    inside_ = &here;
    swapcontext(&here, outside_);
  }

  char* stack() const noexcept { return stack_; }

 private:
  static void entry(unsigned high, unsigned low) {
    Fiber* const self = reinterpret_cast<Fiber*>((std::uintptr_t{high} << 32) | low);
    self->body_(*self);
    self->done_ = true;
    for (;;) self->suspend();
  }

  std::function<void(Fiber&)> body_;
  bool registered_;
  bool done_ = false;
  char* stack_ = nullptr;
  // A context holds the registers of a side that waits, and they may hold references: it lies on
  // that side's stack, where the collector sees them.
  ucontext_t start_{};
  ucontext_t* inside_ = &start_;
  ucontext_t* outside_ = nullptr;
#if TRICOLOR_TSAN
  void* tsan_inside_ = nullptr;
  void* tsan_outside_ = nullptr;
#endif
};

}  // namespace tricolor::tests
