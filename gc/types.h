#pragma once

// Types: what is known of the types whose objects have a destructor.
//
// A destructor that does nothing (a defaulted virtual one) is told by its code: nothing but a
// return instruction. The sweep frees such objects like any others, without reading the type: it
// looks up its address. Only types of the program itself are noted, whose addresses stay theirs.
//
// [types.unload]  a shared library that is unloaded tells of it (detail::Module): what is dead by then is destroyed,
//                 as far as that takes no second. From then on its types are not called but reported, and what runs
//                 is waited for: the turn is taken before the gone are looked at, and they are noted before the turn
//                 is looked at ([finalizer.exit] orders the two the same way).
//
// Threads: does_nothing(), is_gone(): any. may_be_called(): whoever has the turn to destroy. The rest: any.

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "runtime/base/lock.h"

#include <tricolor/detail/layout.hpp>

namespace tricolor::gc {

class Types {
 public:
  // Whether the destructor is known to do nothing. Relaxed: an entry is compared, never followed.
  bool does_nothing(const void* type) const noexcept {
    return nothing_[place(type)].load(std::memory_order_relaxed) == type;
  }

  // Whether the type is still there; says so once if it is not.
  bool may_be_called(const detail::TypeInfo* type) noexcept {
    const size_t first = place(type);
    return checked_[first].load(std::memory_order_relaxed) == type ||
           checked_[first ^ 1].load(std::memory_order_relaxed) == type || check(type);
  }

  // Whether a library that was unloaded held the type: it must not be looked at.
  bool is_gone(const void* type) noexcept;

  // The shared library that holds this address comes, or goes. Attaches the thread, the second
  // where it is not; the first if there has been one that went.
  void loaded(const void* inside);
  void unloads(const void* inside) noexcept;

 private:
  static constexpr size_t kPlaces = 256;
  static constexpr size_t kGone = 64;

  struct Range {
    uintptr_t lo = 0;
    uintptr_t hi = 0;
    bool contains(const void* address) const noexcept {
      return reinterpret_cast<uintptr_t>(address) - lo < hi - lo;
    }
  };

  static size_t place(const void* type) noexcept {
    return (reinterpret_cast<uintptr_t>(type) >> 3) * 0x9e3779b97f4a7c15u >> 56;
  }
  bool check(const detail::TypeInfo* type) noexcept;
  void forget_locked(Range range) noexcept;

  std::array<std::atomic<const void*>, kPlaces> nothing_{};
  // Written under lock_.
  std::array<std::atomic<const void*>, kPlaces> checked_{};
  runtime::Lock lock_{runtime::LockRank::leaf};
  // Guarded by lock_: unloaded libraries, the last kGone of them.
  std::array<Range, kGone> gone_{};
  // How many so far: added to (release) under lock_, read without it (acquire).
  std::atomic<uint32_t> unloaded_{0};
  std::atomic<const void*> reported_{nullptr};  // relaxed: the last one
};

extern Types& g_types;

}  // namespace tricolor::gc
