// What the inlined paths know of the calling thread: the cells it may allocate from and whether its
// barrier is on.
//
// Only the owning thread touches its CacheEntry fields, except the collector, which reads `free` of
// a thread that is blocked or has answered a handshake; a signal may interrupt the owner anywhere.
// All accesses are therefore single word moves (relaxed atomics), never read-modify-write
// instructions.
//
// [alloc.address-first]  a cell's address is complete in a register before `free` gives the cell up: a signal then sees
//                        the cell as still free (and pre-marks it), or finds its address when it scans the registers.
#pragma once

#include <cstddef>
#include <cstdint>

#include <tricolor/detail/config.hpp>
#include <tricolor/detail/size_class.hpp>

namespace tricolor::runtime {
class Thread;
}

namespace tricolor::gc::detail {

// Up to 64 cells of one span that only this thread may hand out. Bit i of `free`: the cell at base
// + i * size.
struct CacheEntry {
  std::uint64_t free;
  char* base;
};

struct ThreadLocal {
  CacheEntry*
      cache;  // kCacheEntries of them; a table without free cells until the thread is attached
  runtime::Thread* thread;  // nullptr until attached
  // The barrier must look closer: a cycle marks, or the thread is not attached yet. Written in a
  // handshake of this thread, by itself or by the collector while it is blocked.
  bool marking;
};

// initial-exec: one load through the thread register, in the shared library too.
extern TRICOLOR_API constinit thread_local ThreadLocal tls
    __attribute__((tls_model("initial-exec")));

// The calling thread's, found anew at each call. A fiber may go on on another thread after a
// switch, and a compiler that knows nothing of switches keeps the thread pointer in a register
// across one where reading it is an instruction of its own (AArch64). The offset from it is the
// same for all threads and may be kept. On x86-64 every access goes through %fs as it is then; not
// so with -mno-tls-direct-seg-refs, which is no option for programs whose fibers change threads.
#if defined(__aarch64__)
TRICOLOR_ALWAYS_INLINE char* thread_pointer() noexcept {
  char* pointer;
  asm volatile("mrs %0, tpidr_el0" : "=r"(pointer));
  return pointer;
}
TRICOLOR_ALWAYS_INLINE ThreadLocal& this_thread() noexcept {
  std::size_t offset;
  asm("adrp %0, :gottprel:_ZN8tricolor2gc6detail3tlsE\n\t"
      "ldr %0, [%0, :gottprel_lo12:_ZN8tricolor2gc6detail3tlsE]"
      : "=r"(offset));
  return *reinterpret_cast<ThreadLocal*>(thread_pointer() + offset);
}
#define TRICOLOR_THIS_THREAD (::tricolor::gc::detail::this_thread())
#else
// By its name: for a reference to it UBSan tests the flags of an addition that the linker turns
// into one that sets none.
#define TRICOLOR_THIS_THREAD (::tricolor::gc::detail::tls)
#endif

// Single-word accesses that a signal or the collector may observe half way through a sequence.
// Volatile keeps their order among themselves, which is all a signal needs; ThreadSanitizer is
// shown the atomics.
template <class T>
TRICOLOR_ALWAYS_INLINE T load_word(const T& word) noexcept {
#if TRICOLOR_TSAN
  return __atomic_load_n(&word, __ATOMIC_RELAXED);
#else
  return *const_cast<const volatile T*>(&word);
#endif
}

template <class T>
TRICOLOR_ALWAYS_INLINE void store_word(T& word, T value) noexcept {
#if TRICOLOR_TSAN
  __atomic_store_n(&word, value, __ATOMIC_RELAXED);
#else
  *const_cast<volatile T*>(&word) = value;
#endif
}

// Reads what the collector stores when it attaches a thread (Thread::attach_other, a release): what
// the pointer leads to was written before. Processors keep the order of dependent loads; it is
// ThreadSanitizer that is told. A macro for the same reason as the above.
#if TRICOLOR_TSAN
#define TRICOLOR_LOAD_PUBLISHED(word) __atomic_load_n(&(word), __ATOMIC_ACQUIRE)
#else
#define TRICOLOR_LOAD_PUBLISHED(word) (word)
#endif

struct TypeInfo;  // detail/layout.hpp

// Slow paths. Each enters the runtime, may answer a pending handshake on its way out and may attach
// the thread. `type` is for observers; nullptr where nobody knows it.
[[nodiscard]] TRICOLOR_API void* allocate_slow(unsigned cache_index,
                                               const TypeInfo* type);  // zeroed by the caller
[[nodiscard]] TRICOLOR_API void* allocate_large(std::size_t size, Kind kind,
                                                const TypeInfo* type);  // zeroed
[[nodiscard]] TRICOLOR_API void* allocate_large_for_overwrite(std::size_t size, Kind kind,
                                                              const TypeInfo* type);  // of leaves
TRICOLOR_API void shade_slow(void* target) noexcept;  // nullptr allowed
TRICOLOR_API void attach_slow() noexcept;

// One cell of `Size` bytes (a class size), uninitialised. The asm keeps the compiler from sinking
// the addition below the store to `free`: [alloc.address-first].
template <unsigned Index, std::size_t Size>
TRICOLOR_ALWAYS_INLINE void* allocate_cell(const TypeInfo* type) {
  CacheEntry& entry = TRICOLOR_LOAD_PUBLISHED(TRICOLOR_THIS_THREAD.cache)[Index];
  const std::uint64_t free = load_word(entry.free);
  if (__builtin_expect(free == 0, 0)) return allocate_slow(Index, type);
  char* cell = load_word(entry.base) + static_cast<std::size_t>(__builtin_ctzll(free)) * Size;
  asm volatile("" : "+r"(cell));
  store_word(entry.free, free & (free - 1));
  return cell;
}

}  // namespace tricolor::gc::detail
