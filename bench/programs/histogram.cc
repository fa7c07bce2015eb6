#include "bench/programs/histogram.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace bench::programs {

std::uint64_t Histogram::last_of(std::size_t bucket) {
  if (bucket < 2 * kPerPower) return bucket;
  const unsigned shift = static_cast<unsigned>(bucket >> kBits) - 1;
  return ((bucket - (std::uint64_t{shift} << kBits) + 1) << shift) - 1;
}

void Histogram::merge(const Histogram& other) {
  for (std::size_t i = 0; i < kBuckets; ++i) (*counts_)[i] += (*other.counts_)[i];
  count_ += other.count_;
  max_ = std::max(max_, other.max_);
}

std::uint64_t Histogram::percentile(double percent) const {
  // A percentile is rarely a binary fraction: 99.9% of 1000 values are 999 of them.
  const auto wanted =
      static_cast<std::uint64_t>(std::ceil(percent * static_cast<double>(count_) / 100 - 1e-6));
  std::uint64_t seen = 0;
  for (std::size_t i = 0; i < kBuckets; ++i) {
    seen += (*counts_)[i];
    if (seen >= wanted && seen > 0) return std::min(last_of(i), max_);
  }
  return max_;
}

std::string Histogram::json() const {
  std::string line = fmt::format("{{\"unit\": \"ns\", \"count\": {}", count_);
  for (const char* const p : {"50", "90", "99", "99.9", "99.99"})
    line += fmt::format(", \"p{}\": {}", p, percentile(std::atof(p)));
  line += fmt::format(", \"max\": {}, \"curve\": [", max_);
  // Up to the percentile above which there is one value.
  for (double rest = 100; rest * static_cast<double>(count_) >= 100; rest *= 0.75)
    line += fmt::format("[{:.6g}, {}], ", 100 - rest, percentile(100 - rest));
  return line + fmt::format("[100, {}]]}}", max_);
}

}  // namespace bench::programs
