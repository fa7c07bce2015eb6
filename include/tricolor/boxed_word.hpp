// gc::write_barrier and gc::boxed_word: references under a tag, for language runtimes.
#pragma once

#include <cstdint>

#include <tricolor/detail/barrier.hpp>

namespace tricolor::gc {

namespace detail {
// Whether objects and stacks are scanned for words that hold a reference in their low 48 bits. Set
// once, before the first such word is stored.
extern TRICOLOR_API constinit bool boxed_words;
TRICOLOR_API void announce_boxed_words() noexcept;
}  // namespace detail

// The write barrier by itself: to be called after a word that refers to `target` has been stored in
// a collected object by other means than a gc::ptr. The word must lead the collector to the object:
// be an address inside it (one with a tag in its low four bits is: cells are 16 bytes or more), or
// lie in a boxed_word. nullptr is allowed. With `word`, where it was stored, the checking build
// knows that word for a reference; it reports others as raw ones. Any thread; attaches it.
TRICOLOR_ALWAYS_INLINE void write_barrier(const void* target,
                                          [[maybe_unused]] const void* word = nullptr) noexcept {
  asm volatile("" : : : "memory");  // the store comes first: see detail/barrier.hpp
  detail::shade(target);
#if TRICOLOR_CHECKS
  if (word != nullptr) detail::check_reference_slot(word, "void", "word that refers to");
#endif
}

// A 64-bit word in a collected object or on a stack, which is scanned by its low 48 bits, whatever
// the 16 above them hold: for NaN boxing of either polarity. From the first one in a program on,
// all scanned words are read this way, so that a number whose low bits look like an address keeps
// an object alive more often. Trivially destructible. Threads: as a gc::ptr.
class boxed_word {
 public:
  static constexpr std::uint64_t kAddressMask = (std::uint64_t{1} << 48) - 1;

  constexpr boxed_word() noexcept = default;
  // Bits that hold no reference.
  explicit boxed_word(std::uint64_t bits) noexcept { set(bits, nullptr); }
  boxed_word(std::uint64_t bits, const void* target) noexcept { set(bits, target); }
  boxed_word(const boxed_word& other) noexcept { copy(other.bits()); }
  boxed_word& operator=(const boxed_word& other) noexcept {
    copy(other.bits());
    return *this;
  }

  std::uint64_t bits() const noexcept { return bits_; }
  // `target`: the object that the low 48 bits refer to, or nullptr where they are a number.
  void set(std::uint64_t bits, const void* target) noexcept {
    if (target == nullptr) {
      detail::store_word(bits_, bits);
      return;
    }
    if (__builtin_expect(!detail::load_word(detail::boxed_words), 0)) {
      detail::announce_boxed_words();
    }
    store(bits, target);
  }
  friend bool operator==(const boxed_word& a, const boxed_word& b) noexcept {
    return a.bits() == b.bits();
  }

 private:
  void store(std::uint64_t bits, const void* target) noexcept {
#if TRICOLOR_CHECKS
    detail::check_reference_slot(&bits_, "void", "gc::boxed_word");
#endif
    detail::store_word(bits_, bits);
    detail::shade(target);
  }
  // What the bits are is not known; a number is shaded as the scan would take it.
  void copy(std::uint64_t bits) noexcept {
    store(bits,
          reinterpret_cast<const void*>(bits & kAddressMask));  // NOLINT(performance-no-int-to-ptr)
  }

  std::uint64_t bits_ = 0;
};

}  // namespace tricolor::gc
