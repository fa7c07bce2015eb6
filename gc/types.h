#pragma once

// Types: what is known of the types whose objects have a destructor.
//
// A destructor that does nothing (a defaulted virtual one) is told by its code: nothing but a
// return instruction. The sweep frees such objects like any others, without reading the type: it
// looks up its address. Only types of the program itself are noted, whose addresses stay theirs.
//
// A type of a shared library that was unloaded is not called: what is left of it is reported.
//
// Threads: does_nothing(): any. may_be_called(): any that runs destructors. look_for_unloads(): the thread that
// destroys the dead.

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

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

  // Types are checked anew after a library has been unloaded.
  void look_for_unloads() noexcept;

 private:
  static constexpr size_t kPlaces = 256;
  static size_t place(const void* type) noexcept {
    return (reinterpret_cast<uintptr_t>(type) >> 3) * 0x9e3779b97f4a7c15u >> 56;
  }
  bool check(const detail::TypeInfo* type) noexcept;

  std::array<std::atomic<const void*>, kPlaces> nothing_{};
  std::array<std::atomic<const void*>, kPlaces> checked_{};
  std::atomic<uint64_t> unloads_{0};            // relaxed: seen so far
  std::atomic<const void*> reported_{nullptr};  // relaxed: the last one
};

extern Types& g_types;

}  // namespace tricolor::gc
