// What stands behind <tricolor/traced_new.hpp>: operator new's contract, and the memory of
// exceptions.

#include <array>
#include <atomic>
#include <cstring>
#include <exception>
#include <new>

#include "runtime/base/check.h"
#include "traced/cells.h"

#include <tricolor/detail/traced_memory.hpp>

namespace tricolor::gc::detail {

void* allocate_traced_new(std::size_t bytes, std::size_t alignment) {
  for (;;) {
    void* const memory = traced::allocate_aligned(bytes, alignment);
    if (memory != nullptr) return memory;
    const std::new_handler handler = std::get_new_handler();
    if (handler == nullptr) throw std::bad_alloc();
    handler();
  }
}

void* allocate_traced_new_or_null(std::size_t bytes, std::size_t alignment) noexcept {
  try {
    return allocate_traced_new(bytes, alignment);
  } catch (...) {
    return nullptr;
  }
}

namespace {

// In front of what is thrown; the runtimes' own take 128 bytes at most.
constexpr std::size_t kHeaderBytes = 256;

// For when memory is gone: what says so has to be thrown, too. A global of the library, hence no
// root by itself.
class Reserve {
 public:
  void* take(std::size_t bytes) noexcept {
    if (bytes > kPlaceBytes) return nullptr;
    for (std::size_t i = 0; i < kPlaces; ++i) {
      // Acquire: what the one before did with the place is over.
      if (taken_[i].exchange(true, std::memory_order_acquire)) continue;
      return places_[i].data();
    }
    return nullptr;
  }
  bool give(void* memory) noexcept {
    const auto offset = static_cast<std::size_t>(static_cast<char*>(memory) - places_[0].data());
    if (offset >= sizeof(places_)) return false;
    taken_[offset / kPlaceBytes].store(false, std::memory_order_release);
    return true;
  }

 private:
  static constexpr std::size_t kPlaceBytes = 1024;
  static constexpr std::size_t kPlaces = 64;
  alignas(16) std::array<std::array<char, kPlaceBytes>, kPlaces> places_{};
  std::array<std::atomic<bool>, kPlaces> taken_{};
};

constinit Reserve g_reserve;

void* allocate_cleared(std::size_t bytes, std::size_t cleared) noexcept {
  void* memory = traced::allocate(bytes);
  if (memory == nullptr) memory = g_reserve.take(bytes);
  if (memory == nullptr) std::terminate();
  std::memset(memory, 0, cleared);
  return memory;
}

void release(void* memory) noexcept {
  if (!g_reserve.give(memory)) traced::free(memory);
}

}  // namespace

void* allocate_traced_exception(std::size_t bytes) noexcept {
  return static_cast<char*>(allocate_cleared(bytes + kHeaderBytes, kHeaderBytes)) + kHeaderBytes;
}

void free_traced_exception(void* thrown) noexcept {
  release(static_cast<char*>(thrown) - kHeaderBytes);
}

void* allocate_dependent_exception() noexcept {
  return allocate_cleared(kHeaderBytes, kHeaderBytes);
}

void free_dependent_exception(void* exception) noexcept { release(exception); }

}  // namespace tricolor::gc::detail
