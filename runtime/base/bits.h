#pragma once

// Bits: the arithmetic of addresses, sizes and bitmaps. Pure functions, any thread.

#include <bit>
#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace tricolor::runtime {

template <typename T>
constexpr bool is_power_of_two(T value) noexcept {
  return std::has_single_bit(static_cast<std::make_unsigned_t<T>>(value));
}

// `alignment` is a power of two.
constexpr size_t align_up(size_t value, size_t alignment) noexcept {
  return (value + alignment - 1) & ~(alignment - 1);
}
constexpr size_t align_down(size_t value, size_t alignment) noexcept {
  return value & ~(alignment - 1);
}
constexpr bool is_aligned(size_t value, size_t alignment) noexcept {
  return (value & (alignment - 1)) == 0;
}

inline char* align_up(char* address, size_t alignment) noexcept {
  return reinterpret_cast<char*>(align_up(reinterpret_cast<uintptr_t>(address), alignment));
}
inline char* align_down(char* address, size_t alignment) noexcept {
  return reinterpret_cast<char*>(align_down(reinterpret_cast<uintptr_t>(address), alignment));
}
inline bool is_aligned(const void* address, size_t alignment) noexcept {
  return is_aligned(reinterpret_cast<uintptr_t>(address), alignment);
}

constexpr size_t divide_up(size_t value, size_t divisor) noexcept {
  return (value + divisor - 1) / divisor;
}

// The largest k with 2^k <= value; value > 0.
constexpr unsigned log2_floor(uint64_t value) noexcept {
  return 63u - static_cast<unsigned>(std::countl_zero(value));
}
// The smallest k with 2^k >= value; value > 0.
constexpr unsigned log2_ceil(uint64_t value) noexcept {
  return value <= 1 ? 0u : log2_floor(value - 1) + 1u;
}

constexpr unsigned popcount(uint64_t word) noexcept {
  return static_cast<unsigned>(std::popcount(word));
}
// Index of the lowest set bit; word != 0.
constexpr unsigned lowest_bit(uint64_t word) noexcept {
  return static_cast<unsigned>(std::countr_zero(word));
}
// Index of the highest set bit; word != 0.
constexpr unsigned highest_bit(uint64_t word) noexcept { return log2_floor(word); }

constexpr uint64_t clear_lowest_bit(uint64_t word) noexcept { return word & (word - 1); }

// `count` ones from bit `first` up; first < 64, 1 <= count <= 64 - first.
constexpr uint64_t bit_range(unsigned first, unsigned count) noexcept {
  return (~uint64_t{0} >> (64u - count)) << first;
}

}  // namespace tricolor::runtime
