// References that were written into collected memory without the write barrier: copies of what a
// program passes in, raw pointers included.
#pragma once

#include <cstddef>

#include <tricolor/detail/barrier.hpp>
#include <tricolor/detail/config.hpp>

namespace tricolor::sync::detail {

TRICOLOR_API void shade_words(const void* from, const void* to) noexcept;

// After the stores, as the barrier (detail/barrier.hpp): the test comes last.
template <class T>
TRICOLOR_ALWAYS_INLINE void shade_raw_words(const T* object) noexcept {
  asm volatile("" : : : "memory");
  if (__builtin_expect(gc::detail::load_word(TRICOLOR_THIS_THREAD.marking), 0)) {
    shade_words(object, object + 1);
  }
}

// For memory whose words may be references by what they are for, the captures of a function: the
// checking build takes them for such.
template <class T>
void count_words_as_references([[maybe_unused]] const T* object) noexcept {
#if TRICOLOR_CHECKS
  const auto* const from = reinterpret_cast<const void* const*>(object);
  for (std::size_t i = 0; i < sizeof(T) / sizeof(void*); ++i) {
    gc::detail::check_reference_slot(from + i, "what a function keeps");
  }
#endif
}

}  // namespace tricolor::sync::detail
