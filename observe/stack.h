#pragma once

// Stacks: the return addresses of a thread, by the unwind tables that every compiler writes.
//
// Nothing here allocates, locks, or waits for the loader: since glibc 2.35 the unwinder finds its
// tables without a lock, also in a signal handler. An older one asks the loader, so that no stack
// is taken in a handler there
// (kStacksInHandlers), nor in a runtime section anywhere.
// Threads: the calling thread's own stack.

#include <features.h>

#include <array>
#include <cstddef>
#include <cstdint>

namespace tricolor::observe {

#if defined(__GLIBC__) && __GLIBC_PREREQ(2, 35)
inline constexpr bool kStacksInHandlers = true;
#else
inline constexpr bool kStacksInHandlers = false;
#endif

inline constexpr size_t kMostFrames = 64;

struct Stack {
  uint32_t depth = 0;
  // Of each frame, innermost first, an address inside the call (or the interrupted instruction).
  std::array<uintptr_t, kMostFrames> frames;
  // The innermost frame's own bounds: gone when the stack pointer has passed it.
  uintptr_t first_frame_end = 0;

  const uintptr_t* begin() const noexcept { return frames.data(); }
  const uintptr_t* end() const noexcept { return frames.data() + depth; }
};

// From the first caller outwards that is not the allocator's (TRICOLOR_ALLOCATOR).
void take_stack(Stack& out) noexcept;

// In a signal handler: what the signal interrupted.
void take_interrupted_stack(Stack& out, const void* ucontext) noexcept;

}  // namespace tricolor::observe
