#include "pool/poison.h"

#if TRICOLOR_CHECKS

#include <algorithm>
#include <new>

#include "runtime/heap/heap_map.h"

#include <tricolor/detail/raw_words.hpp>
#include <tricolor/make.hpp>
#include <tricolor/ptr.hpp>

namespace tricolor::sync::detail {

namespace {

using gc::detail::load_word;
using gc::detail::store_word;
using runtime::Cell;
using runtime::g_heap;

constexpr uint64_t kPattern = 0xd5d5d5d5d5d5d5d5;
constexpr std::size_t kMost = 65536;  // of a larger object the beginning

uint64_t* words_of(void* object) noexcept { return static_cast<uint64_t*>(object); }

uint64_t sum_of(void* object, std::size_t bytes) noexcept {
  uint64_t sum = bytes;
  for (std::size_t i = 0; i < bytes / 8; ++i) {
    sum = (sum ^ load_word(words_of(object)[i])) * 0x9e3779b97f4a7c15;
    sum ^= sum >> 29;
  }
  return sum;
}

void overwrite(void* object, std::size_t from, std::size_t bytes) noexcept {
  for (std::size_t i = from; i < bytes / 8; ++i) store_word(words_of(object)[i], kPattern);
}

void set_aside_leaf(void* object, Poison& p) {
  for (std::size_t i = 0; i < p.bytes / 8; ++i) {
    p.inverted.push_back(~load_word(words_of(object)[i]));
  }
  overwrite(object, 0, p.bytes);
  p.how = Poison::How::kLeaf;
}

void set_aside_references(void* object, Poison& p) {
  gc::ptr<void>* const array = gc::make_array<gc::ptr<void>>(p.bytes / 8);
  auto* const words = reinterpret_cast<uint64_t*>(array);
  for (std::size_t i = 0; i < p.bytes / 8; ++i) {
    store_word(words[i], load_word(words_of(object)[i]));
  }
  shade_words(words, words + p.bytes / 8);
  void*& first = *static_cast<void**>(object);
  gc::detail::check_reference_slot(&first, "what a pooled object holds");
  gc::detail::store_reference(first, static_cast<void*>(array));
  overwrite(object, 1, p.bytes);
  p.inverted_array = ~reinterpret_cast<uintptr_t>(array);
  p.how = Poison::How::kReferences;
}

}  // namespace

Poison poison(void* object) noexcept {
  Poison p;
  const Cell cell = g_heap.find_allocated(object);
  if (!cell || g_heap.cell_address(cell) != object) return p;
  p.bytes = std::min(cell.span->cell_size, kMost) / 8 * 8;
  try {
    switch (cell.span->kind) {
      case gc::detail::Kind::kLeaf:
      case gc::detail::Kind::kLeafWhole:
        set_aside_leaf(object, p);
        break;
      case gc::detail::Kind::kScan:
        set_aside_references(object, p);
        break;
      case gc::detail::Kind::kDestructor:
        p.sum = sum_of(object, p.bytes);
        p.how = Poison::How::kSum;
    }
  } catch (const std::bad_alloc&) {
    // The check is left out.
  }
  return p;
}

bool is_poisoned(void* object, const Poison& p) noexcept {
  const Cell cell = g_heap.find_allocated(object);
  if (!cell || g_heap.cell_address(cell) != object) return false;
  if (p.how == Poison::How::kLeaf) return load_word(words_of(object)[0]) == kPattern;
  return p.how == Poison::How::kReferences && load_word(words_of(object)[1]) == kPattern &&
         load_word(words_of(object)[0]) == ~p.inverted_array;
}

std::ptrdiff_t unpoison(void* object, const Poison& p) noexcept {
  std::ptrdiff_t changed = -1;
  const auto expect = [&](std::size_t word, uint64_t value) {
    if (changed < 0 && load_word(words_of(object)[word]) != value) {
      changed = static_cast<std::ptrdiff_t>(word * 8);
    }
  };
  const std::size_t count = p.bytes / 8;
  switch (p.how) {
    case Poison::How::kNone:
      break;
    case Poison::How::kSum:
      if (sum_of(object, p.bytes) != p.sum) changed = 0;
      break;
    case Poison::How::kLeaf:
      for (std::size_t i = 0; i < count; ++i) {
        expect(i, kPattern);
        store_word(words_of(object)[i], ~p.inverted[i]);
      }
      break;
    case Poison::How::kReferences: {
      const auto array = static_cast<uintptr_t>(~p.inverted_array);
      expect(0, array);
      if (changed == 0) break;  // what it held may be gone
      const auto* const words =
          reinterpret_cast<const uint64_t*>(array);  // NOLINT(performance-no-int-to-ptr)
      for (std::size_t i = 1; i < count; ++i) {
        expect(i, kPattern);
        store_word(words_of(object)[i], load_word(words[i]));
      }
      store_word(words_of(object)[0], load_word(words[0]));
      shade_words(object, words_of(object) + count);
      gc::keep_alive(words);
    }
  }
  return changed;
}

}  // namespace tricolor::sync::detail

#endif
