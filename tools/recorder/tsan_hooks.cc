// The functions that a compiler calls when it was told -fsanitize=thread, in place of
// ThreadSanitizer's own runtime: what is written is recorded, what is read is not.
//
// Atomic operations are done here, all of them sequentially consistent, which is at least as strong
// as what was asked for.

#include <cstddef>
#include <cstdint>

#include "tools/recorder/watch_stores.h"

#define TRICOLOR_HOOK extern "C" __attribute__((visibility("default")))

using tools::recorder::did_write;
using tools::recorder::will_write;

TRICOLOR_HOOK void __tsan_init() {}
TRICOLOR_HOOK void __tsan_func_entry(void*) {
  tools::recorder::function_entered(__builtin_frame_address(0));
}
TRICOLOR_HOOK void __tsan_func_exit() { tools::recorder::function_left(); }
TRICOLOR_HOOK void __tsan_vptr_read(void**) {}
TRICOLOR_HOOK void __tsan_vptr_update(void**, void*) {}
TRICOLOR_HOOK void __tsan_read_range(void*, size_t) {}
TRICOLOR_HOOK void __tsan_write_range(void* address, size_t bytes) { will_write(address, bytes); }

#define TRICOLOR_ACCESS(bytes)                                                                    \
  TRICOLOR_HOOK void __tsan_read##bytes(void*) {}                                                 \
  TRICOLOR_HOOK void __tsan_unaligned_read##bytes(void*) {}                                       \
  TRICOLOR_HOOK void __tsan_volatile_read##bytes(void*) {}                                        \
  TRICOLOR_HOOK void __tsan_unaligned_volatile_read##bytes(void*) {}                              \
  TRICOLOR_HOOK void __tsan_write##bytes(void* address) { will_write(address, bytes); }           \
  TRICOLOR_HOOK void __tsan_unaligned_write##bytes(void* address) { will_write(address, bytes); } \
  TRICOLOR_HOOK void __tsan_volatile_write##bytes(void* address) { will_write(address, bytes); }  \
  TRICOLOR_HOOK void __tsan_unaligned_volatile_write##bytes(void* address) {                      \
    will_write(address, bytes);                                                                   \
  }                                                                                               \
  TRICOLOR_HOOK void __tsan_read_write##bytes(void* address) { will_write(address, bytes); }      \
  TRICOLOR_HOOK void __tsan_unaligned_read_write##bytes(void* address) {                          \
    will_write(address, bytes);                                                                   \
  }

TRICOLOR_ACCESS(1)
TRICOLOR_ACCESS(2)
TRICOLOR_ACCESS(4)
TRICOLOR_ACCESS(8)
TRICOLOR_ACCESS(16)

#define TRICOLOR_FETCH(bits, name, function)                                              \
  TRICOLOR_HOOK Atomic##bits __tsan_atomic##bits##_##name(volatile Atomic##bits* address, \
                                                          Atomic##bits value, int) {      \
    const Atomic##bits before = function(address, value, __ATOMIC_SEQ_CST);               \
    did_write(const_cast<Atomic##bits*>(address), sizeof value);                          \
    return before;                                                                        \
  }

#define TRICOLOR_ATOMIC(bits, type)                                                                \
  using Atomic##bits = type;                                                                       \
  TRICOLOR_HOOK type __tsan_atomic##bits##_load(const volatile type* address, int) {               \
    return __atomic_load_n(address, __ATOMIC_SEQ_CST);                                             \
  }                                                                                                \
  TRICOLOR_HOOK void __tsan_atomic##bits##_store(volatile type* address, type value, int) {        \
    __atomic_store_n(address, value, __ATOMIC_SEQ_CST);                                            \
    did_write(const_cast<type*>(address), sizeof value);                                           \
  }                                                                                                \
  TRICOLOR_FETCH(bits, exchange, __atomic_exchange_n)                                              \
  TRICOLOR_FETCH(bits, fetch_add, __atomic_fetch_add)                                              \
  TRICOLOR_FETCH(bits, fetch_sub, __atomic_fetch_sub)                                              \
  TRICOLOR_FETCH(bits, fetch_and, __atomic_fetch_and)                                              \
  TRICOLOR_FETCH(bits, fetch_or, __atomic_fetch_or)                                                \
  TRICOLOR_FETCH(bits, fetch_xor, __atomic_fetch_xor)                                              \
  TRICOLOR_FETCH(bits, fetch_nand, __atomic_fetch_nand)                                            \
  TRICOLOR_HOOK bool __tsan_atomic##bits##_compare_exchange_strong(                                \
      volatile type* address, type* expected, type value, int, int) {                              \
    const bool done = __atomic_compare_exchange_n(address, expected, value, false,                 \
                                                  __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);             \
    if (done) did_write(const_cast<type*>(address), sizeof value);                                 \
    return done;                                                                                   \
  }                                                                                                \
  TRICOLOR_HOOK bool __tsan_atomic##bits##_compare_exchange_weak(                                  \
      volatile type* address, type* expected, type value, int first, int second) {                 \
    return __tsan_atomic##bits##_compare_exchange_strong(address, expected, value, first, second); \
  }                                                                                                \
  TRICOLOR_HOOK type __tsan_atomic##bits##_compare_exchange_val(                                   \
      volatile type* address, type expected, type value, int first, int second) {                  \
    __tsan_atomic##bits##_compare_exchange_strong(address, &expected, value, first, second);       \
    return expected;                                                                               \
  }

TRICOLOR_ATOMIC(8, uint8_t)
TRICOLOR_ATOMIC(16, uint16_t)
TRICOLOR_ATOMIC(32, uint32_t)
TRICOLOR_ATOMIC(64, uint64_t)

TRICOLOR_HOOK void __tsan_atomic_thread_fence(int) { __atomic_thread_fence(__ATOMIC_SEQ_CST); }
TRICOLOR_HOOK void __tsan_atomic_signal_fence(int) { __atomic_signal_fence(__ATOMIC_SEQ_CST); }
