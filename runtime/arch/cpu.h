#pragma once

// What only the processor can do: spill the registers a caller may keep references in, and wait
// politely.
//
// A function call saves every caller-saved register (all vector registers among them) that is live,
// by the calling convention; what is left is the callee-saved set, which a Registers object copies
// into memory where the stack scan finds it. A signal handler needs none of this: the kernel has
// put every register, vector registers included, on the interrupted stack.

#include <cstdint>

namespace tricolor::runtime::arch {

#if defined(__x86_64__)

struct Registers {
  uintptr_t words[6];
};

__attribute__((always_inline)) inline void spill_registers(Registers& out) noexcept {
  asm volatile(
      "movq %%rbx, 0(%0)\n\t"
      "movq %%rbp, 8(%0)\n\t"
      "movq %%r12, 16(%0)\n\t"
      "movq %%r13, 24(%0)\n\t"
      "movq %%r14, 32(%0)\n\t"
      "movq %%r15, 40(%0)\n\t"
      :
      : "r"(out.words)
      : "memory");
}

inline void pause() noexcept { __builtin_ia32_pause(); }

// Other processors see the stores before it no later than those behind it.
__attribute__((always_inline)) inline void order_stores() noexcept {
  asm volatile("" ::: "memory");
}

// Where the system keeps what belongs to the calling thread, and the word there that leads to the
// table of the thread's dynamic thread-local storage.
inline char* thread_pointer() noexcept {
  char* pointer;
  asm volatile("movq %%fs:0, %0" : "=r"(pointer));
  return pointer;
}
inline constexpr int kThreadTableWord = 1;

#elif defined(__aarch64__)

struct Registers {
  uintptr_t words[20];
};

__attribute__((always_inline)) inline void spill_registers(Registers& out) noexcept {
  asm volatile(
      "stp x19, x20, [%0, #0]\n\t"
      "stp x21, x22, [%0, #16]\n\t"
      "stp x23, x24, [%0, #32]\n\t"
      "stp x25, x26, [%0, #48]\n\t"
      "stp x27, x28, [%0, #64]\n\t"
      "stp x29, x30, [%0, #80]\n\t"
      "stp d8, d9, [%0, #96]\n\t"
      "stp d10, d11, [%0, #112]\n\t"
      "stp d12, d13, [%0, #128]\n\t"
      "stp d14, d15, [%0, #144]\n\t"
      :
      : "r"(out.words)
      : "memory");
}

inline void pause() noexcept { asm volatile("isb" ::: "memory"); }

__attribute__((always_inline)) inline void order_stores() noexcept {
  asm volatile("dmb ishst" ::: "memory");
}

inline char* thread_pointer() noexcept {
  char* pointer;
  asm volatile("mrs %0, tpidr_el0" : "=r"(pointer));
  return pointer;
}
inline constexpr int kThreadTableWord = 0;

#endif

// Stores before it become visible before stores after it, to readers that follow an address
// dependency.
inline void publish_fence() noexcept {
#if defined(__aarch64__)
  asm volatile("dmb ish" ::: "memory");
#else
  asm volatile("" ::: "memory");
#endif
}

// The stack pointer: everything the calling function and its callers keep on the stack lies above.
__attribute__((always_inline)) inline char* stack_pointer() noexcept {
  char* sp;
#if defined(__aarch64__)
  asm volatile("mov %0, sp" : "=r"(sp));
#else
  asm volatile("mov %%rsp, %0" : "=r"(sp));
#endif
  return sp;
}

}  // namespace tricolor::runtime::arch
