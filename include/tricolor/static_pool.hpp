// sync::StaticPool: a fixed number of objects, part of the pool itself.
#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <stdexcept>
#include <string>

#include <tricolor/detail/exceptions.hpp>
#include <tricolor/pool.hpp>

namespace tricolor::sync {

// N objects of type T inside the pool, each on cache lines of its own, handed out and taken back.
// Nothing is ever allocated, nothing collected, and no two threads have the same object. get()
// returns nullptr when all N are out. The objects are made when the pool is and destroyed when it
// is; in between they keep whatever the last user left. Where T() is constexpr the pool needs no
// initialiser at run time:
//
//     constinit sync::StaticPool<Message, 64> messages;
//
// A T with gc::ptr fields is traced only if the pool lies in a collected object:
// gc::make<sync::StaticPool<T, N>>(); elsewhere such a T holds gc::root fields.
// Lock-free; any thread.
template <class T, std::size_t N>
class alignas(64) StaticPool {
 public:
  static_assert(N > 0);
  using element_type = T;
  using Lease = sync::Lease<T, StaticPool>;

  constexpr StaticPool() = default;
  StaticPool(const StaticPool&) = delete;
  StaticPool& operator=(const StaticPool&) = delete;

  static constexpr std::size_t capacity() noexcept { return N; }
  // How many are in the pool right now.
  std::size_t available() const noexcept {
    std::size_t count = 0;
    for (const std::atomic<std::uint64_t>& word : taken_) {
      count += static_cast<std::size_t>(std::popcount(word.load(std::memory_order_relaxed)));
    }
    return N - count;
  }

  [[nodiscard]] T* get() noexcept {
    for (std::size_t w = 0; w < kWords; ++w) {
      std::uint64_t taken = taken_[w].load(std::memory_order_relaxed);
      while ((~taken & valid(w)) != 0) {
        const auto bit = static_cast<unsigned>(std::countr_zero(~taken));
        // Acquire: what the user before did to the object, who gave it back with release.
        if (taken_[w].compare_exchange_weak(taken, taken | std::uint64_t{1} << bit,
                                            std::memory_order_acquire, std::memory_order_relaxed)) {
          return &cells_[w * 64 + bit].object;
        }
      }
    }
    return nullptr;
  }

  // Takes back what a get() of this pool gave; nullptr is ignored. std::invalid_argument for any
  // other address, and for an object that is in the pool already.
  void put(T* object) {
    if (object == nullptr) return;
    const std::size_t index = index_of(object);
    if (index == N) {
      TRICOLOR_THROW(
          std::invalid_argument("sync::StaticPool: the object that is put is not one of the " +
                                std::to_string(N) + " of this pool"));
    }
    const std::uint64_t bit = std::uint64_t{1} << (index % 64);
    if ((taken_[index / 64].fetch_and(~bit, std::memory_order_release) & bit) == 0) {
      TRICOLOR_THROW(std::invalid_argument("sync::StaticPool: object " + std::to_string(index) +
                                           " is put, but it is in the pool already"));
    }
  }

  // get() until the end of the scope.
  Lease lease() noexcept { return Lease(*this, get()); }

 private:
  friend Lease;
  struct alignas(64) Cell {
    T object{};
  };
  static constexpr std::size_t kWords = (N + 63) / 64;

  static constexpr std::uint64_t valid(std::size_t w) noexcept {
    const std::size_t left = N - w * 64;
    return left >= 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << left) - 1;
  }
  std::size_t index_of(const T* object) const noexcept {
    const auto* const address = reinterpret_cast<const char*>(object);
    const auto* const first = reinterpret_cast<const char*>(&cells_[0].object);
    const std::less<const char*> before;
    if (before(address, first) || !before(address, first + sizeof(cells_))) return N;
    const auto offset = static_cast<std::size_t>(address - first);
    return offset % sizeof(Cell) == 0 ? offset / sizeof(Cell) : N;
  }
  void end_lease(T* object, bool back) {
    if (back) put(object);
  }

  std::array<std::atomic<std::uint64_t>, kWords> taken_{};
  std::array<Cell, N> cells_{};
};

}  // namespace tricolor::sync
