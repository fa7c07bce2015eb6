#pragma once

// Words that hold a reference in their low 48 bits (gc::boxed_word).
//
// [boxed.announced]  detail::boxed_words is set before the first such word is stored. A thread that stores one with its
//                    barrier off has yet to answer H1 and H2, so marking begins after it has seen the flag set; one
//                    with the barrier on shades the target. Either way nothing is lost that a scan with the flag unset
//                    did not see. So the flag is relaxed, and a marker may read it once for many objects.
// Threads: any.

#include <cstdint>

#include <tricolor/boxed_word.hpp>

namespace tricolor::gc {

inline bool boxed_words_in_use() noexcept {
  return __atomic_load_n(&detail::boxed_words, __ATOMIC_RELAXED);  // set by announce_boxed_words()
}

// The address that a scanned word stands for.
inline uintptr_t referred_address(uintptr_t word, bool boxed) noexcept {
  return boxed ? word & boxed_word::kAddressMask : word;
}

}  // namespace tricolor::gc
