// Large cells with a mapping of their own: a table by address.

#include <algorithm>
#include <mutex>

#include "runtime/base/bits.h"
#include "runtime/os/os.h"
#include "traced/chunks.h"
#include "traced/open.h"

namespace tricolor::traced {

namespace os = runtime::os;

size_t Chunks::place_of(const Table& table, const void* cell) noexcept {
  return (reinterpret_cast<uintptr_t>(cell) >> 12) * 0x9e3779b97f4a7c15u >> 20 & (table.places - 1);
}

// [chunks.standing] The new table is complete before it takes the old one's place.
bool Chunks::grow_table_locked() noexcept {
  Table* const old = table_.load(std::memory_order_relaxed);
  size_t alive = 0;
  if (old != nullptr) {
    if (2 * (old->taken + 1) <= old->places) return true;
    for_each_mapping([&alive](char*, size_t) { ++alive; });
  }
  size_t places = 128;
  while (places < 4 * (alive + 1)) places *= 2;
  const size_t bytes = runtime::align_up(sizeof(Table) + places * sizeof(Mapping), os::page_size());
  auto* const table = static_cast<Table*>(os::map(bytes));
  if (table == nullptr) return false;
  table->bytes = bytes;
  table->places = places;
  if (old != nullptr) {
    for (size_t i = 0; i < old->places; ++i) {
      char* const cell = old->at[i].cell.load(std::memory_order_relaxed);
      if (cell == nullptr || cell == kGone) continue;
      size_t at = place_of(*table, cell);
      while (table->at[at].cell.load(std::memory_order_relaxed) != nullptr)
        at = (at + 1) & (places - 1);
      table->at[at].bytes = old->at[i].bytes;
      table->at[at].start = old->at[i].start;
      table->at[at].mapped = old->at[i].mapped;
      table->at[at].cell.store(cell, std::memory_order_relaxed);
      ++table->taken;
    }
  }
  table_.store(table, std::memory_order_release);
  if (old != nullptr) os::unmap(old, old->bytes);
  return true;
}

bool Chunks::add_mapping_locked(const char* cell, size_t bytes, char* start,
                                size_t mapped) noexcept {
  if (!grow_table_locked()) return false;
  Table& table = *table_.load(std::memory_order_relaxed);
  size_t at = place_of(table, cell);
  for (;; at = (at + 1) & (table.places - 1)) {
    const char* const there = table.at[at].cell.load(std::memory_order_relaxed);
    if (there == nullptr) ++table.taken;
    if (there == nullptr || there == kGone) break;
  }
  table.at[at].bytes = bytes;
  table.at[at].start = start;
  table.at[at].mapped = mapped;
  set_region(cell, Region::kMapping);
  table.at[at].cell.store(const_cast<char*>(cell), std::memory_order_release);
  return true;
}

void* Chunks::take_mapping(size_t bytes, size_t alignment) noexcept {
  const size_t page = os::page_size();
  if (bytes > (size_t{1} << 46) || alignment > (size_t{1} << 46)) return nullptr;
  const size_t length = runtime::align_up(bytes, page);
  auto* const start = static_cast<char*>(alignment > page ? os::reserve_aligned(length, alignment)
                                                          : os::reserve(length));
  if (start == nullptr) return nullptr;
  bool done = os::commit(start, length);
  if (done) {
    const std::lock_guard guard(lock_);
    done = add_mapping_locked(start, length, start, length);
  }
  if (!done) {
    os::unmap(start, length);
    return nullptr;
  }
  in_use_.fetch_add(length, std::memory_order_relaxed);
  mapped_.fetch_add(length, std::memory_order_relaxed);
  open_process();
  return start;
}

bool Chunks::give_mapping(void* cell) noexcept {
  char* start = nullptr;
  size_t mapped = 0;
  bool later = false;
  {
    const std::lock_guard guard(lock_);
    Table* const table = table_.load(std::memory_order_relaxed);
    if (table == nullptr) return false;
    for (size_t at = place_of(*table, cell);; at = (at + 1) & (table->places - 1)) {
      char* const there = table->at[at].cell.load(std::memory_order_relaxed);
      if (there == nullptr) return false;
      if (there != cell) continue;
      start = table->at[at].start;
      mapped = table->at[at].mapped;
      table->at[at].cell.store(kGone, std::memory_order_release);
      break;
    }
    later = reading_;
    if (later) {  // [chunks.addresses]
      os::release(start, mapped);
      auto* const link = reinterpret_cast<Unmapped*>(start);
      link->next = unmapped_;
      link->bytes = mapped;
      unmapped_ = link;
    }
  }
  in_use_.fetch_sub(mapped, std::memory_order_relaxed);
  mapped_.fetch_sub(mapped, std::memory_order_relaxed);
  if (!later) os::unmap(start, mapped);
  return true;
}

}  // namespace tricolor::traced
