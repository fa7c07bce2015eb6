#pragma once

// MetaArray: a growing array of plain values in memory of its own: the collector's, which malloc must not be asked for.
//
// Threads: one at a time.

#include <cstddef>
#include <cstring>

#include "runtime/os/os.h"

namespace tricolor::traced {

template <class T>
class MetaArray {
 public:
  constexpr MetaArray() noexcept = default;
  MetaArray(const MetaArray&) = delete;
  MetaArray& operator=(const MetaArray&) = delete;

  // False when memory is gone.
  [[nodiscard]] bool push(const T& value) noexcept {
    if (size_ == room_ && !grow()) return false;
    items_[size_++] = value;
    return true;
  }
  void clear() noexcept { size_ = 0; }
  size_t size() const noexcept { return size_; }
  T* begin() noexcept { return items_; }
  T* end() noexcept { return items_ + size_; }
  const T* begin() const noexcept { return items_; }
  const T* end() const noexcept { return items_ + size_; }

 private:
  bool grow() noexcept {
    const size_t room = room_ == 0 ? runtime::os::page_size() / sizeof(T) : 2 * room_;
    auto* const items = static_cast<T*>(runtime::os::map(room * sizeof(T)));
    if (items == nullptr) return false;
    if (items_ != nullptr) {
      std::memcpy(items, items_, size_ * sizeof(T));
      runtime::os::unmap(items_, room_ * sizeof(T));
    }
    items_ = items;
    room_ = room;
    return true;
  }

  T* items_ = nullptr;
  size_t size_ = 0;
  size_t room_ = 0;
};

}  // namespace tricolor::traced
