#pragma once

// Size classes of traced cells: multiples of 16 up to 128, then four for each doubling, up to 32
// KiB.

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace tricolor::traced {

inline constexpr size_t kGranule = 16;
inline constexpr size_t kBlockBytes = size_t{16} << 10;
inline constexpr size_t kLargestCell = size_t{32} << 10;
inline constexpr unsigned kClasses = 40;

// For 0 to kLargestCell bytes.
constexpr unsigned class_of(size_t bytes) noexcept {
  if (bytes <= 128) return bytes == 0 ? 0 : static_cast<unsigned>((bytes - 1) / kGranule);
  const unsigned width = static_cast<unsigned>(std::bit_width(bytes - 1));
  return 8 + (width - 8) * 4 + static_cast<unsigned>((bytes - 1) >> (width - 3) & 3);
}

constexpr size_t computed_cell_size(unsigned cls) noexcept {
  if (cls < 8) return (cls + 1) * kGranule;
  return size_t{5 + (cls - 8) % 4} << ((cls - 8) / 4 + 5);
}

struct CellClass {
  uint32_t size;
  uint16_t blocks;  // of a span
  uint16_t cells;   // of a span
  uint16_t batch;   // cells that move between a thread and the central list at once
};

constexpr CellClass make_cell_class(unsigned cls) noexcept {
  constexpr unsigned kMostBlocks = 16;
  const size_t size = computed_cell_size(cls);
  unsigned blocks = 1;
  while (blocks < kMostBlocks && (blocks * kBlockBytes / size < 4 ||
                                  blocks * kBlockBytes % size > blocks * kBlockBytes / 16)) {
    ++blocks;
  }
  const size_t batch = kBlockBytes / size;
  return {static_cast<uint32_t>(size), static_cast<uint16_t>(blocks),
          static_cast<uint16_t>(blocks * kBlockBytes / size),
          static_cast<uint16_t>(batch < 2    ? 2
                                : batch > 64 ? 64
                                             : batch)};
}

constexpr std::array<CellClass, kClasses> make_cell_classes() noexcept {
  std::array<CellClass, kClasses> classes{};
  for (unsigned cls = 0; cls < kClasses; ++cls) classes[cls] = make_cell_class(cls);
  return classes;
}

inline constexpr std::array<CellClass, kClasses> kCellClasses = make_cell_classes();

static_assert(class_of(kLargestCell) == kClasses - 1);
static_assert(kCellClasses[kClasses - 1].size == kLargestCell);
static_assert(kCellClasses[class_of(129)].size == 160 && kCellClasses[class_of(160)].size == 160);

}  // namespace tricolor::traced
