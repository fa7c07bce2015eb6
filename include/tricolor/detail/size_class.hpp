// Size classes: the cell sizes that small objects are rounded up to.
//
// Multiples of 16 bytes up to 128, then eight steps per doubling up to 32 KiB, so that rounding up
// wastes at most one ninth of a cell above 128 bytes. A span holds cells of one class; it is as
// many 8 KiB pages long as keep the tail that no cell fits into below 1/32. Everything here is
// constexpr: `make<T>` folds its class at compile time. Class 0 means "no small object" (a free
// page); kLargeClass is a span of one large object.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace tricolor::gc::detail {

inline constexpr std::size_t kPageShift = 13;
inline constexpr std::size_t kPageSize = std::size_t{1} << kPageShift;
inline constexpr std::size_t kGranule = 16;
inline constexpr std::size_t kMaxSmallSize = 32768;
inline constexpr unsigned kSmallClasses = 72;
inline constexpr unsigned kClassCount = kSmallClasses + 1;  // with class 0
inline constexpr unsigned kLargeClass = kClassCount;
inline constexpr unsigned kMinSpanPages = 8;
inline constexpr unsigned kMaxSpanPages = 32;
inline constexpr unsigned kMinSpanCells = 4;
inline constexpr unsigned kMagicShift = 40;

// The class for an object of `size` bytes, 1 to kMaxSmallSize.
constexpr unsigned size_class_of(std::size_t size) noexcept {
  if (size <= 128) return size == 0 ? 1 : static_cast<unsigned>((size + 15) / 16);
  const unsigned octave = static_cast<unsigned>(std::bit_width(size - 1)) - 8;  // 0 for 129..256
  const std::size_t step = std::size_t{16} << octave;
  const std::size_t above = size - (std::size_t{128} << octave);
  return 8 + octave * 8 + static_cast<unsigned>((above + step - 1) / step);
}

constexpr std::size_t compute_class_size(unsigned cls) noexcept {
  if (cls <= 8) return cls * std::size_t{16};
  const unsigned octave = (cls - 9) / 8;
  return (std::size_t{128} << octave) + ((cls - 9) % 8 + 1) * (std::size_t{16} << octave);
}

struct SizeClass {
  std::uint64_t magic;  // ceil(2^40 / size): cell index = (offset in span * magic) >> 40
  std::uint32_t size;   // bytes
  std::uint16_t cells;  // per span
  std::uint16_t pages;  // per span
};

constexpr SizeClass compute_size_class(unsigned cls) noexcept {
  if (cls == 0) return {};
  const std::size_t size = compute_class_size(cls);
  unsigned pages = kMinSpanPages;
  while (pages < kMaxSpanPages && (pages * kPageSize / size < kMinSpanCells ||
                                   pages * kPageSize % size > pages * kPageSize / 32)) {
    ++pages;
  }
  return {((std::uint64_t{1} << kMagicShift) + size - 1) / size, static_cast<std::uint32_t>(size),
          static_cast<std::uint16_t>(pages * kPageSize / size), static_cast<std::uint16_t>(pages)};
}

constexpr std::array<SizeClass, kClassCount> compute_size_classes() noexcept {
  std::array<SizeClass, kClassCount> table{};
  for (unsigned cls = 0; cls < kClassCount; ++cls) table[cls] = compute_size_class(cls);
  return table;
}

inline constexpr std::array<SizeClass, kClassCount> kSizeClasses = compute_size_classes();

constexpr std::size_t class_size(unsigned cls) noexcept { return kSizeClasses[cls].size; }

static_assert(size_class_of(kMaxSmallSize) == kSmallClasses);
static_assert(class_size(kSmallClasses) == kMaxSmallSize);

// How the cells of a span are treated; part of the span's identity, so one test decides for a whole
// span.
enum class Kind : std::uint8_t {
  kScan,        // scanned word by word; nothing happens at death
  kLeaf,        // holds no references: never scanned
  kDestructor,  // scanned; the last word of the cell names the destructor to run at death
  // A leaf array that fills its cell: no word is left for the count, which follows from the cell's
  // size. Small ones are powers of two.
  kLeafWhole,
};
inline constexpr unsigned kKindCount = 3;  // that have all size classes

constexpr bool is_leaf_kind(Kind kind) noexcept {
  return kind == Kind::kLeaf || kind == Kind::kLeafWhole;
}

// The entries of a table of caches: each kind's size classes, then the powers of two from 16 bytes
// to 32 KiB for whole arrays.
inline constexpr unsigned kFirstWhole = kKindCount * kClassCount;
inline constexpr unsigned kCacheEntries = kFirstWhole + 12;

constexpr unsigned cache_index(Kind kind, unsigned cls) noexcept {
  if (kind != Kind::kLeafWhole) return static_cast<unsigned>(kind) * kClassCount + cls;
  return kFirstWhole + static_cast<unsigned>(std::countr_zero(class_size(cls) / kGranule));
}
constexpr Kind kind_at(unsigned index) noexcept {
  return index < kFirstWhole ? static_cast<Kind>(index / kClassCount) : Kind::kLeafWhole;
}
constexpr unsigned class_at(unsigned index) noexcept {
  return index < kFirstWhole ? index % kClassCount
                             : size_class_of(kGranule << (index - kFirstWhole));
}

static_assert(cache_index(Kind::kLeafWhole, size_class_of(kMaxSmallSize)) == kCacheEntries - 1);
static_assert(class_at(kCacheEntries - 1) == kSmallClasses);

}  // namespace tricolor::gc::detail
