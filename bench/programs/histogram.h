#pragma once

// Counts of durations in nanoseconds, in buckets whose width grows with the value: HdrHistogram's
// layout (Tene) with 256 buckets to a power of two, so that a percentile is read 0.4% too high at
// most. Debian 12 packages HdrHistogram for Go and Java alone, hence our own.
// Threads: one; merge() what several have counted.

#include <array>
#include <bit>
#include <cstdint>
#include <memory>
#include <string>

namespace bench::programs {

class Histogram {
 public:
  Histogram() : counts_(new std::array<std::uint64_t, kBuckets>{}) {}

  void add(std::uint64_t value) {
    ++(*counts_)[bucket_of(value)];
    ++count_;
    if (value > max_) max_ = value;
  }
  void merge(const Histogram& other);

  std::uint64_t count() const { return count_; }
  std::uint64_t max() const { return max_; }
  // The smallest value that `percent` of all values do not exceed, rounded up to its bucket's end.
  std::uint64_t percentile(double percent) const;
  // {"unit", "count", "p50" .. "max", "curve"}: each step of the curve goes a quarter of the way to
  // 100%.
  std::string json() const;

 private:
  static constexpr unsigned kBits = 8;
  static constexpr std::uint64_t kPerPower = std::uint64_t{1} << kBits;
  static constexpr std::size_t kBuckets = (64 - kBits + 1) << kBits;

  static std::size_t bucket_of(std::uint64_t value) {
    if (value < kPerPower) return value;
    const unsigned shift = static_cast<unsigned>(std::bit_width(value)) - kBits - 1;
    return (std::size_t{shift} << kBits) + (value >> shift);
  }
  static std::uint64_t last_of(std::size_t bucket);

  std::unique_ptr<std::array<std::uint64_t, kBuckets>> counts_;
  std::uint64_t count_ = 0;
  std::uint64_t max_ = 0;
};

}  // namespace bench::programs
