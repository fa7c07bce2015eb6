#pragma once

// Arena: memory for records that stay, straight from the system: a sample is taken where malloc may be what the thread
// stands in, or a lock of the heap's is held.
//
// Threads: one at a time; the owner's lock.

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "runtime/base/bits.h"
#include "runtime/os/os.h"

namespace tricolor::observe {

class Arena {
 public:
  constexpr Arena() noexcept = default;
  explicit constexpr Arena(size_t chunk) noexcept : chunk_(chunk) {}

  // Zeroed, aligned to 8; nullptr when memory is gone.
  void* allocate(size_t bytes) noexcept {
    bytes = runtime::align_up(bytes, sizeof(void*));
    if (bytes > left_) {
      const size_t chunk = bytes > chunk_ ? bytes : chunk_;
      auto* const fresh = static_cast<char*>(runtime::os::map(chunk));
      if (fresh == nullptr) return nullptr;
      mapped_.store(mapped_.load(std::memory_order_relaxed) + chunk, std::memory_order_relaxed);
      next_ = fresh;
      left_ = chunk;
    }
    char* const memory = next_;
    next_ += bytes;
    left_ -= bytes;
    return memory;
  }

  // Relaxed: a figure.
  size_t mapped_bytes() const noexcept { return mapped_.load(std::memory_order_relaxed); }

 private:
  size_t chunk_ = size_t{64} << 10;
  char* next_ = nullptr;
  size_t left_ = 0;
  std::atomic<size_t> mapped_{0};
};

}  // namespace tricolor::observe
