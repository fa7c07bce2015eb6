// The write barrier, inlined: store first, then test.
//
//     store(slot, target):  *slot = target
//                           (compiler-only order)
//                           if (self.marking) shade(target)
//
// Wherever a signal lands, either the test still lies ahead, or `target` is in a register or frame
// that the handshake scans. A thread's first store attaches it after the store: a thread that is
// not attached has no reference yet, for every way to one attaches it first (make, a root, a
// gc::atomic, a weak lock), so what it stores was null, or broke rule 3. What a store deletes needs
// no record: stacks stay grey and are scanned again at termination. ARCHITECTURE.md ("Barrier and
// handshakes") has the argument, tests/model/ the exhaustive check.
#pragma once

#include <tricolor/detail/thread_local.hpp>

namespace tricolor::gc::detail {

TRICOLOR_ALWAYS_INLINE void shade(const volatile void* target) noexcept {
  if (__builtin_expect(load_word(TRICOLOR_THIS_THREAD.marking), 0)) {
    shade_slow(const_cast<void*>(target));
  }
}

// Before a reference is read from where any thread may find one: what was read must be found on
// this thread's stack and in its registers. Only the thread itself changes tls.thread, so the
// compiler may test it once for many reads.
TRICOLOR_ALWAYS_INLINE void attach_before_load() noexcept {
  if (__builtin_expect(tls.thread == nullptr, 0)) attach_slow();
}

// Before a reference is read and written in one step: what was read must be found in this thread's
// registers.
TRICOLOR_ALWAYS_INLINE void attach_first() noexcept {
  if (__builtin_expect(load_word(TRICOLOR_THIS_THREAD.marking), 0) &&
      TRICOLOR_THIS_THREAD.thread == nullptr) {
    attach_slow();
  }
}

template <class T>
TRICOLOR_ALWAYS_INLINE void store_reference(T*& slot, T* target) noexcept {
  store_word(slot, target);
  shade(target);
}

#if TRICOLOR_CHECKS
// Reports a reference (`kind`: a gc::ptr or what else) constructed in memory that the collector
// does not trace (rule 2) and, for the rule-1 check, remembers that the word at `slot` is one.
TRICOLOR_API void check_reference_slot(const void* slot, const char* type,
                                       const char* kind = "gc::ptr") noexcept;
// Rule 2 once more at a store: what is constant-initialised is never constructed at run time.
TRICOLOR_API void check_reference_store(const void* slot, const char* type) noexcept;
#endif

}  // namespace tricolor::gc::detail
