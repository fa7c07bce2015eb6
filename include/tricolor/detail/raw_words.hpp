// References that were written into collected memory without the write barrier: copies of what a
// program passes in, raw pointers included.
#pragma once

#include <tricolor/detail/barrier.hpp>
#include <tricolor/detail/config.hpp>

namespace tricolor::sync::detail {

TRICOLOR_API void shade_words(const void* from, const void* to) noexcept;

// After the stores, as the barrier (detail/barrier.hpp): the test comes last.
template <class T>
TRICOLOR_ALWAYS_INLINE void shade_raw_words(const T* object) noexcept {
  asm volatile("" : : : "memory");
  if (__builtin_expect(gc::detail::load_word(gc::detail::this_thread().marking), 0)) {
    shade_words(object, object + 1);
  }
}

}  // namespace tricolor::sync::detail
