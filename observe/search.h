#pragma once

// Search: a breadth-first search over the objects of an inspection, from roots that are added in turn.
//
// A bit for each object, and 16 bytes for each that is reached, in memory that is touched as it is
// needed.
// Threads: the one that inspects.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <new>
#include <vector>

#include "gc/held.h"
#include "observe/objects.h"
#include "runtime/os/os.h"

namespace tricolor::observe {

// Private memory that is touched as it is needed.
template <class T>
class Table {
 public:
  explicit Table(std::size_t count)
      : bytes_(std::max<std::size_t>(count, 1) * sizeof(T)),
        items_(static_cast<T*>(runtime::os::map(bytes_))) {
    if (items_ == nullptr) throw std::bad_alloc();
  }
  ~Table() { runtime::os::unmap(items_, bytes_); }
  Table(const Table&) = delete;
  Table& operator=(const Table&) = delete;
  T& operator[](std::size_t i) noexcept { return items_[i]; }

 private:
  std::size_t bytes_;
  T* items_;
};

// How it was reached: from an object of the queue by one of its words, or from a root.
struct Reached {
  std::uint64_t cell : 36;  // offset in the heap, in granules
  std::uint64_t word : 28;  // of the object before, kKey: as the key of a weak table's entry
  std::uint64_t from;       // place in the queue, or kRoot + place among the roots
};

class Search {
 public:
  static constexpr std::uint64_t kRoot = std::uint64_t{1} << 62;
  static constexpr std::uint64_t kKey = (std::uint64_t{1} << 28) - 1;
  static constexpr std::size_t kNone = SIZE_MAX;

  // Ends when it comes to `target`; of an empty one it never does.
  explicit Search(Cell target = {})
      : target_(target ? gc::g_held.number_of(target) : kNone),
        seen_(gc::g_held.count() / 64 + 1),
        queue_(gc::g_held.count()) {
    note_entries();
  }

  static constexpr std::uint32_t number_of(gc::HeldFrom from) noexcept {
    return static_cast<std::uint32_t>(from);
  }
  // Nobody means what is on a stack but the compiler.
  static bool is_on_stack(const gc::HeldRoot& root) noexcept {
    return root.from >= number_of(gc::HeldFrom::kFiber);
  }

  // The roots that are wanted(root).
  template <class Wanted>
  void add_roots(Wanted wanted) {
    for (std::size_t i = 0; i < gc::g_held.root_count() && !found(); ++i) {
      const gc::HeldRoot& root = gc::g_held.roots()[i];
      if (root.from == number_of(gc::HeldFrom::kEphemeron) || !wanted(root)) continue;
      add_root(i);
    }
  }
  void add_root(std::size_t number) {
    const gc::HeldRoot& root = gc::g_held.roots()[number];
    const Cell cell = gc::g_held.find(g_heap.base() + root.offset);
    if (!cell) return;
    if (root.from != number_of(gc::HeldFrom::kFinalizable)) {
      reach(cell, 0, kRoot + number);
      return;
    }
    for_each_edge(cell, [&](const Edge& edge) { reach(edge.target, 0, kRoot + number); });
  }

  // Goes on to all that is reached by now.
  void drain() {
    for (; next_ < end_ && !found(); ++next_) {
      const std::uint64_t from = next_;
      const Cell cell = cell_at(from);
      for_each_edge(
          cell, [&](const Edge& edge) { reach(edge.target, edge.offset / sizeof(void*), from); });
      if (entries_.empty()) continue;
      const std::uint64_t key = queue_[from].cell * gc::detail::kGranule;
      for (auto at = std::lower_bound(entries_.begin(), entries_.end(), Entry{key, 0});
           at != entries_.end() && at->key == key; ++at) {
        if (const Cell value = gc::g_held.find(g_heap.base() + at->value)) reach(value, kKey, from);
      }
    }
  }

  bool found() const noexcept { return found_at_ != kNone; }
  std::uint64_t found_at() const noexcept { return found_at_; }
  std::uint64_t end() const noexcept { return end_; }
  const Reached& at(std::uint64_t place) noexcept { return queue_[place]; }
  Cell cell_at(std::uint64_t place) noexcept {
    return g_heap.find(g_heap.base() + queue_[place].cell * gc::detail::kGranule);
  }

 private:
  // Values of weak tables, by their keys.
  void note_entries() {
    for (std::size_t i = 0; i < gc::g_held.root_count(); ++i) {
      const gc::HeldRoot& root = gc::g_held.roots()[i];
      if (root.from == number_of(gc::HeldFrom::kEphemeron))
        entries_.push_back({root.place, root.offset});
    }
    std::sort(entries_.begin(), entries_.end());
  }

  void reach(Cell cell, std::uint64_t word, std::uint64_t from) {
    const std::size_t number = gc::g_held.number_of(cell);
    std::uint64_t& seen = seen_[number / 64];
    if (found() || (seen >> (number % 64) & 1) != 0) return;
    seen |= std::uint64_t{1} << (number % 64);
    const auto offset = static_cast<std::uint64_t>(g_heap.cell_address(cell) - g_heap.base());
    queue_[end_] = {offset / gc::detail::kGranule, std::min(word, kKey - 1), from};
    if (word == kKey) queue_[end_].word = kKey;
    if (number == target_) found_at_ = end_;
    ++end_;
  }

  struct Entry {
    std::uint64_t key;
    std::uint64_t value;
    auto operator<=>(const Entry&) const = default;
  };

  std::size_t target_;
  Table<std::uint64_t> seen_;
  Table<Reached> queue_;
  std::uint64_t next_ = 0;
  std::uint64_t end_ = 0;
  std::uint64_t found_at_ = kNone;
  std::vector<Entry> entries_;
};

}  // namespace tricolor::observe
