#pragma once

// SpecialTable: records by the address of their object.
//
// Records lie side by side, so that the collector's walks read memory in order; a table of their
// places, searched by open addressing with linear probing, finds one (Knuth, The Art of Computer
// Programming, vol. 3, 6.4, algorithms L and R).
//
// [special_table.places]  every record has one place, between its home and the first free place
//                         after it; at most half of the places are taken.
// A record moves when another is added or erased. Threads: one at a time.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "gc/task.h"
#include "runtime/base/memory.h"

namespace tricolor::gc {

namespace detail {
struct WeakCell;
}

struct Special {
  uintptr_t hidden = 0;  // ~address of the object: no reference for anybody's search
  detail::WeakCell* weak = nullptr;
  std::unique_ptr<Task> finalizer;
  TaskList cleanups;

  // NOLINTNEXTLINE(performance-no-int-to-ptr)
  char* object() const noexcept { return reinterpret_cast<char*>(~hidden); }
  bool empty() const noexcept { return weak == nullptr && !finalizer && cleanups.empty(); }
};

class SpecialTable {
 public:
  Special* find(const char* object) noexcept;  // nullptr: none
  // The record, and whether it is new and empty. std::bad_alloc: nothing has changed.
  std::pair<Special*, bool> find_or_add(char* object);

  size_t size() const noexcept { return records_.size(); }
  Special& operator[](size_t index) noexcept { return records_[index]; }
  // The last record takes its place.
  void erase(size_t index) noexcept;
  // All that are empty, of which there are `count`.
  void erase_empty(size_t count) noexcept;
  size_t index_of(const Special& record) const noexcept {
    return static_cast<size_t>(&record - records_.data());
  }
  // Gives back what many records fewer than before leave unused, if there is memory to do so.
  void trim() noexcept;

 private:
  static constexpr size_t kFewest = 16;  // places

  static uintptr_t hide(const char* object) noexcept {
    return ~reinterpret_cast<uintptr_t>(object);
  }
  size_t home(uintptr_t hidden) const noexcept {
    return (hidden * 0x9e3779b97f4a7c15u >> 32) & (places_.size() - 1);
  }
  size_t next(size_t place) const noexcept { return (place + 1) & (places_.size() - 1); }
  // The place of the record, or the free one where the search for it ends.
  size_t place_of(uintptr_t hidden) const noexcept;
  // Puts the record, which has no place, at the first free one.
  void place(size_t index) noexcept;
  // Of `count` places, a power of two, for the same records.
  void rebuild(size_t count);

  template <class T>
  using Vector = std::vector<T, runtime::MallocAllocator<T>>;  // [memory.no-handler]

  Vector<Special> records_;
  Vector<uint32_t> places_;  // a record's index + 1, 0: free
};

}  // namespace tricolor::gc
