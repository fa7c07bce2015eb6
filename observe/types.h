#pragma once

// TypeTable: the type of every object, recorded while GODEBUG=types=1 or in the checking build.
//
// A table beside the heap, two bytes a granule of 16: a number, 0 for unknown. An entry is written
// as its cell is handed out ([watch.types]) and says nothing once the object is dead. What a number
// stands for is a copy of the type's description, because the program's own may go with a shared
// library.
//
// Threads: note(), find(): any, in a runtime section or a stop; start(): one. A child of fork() has all of it.

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "observe/arena.h"
#include "runtime/base/lock.h"
#include "runtime/heap/side_table.h"

#include <tricolor/detail/layout.hpp>

namespace tricolor::observe {

using gc::detail::TypeInfo;

// Copies of type descriptions, by number.
class KnownTypes {
 public:
  // 0 for nullptr, where there is no memory, and beyond the table's room.
  uint16_t number_of(const TypeInfo* type) noexcept;
  // nullptr for 0.
  const TypeInfo* type(uint16_t number) const noexcept;

 private:
  static constexpr size_t kMost = size_t{1} << 15;
  static constexpr size_t kSlots = 2 * kMost;
  struct Entry {
    const TypeInfo* original;
    const char* original_name;
    TypeInfo copy;
  };

  static bool describes(const Entry& entry, const TypeInfo& type) noexcept;
  uint16_t add_locked(const TypeInfo& type, size_t slot) noexcept;

  runtime::Lock lock_{runtime::LockRank::leaf};
  Arena arena_;       // guarded by lock_
  size_t count_ = 0;  // guarded by lock_
  // Stored (release) under lock_ after the entry, loaded without it (acquire): an index into
  // entries_, 0 for none.
  std::array<std::atomic<uint16_t>, kSlots> slots_{};
  std::array<std::atomic<Entry*>, kMost> entries_{};
};

class TypeTable {
 public:
  // False where there is no address space for it.
  [[nodiscard]] bool start() noexcept;
  bool is_on() const noexcept { return on_.load(std::memory_order_relaxed); }

  void note(const void* object, const TypeInfo* type) noexcept;
  // Of an object that is alive; `object` is its first byte.
  const TypeInfo* find(const void* object) const noexcept;

 private:
  bool reaches(size_t granule) noexcept;

  std::atomic<bool> on_{false};  // relaxed: set before the first thread is attached
  runtime::Lock lock_{runtime::LockRank::leaf};
  runtime::SideTable<uint16_t> numbers_;  // committed under lock_
  // Granules that numbers_ has; stored (release) under lock_, loaded (acquire) without it.
  std::atomic<size_t> end_{0};
};

extern KnownTypes& g_known_types;
extern TypeTable& g_type_table;

// The type of the live object that `address` points to or into; nullptr where it is not recorded.
// In a runtime section or a stop.
const TypeInfo* recorded_type(const void* address) noexcept;

}  // namespace tricolor::observe
