#pragma once

// Central lists: for each size class the spans that have cells nobody has. Threads take and give
// cells in batches.
//
// A batch is a list through the cells' first words. An empty span goes back to g_chunks, but for
// one a class.
// [central_cells.lock]  a class's spans are touched under its lock, which a thread may be stopped with: the collector
//                       never takes it.
// Threads: any.

#include <array>
#include <cstdint>

#include "runtime/base/lock.h"
#include "traced/chunk.h"

namespace tricolor::traced {

struct Batch {
  void* first = nullptr;
  uint32_t count = 0;
};

inline void* next_of(void* cell) noexcept { return *static_cast<void**>(cell); }
inline void set_next(void* cell, void* next) noexcept { *static_cast<void**>(cell) = next; }

class Central {
 public:
  // Up to `most` cells; none when memory is gone.
  Batch take(unsigned cls, uint32_t most) noexcept;
  // All cells of the list, which ends in nullptr.
  void give(unsigned cls, void* first) noexcept;

  // Around fork().
  void lock_all() noexcept;
  void unlock_all() noexcept;

 private:
  struct alignas(64) List {
    runtime::Lock lock{runtime::LockRank::traced_cells};
    Span* with_room = nullptr;
    uint32_t empty = 0;  // spans on the list whose cells nobody has
  };

  static void link(List& list, Span& span) noexcept;
  static void unlink(List& list, Span& span) noexcept;

  std::array<List, kClasses> lists_{};
};

extern Central g_central;

}  // namespace tricolor::traced
