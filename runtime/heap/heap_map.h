#pragma once

// HeapMap: the one reserved range that holds every collected object, and the tables that describe it.
//
// "Is this a heap word" is one subtraction and one compare. Everything known of an address is found
// at a linear address in a side table, so nothing is chased:
//
//   page_info   u16 a page   size class (7 bits), leaf (1 bit), pages back to the span's first page (8 bits)
//   large_head  u32 a page   first page of the large object the page belongs to
//   spans       64 B a page  header of the span that starts at the page
//   alloc, mark 64 B a page  bitmaps; a span uses those of its first page onward
//
// [map.publish]  page_info of a new span is stored before any address in it is given out. A reader has such an
//                address and indexes the table with it: on x86 the store order suffices, on Arm the release
//                fence of publish_span() and the reader's address dependency.
// [map.limit]    a lookup compares with limit(), which is constant after init(), and reads page_info, readable for the
//                whole range and zero where no span is; only what is not zero leads on to the other tables. So all
//                that decides about an address is either constant or read at a place computed from the address.
//
// Why [map.limit]: a bound that grows with the heap is read independently of the address. Arm may
// satisfy that load before the one that brought the address, an acquire on the bound
// notwithstanding (it orders what follows the bound, not what precedes it):
//
//     grower:  bound = new; fence; page_info[p] = i; fence; slot = p
//     reader:  x = slot (relaxed); if (x < bound) look up           sees p, and the old bound
//
// A new address would be taken for none of ours, and not be shaded. The same holds for a bound kept
// in a register over a scan, on any processor.
// Threads: lookups by any, also in signal handlers. ensure_tables() under the page heap's callers' lock (see
// spans.cc).

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "runtime/heap/span.h"

#include <tricolor/detail/size_class.hpp>

namespace tricolor::runtime {

// A cell of the heap, found from any address inside it.
struct Cell {
  Span* span = nullptr;
  uint32_t index = 0;

  explicit operator bool() const noexcept { return span != nullptr; }
};

class HeapMap {
 public:
  // Reserves the range: 1 TiB, or what an address-space limit leaves room for. False when not even
  // 64 MiB could be had.
  bool init() noexcept;

  char* base() const noexcept { return base_; }
  size_t reserved_bytes() const noexcept { return reserved_bytes_; }
  // [map.limit] Addresses that may be looked up lie this far above base() at most.
  size_t limit() const noexcept { return reserved_bytes_; }
  // How much of the range the tables describe so far: addresses given out before the call lie
  // below.
  size_t described_bytes() const noexcept {
    return size_t{tables_end_.load(std::memory_order_acquire)} << gc::detail::kPageShift;
  }

  // Makes the tables usable for all pages below `end_page`. False when memory is gone. Serialised
  // by the caller.
  bool ensure_tables(uint32_t end_page) noexcept;

  bool contains(const void* address) const noexcept {
    return static_cast<size_t>(static_cast<const char*>(address) - base_) < limit();
  }
  char* page_address(uint32_t page) const noexcept {
    return base_ + (static_cast<size_t>(page) << gc::detail::kPageShift);
  }
  Span* span_at(uint32_t first_page) const noexcept { return spans_ + first_page; }
  // The header of the span whose first page is `page`; nullptr for any other page.
  Span* span_starting_at(uint32_t page) const noexcept {
    const uint16_t info = __atomic_load_n(page_info_ + page, __ATOMIC_ACQUIRE);
    const bool first = (info & 0x7f) == gc::detail::kLargeClass
                           ? __atomic_load_n(large_head_ + page, __ATOMIC_RELAXED) == page
                           : info != 0 && info >> 8 == 0;
    return first ? span_at(page) : nullptr;
  }
  const uint16_t* page_info() const noexcept { return page_info_; }
  const uint32_t* large_head() const noexcept { return large_head_; }

  uint64_t* mark_words(uint32_t first_page) const noexcept {
    return mark_ + size_t{first_page} * kWordsPerPage;
  }
  uint64_t* alloc_words(uint32_t first_page) const noexcept {
    return alloc_ + size_t{first_page} * kWordsPerPage;
  }
  uint64_t* mark_words(const Span& span) const noexcept { return mark_words(span.first_page); }
  uint64_t* alloc_words(const Span& span) const noexcept { return alloc_words(span.first_page); }

  char* cell_address(const Span& span, uint32_t index) const noexcept {
    return page_address(span.first_page) + size_t{index} * span.cell_size;
  }
  char* cell_address(Cell cell) const noexcept { return cell_address(*cell.span, cell.index); }

  // The cell that `address` points into; none for an address outside the heap, in a free page or in
  // the tail of a span. Says nothing about whether the cell holds an object.
  Cell find(const void* address) const noexcept;

  // The same, only if the cell is handed out: what a conservative scan accepts.
  Cell find_allocated(const void* address) const noexcept;

  // Calls act(Cell) for each cell that `address` refers to where pointers past the end count: the
  // one it points into, and the one that ends there. They need not be handed out.
  template <class Act>
  void for_each_referred(const void* address, Act&& act) const noexcept;

  bool is_marked(Cell cell) const noexcept {
    return (__atomic_load_n(mark_words(*cell.span) + cell.index / 64, __ATOMIC_ACQUIRE) >>
                (cell.index % 64) &
            1) != 0;
  }
  bool is_allocated(Cell cell) const noexcept {
    return (__atomic_load_n(alloc_words(*cell.span) + cell.index / 64, __ATOMIC_RELAXED) >>
                (cell.index % 64) &
            1) != 0;
  }
  // True if this call set the bit. Release: what was done before (the push of a shaded object) is
  // visible to whoever finds the bit set.
  bool try_mark(Cell cell) const noexcept {
    const uint64_t bit = uint64_t{1} << (cell.index % 64);
    return (__atomic_fetch_or(mark_words(*cell.span) + cell.index / 64, bit, __ATOMIC_ACQ_REL) &
            bit) == 0;
  }

  void publish_span(const Span& span) noexcept;
  void retire_span(const Span& span) noexcept;

  // Whether `address` lies in the range or in a table.
  bool is_own_memory(uintptr_t address) const noexcept;

  // Bytes of all tables that may be resident.
  size_t table_bytes() const noexcept {
    return size_t{tables_end_.load(std::memory_order_relaxed)} * kTableBytesPerPage;
  }

 private:
  static constexpr size_t kWordsPerPage = gc::detail::kPageSize / gc::detail::kGranule / 64;
  static constexpr size_t kTableBytesPerPage =
      sizeof(uint16_t) + sizeof(uint32_t) + sizeof(Span) + 2 * kWordsPerPage * sizeof(uint64_t);

  bool reserve_tables(size_t pages) noexcept;

  // All but tables_end_ are constant after init().
  char* base_ = nullptr;
  size_t reserved_bytes_ = 0;
  uint16_t* page_info_ = nullptr;
  uint32_t* large_head_ = nullptr;
  Span* spans_ = nullptr;
  uint64_t* mark_ = nullptr;
  uint64_t* alloc_ = nullptr;
  // Stored by ensure_tables() (release) after the tables are there, under the callers' lock;
  // described_bytes() reads it (acquire), statistics relaxed.
  std::atomic<uint32_t> tables_end_{0};
};

extern HeapMap g_heap;

inline Cell HeapMap::find(const void* address) const noexcept {
  const size_t offset = static_cast<size_t>(static_cast<const char*>(address) - base_);
  if (offset >= limit()) return {};
  const uint32_t page = static_cast<uint32_t>(offset >> gc::detail::kPageShift);
  const uint16_t info = __atomic_load_n(page_info_ + page, __ATOMIC_ACQUIRE);
  const unsigned size_class = info & 0x7f;
  if (size_class == 0) return {};
  if (size_class == gc::detail::kLargeClass) {
    return {span_at(__atomic_load_n(large_head_ + page, __ATOMIC_RELAXED)), 0};
  }
  const uint32_t first = page - (info >> 8);
  const size_t in_span = offset - (size_t{first} << gc::detail::kPageShift);
  const gc::detail::SizeClass& table = gc::detail::kSizeClasses[size_class];
  const uint32_t index = static_cast<uint32_t>(in_span * table.magic >> gc::detail::kMagicShift);
  if (index >= table.cells) return {};
  return {span_at(first), index};
}

inline Cell HeapMap::find_allocated(const void* address) const noexcept {
  const Cell cell = find(address);
  return cell && is_allocated(cell) ? cell : Cell{};
}

template <class Act>
inline void HeapMap::for_each_referred(const void* address, Act&& act) const noexcept {
  const Cell cell = find(address);
  if (cell) {
    act(cell);
    if (cell_address(cell) != address) return;
    if (cell.index > 0) return act(Cell{cell.span, cell.index - 1});
  }
  // At the start of a span, in the tail of one, or in a free page.
  // NOLINTNEXTLINE(performance-no-int-to-ptr): a word of a stack, which may be 0
  const auto* const below = reinterpret_cast<const void*>(reinterpret_cast<uintptr_t>(address) - 1);
  if (const Cell before = find(below)) act(before);
}

}  // namespace tricolor::runtime
