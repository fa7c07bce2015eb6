#pragma once

// Told: what has been reported, so that each place is reported once. It forgets some of it where
// there is much.
//
// Threads: any.

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace tricolor::gc {

class Told {
 public:
  // Whether `key`, not ~0, is new. It is kept inverted: an object's address is no reference.
  bool add(uintptr_t key) noexcept {
    std::atomic<uintptr_t>& place = keys_[key * 0x9e3779b97f4a7c15u >> 54];
    return place.exchange(~key, std::memory_order_relaxed) != ~key;
  }

 private:
  std::array<std::atomic<uintptr_t>, 1024> keys_{};  // relaxed: each stands for itself
};

}  // namespace tricolor::gc
