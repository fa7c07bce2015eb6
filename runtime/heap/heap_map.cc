#include "runtime/heap/heap_map.h"

#include <sys/resource.h>

#include <algorithm>
#include <bit>

#include "runtime/arch/cpu.h"
#include "runtime/base/check.h"
#include "runtime/base/poison.h"
#include "runtime/os/os.h"

#include <tricolor/detail/config.hpp>

namespace tricolor::runtime {

namespace {

using gc::detail::kPageShift;

constexpr size_t kPreferredRange = TRICOLOR_TSAN ? size_t{64} << 30 : size_t{1} << 40;
constexpr size_t kSmallestRange = size_t{64} << 20;
// The tables grow in steps that describe this much heap.
constexpr uint32_t kTableStepPages = (size_t{32} << 20) >> kPageShift;

// Under an address-space limit at most half of it is taken, so that stacks and malloc keep theirs.
size_t largest_range_to_try() noexcept {
  rlimit limit{};
  if (getrlimit(RLIMIT_AS, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return kPreferredRange;
  return std::clamp(std::bit_floor(static_cast<size_t>(limit.rlim_cur) / 2), kSmallestRange,
                    kPreferredRange);
}

template <class T>
bool reserve_table(T*& table, size_t entries) noexcept {
  table = static_cast<T*>(os::reserve_aligned(entries * sizeof(T), os::kHugePageSize));
  return table != nullptr;
}

template <class T>
bool commit_table(T* table, size_t from, size_t to) noexcept {
  const size_t page = os::page_size();
  char* const lo = reinterpret_cast<char*>(table) + from * sizeof(T) / page * page;
  char* const hi = reinterpret_cast<char*>(table) + (to * sizeof(T) + page - 1) / page * page;
  return os::commit(lo, static_cast<size_t>(hi - lo));
}

}  // namespace

constinit HeapMap g_heap;

bool HeapMap::init() noexcept {
  for (size_t bytes = largest_range_to_try(); bytes >= kSmallestRange; bytes /= 2) {
    base_ = static_cast<char*>(os::reserve_aligned(bytes, os::kHugePageSize));
    if (base_ == nullptr) continue;
    if (reserve_tables(bytes >> kPageShift)) {
      reserved_bytes_ = bytes;
      register_leak_roots(base_, bytes);
      register_leak_roots(spans_, (bytes >> kPageShift) * sizeof(*spans_));
      return true;
    }
    os::unmap(base_, bytes);
  }
  return false;
}

bool HeapMap::reserve_tables(size_t pages) noexcept {
  page_info_ = nullptr;
  large_head_ = nullptr;
  spans_ = nullptr;
  mark_ = nullptr;
  alloc_ = nullptr;
  if (reserve_table(page_info_, pages) && reserve_table(large_head_, pages) &&
      reserve_table(spans_, pages) && reserve_table(mark_, pages * kWordsPerPage) &&
      reserve_table(alloc_, pages * kWordsPerPage) &&
      os::make_readable(page_info_, pages * sizeof(*page_info_))) {  // [map.limit]
    return true;
  }
  if (page_info_ != nullptr) os::unmap(page_info_, pages * sizeof(*page_info_));
  if (large_head_ != nullptr) os::unmap(large_head_, pages * sizeof(*large_head_));
  if (spans_ != nullptr) os::unmap(spans_, pages * sizeof(*spans_));
  if (mark_ != nullptr) os::unmap(mark_, pages * kWordsPerPage * sizeof(*mark_));
  if (alloc_ != nullptr) os::unmap(alloc_, pages * kWordsPerPage * sizeof(*alloc_));
  return false;
}

bool HeapMap::ensure_tables(uint32_t end_page) noexcept {
  const uint32_t begin = tables_end_.load(std::memory_order_relaxed);
  if (end_page <= begin) return true;
  const uint32_t all = static_cast<uint32_t>(reserved_bytes_ >> kPageShift);
  const uint32_t step = std::max(kTableStepPages, std::bit_floor(begin / 4));
  const uint32_t end = std::min(all, (end_page + step - 1) / step * step);
  if (!commit_table(page_info_, begin, end) || !commit_table(large_head_, begin, end) ||
      !commit_table(spans_, begin, end) ||
      !commit_table(mark_, begin * kWordsPerPage, end * kWordsPerPage) ||
      !commit_table(alloc_, begin * kWordsPerPage, end * kWordsPerPage)) {
    return false;
  }
  // Marking touches the mark bits of a large heap at random: 2 MiB of them describe 256 MiB of
  // heap.
  if (end >= (size_t{256} << 20) >> kPageShift) {
    os::advise_huge(mark_,
                    end * kWordsPerPage * sizeof(uint64_t) / os::kHugePageSize * os::kHugePageSize);
  }
  tables_end_.store(end, std::memory_order_release);
  return true;
}

bool HeapMap::is_own_memory(uintptr_t address) const noexcept {
  const size_t pages = reserved_bytes_ >> kPageShift;
  const auto within = [address](const void* table, size_t bytes) {
    return address - reinterpret_cast<uintptr_t>(table) < bytes;
  };
  return within(base_, reserved_bytes_) || within(page_info_, pages * sizeof(*page_info_)) ||
         within(large_head_, pages * sizeof(*large_head_)) ||
         within(spans_, pages * sizeof(*spans_)) ||
         within(mark_, pages * kWordsPerPage * sizeof(*mark_)) ||
         within(alloc_, pages * kWordsPerPage * sizeof(*alloc_));
}

void HeapMap::publish_span(const Span& span) noexcept {
  const unsigned info = span.size_class | (gc::detail::is_leaf_kind(span.kind) ? 0x80u : 0u);
  for (uint32_t i = 0; i < span.pages; ++i) {
    const uint32_t page = span.first_page + i;
    if (span.is_large()) __atomic_store_n(large_head_ + page, span.first_page, __ATOMIC_RELAXED);
    const unsigned back = span.is_large() ? 0 : i;
    __atomic_store_n(page_info_ + page, static_cast<uint16_t>(info | back << 8), __ATOMIC_RELEASE);
  }
  arch::publish_fence();  // [map.publish]
}

void HeapMap::retire_span(const Span& span) noexcept {
  for (uint32_t i = 0; i < span.pages; ++i) {
    __atomic_store_n(page_info_ + span.first_page + i, uint16_t{0}, __ATOMIC_RELAXED);
  }
}

}  // namespace tricolor::runtime
