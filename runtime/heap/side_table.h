#pragma once

// SideTable: an array beside the heap, as long as the whole range in address space and as long as
// the used part in memory. Fresh elements are zero.
//
// Threads: whatever guards the owner. reserve() once, then commit_to() with growing sizes. There is
// no destructor: the tables of the heap live as long as the process, a test calls unmap().

#include <atomic>
#include <cstddef>
#include <type_traits>

#include "runtime/base/bits.h"
#include "runtime/base/check.h"
#include "runtime/os/os.h"

namespace tricolor::runtime {

template <typename T>
class SideTable {
  static_assert(std::is_trivially_copyable_v<T> && std::is_trivially_destructible_v<T>);

 public:
  // False when there is no address space.
  [[nodiscard]] bool reserve(size_t elements) noexcept {
    reserved_bytes_ = align_up(elements * sizeof(T), os::page_size());
    data_ = static_cast<T*>(os::reserve(reserved_bytes_));
    committed_bytes_.store(0, std::memory_order_relaxed);
    return data_ != nullptr;
  }

  // Makes elements [0, elements) usable; those that were keep their values. False when memory is
  // refused.
  [[nodiscard]] bool commit_to(size_t elements) noexcept {
    const size_t wanted = align_up(elements * sizeof(T), os::page_size());
    const size_t committed = committed_bytes();
    if (wanted <= committed) return true;
    if (!os::commit(bytes() + committed, wanted - committed)) return false;
    committed_bytes_.store(wanted, std::memory_order_relaxed);
    return true;
  }

  void unmap() noexcept {
    if (data_ != nullptr) os::unmap(data_, reserved_bytes_);
    data_ = nullptr;
    reserved_bytes_ = 0;
    committed_bytes_.store(0, std::memory_order_relaxed);
  }

  T* data() const noexcept { return data_; }
  size_t committed_bytes() const noexcept {
    return committed_bytes_.load(std::memory_order_relaxed);
  }

  T& operator[](size_t index) const noexcept {
    TC_DCHECK((index + 1) * sizeof(T) <= committed_bytes(), "element %zu, %zu bytes committed",
              index, committed_bytes());
    return data_[index];
  }

 private:
  char* bytes() const noexcept { return reinterpret_cast<char*>(data_); }

  T* data_ = nullptr;
  size_t reserved_bytes_ = 0;
  // Only grows while others look: relaxed, since whoever uses an element has learnt from the caller
  // of commit_to() that it is there.
  std::atomic<size_t> committed_bytes_{0};
};

}  // namespace tricolor::runtime
