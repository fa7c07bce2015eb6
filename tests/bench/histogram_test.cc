#include "bench/programs/histogram.h"

#include <doctest/doctest.h>

using bench::programs::Histogram;

TEST_CASE("histogram: small values are exact") {
  Histogram histogram;
  for (std::uint64_t value = 1; value <= 100; ++value) histogram.add(value);
  CHECK(histogram.count() == 100);
  CHECK(histogram.percentile(50) == 50);
  CHECK(histogram.percentile(99) == 99);
  CHECK(histogram.percentile(100) == 100);
  CHECK(histogram.max() == 100);
}

TEST_CASE("histogram: of a thousand values, 99.9% are 999") {
  Histogram histogram;
  for (int i = 0; i < 999; ++i) histogram.add(1);
  histogram.add(200);
  CHECK(histogram.percentile(99.9) == 1);
  CHECK(histogram.percentile(99.99) == 200);
}

TEST_CASE("histogram: a percentile is never below its value, and at most a 256th above") {
  for (const std::uint64_t value :
       {511ull, 512ull, 12'345ull, 1'000'000'007ull, ~0ull >> 1, ~0ull}) {
    CAPTURE(value);
    Histogram histogram;
    histogram.add(value);
    histogram.add(~std::uint64_t{0});
    const std::uint64_t read = histogram.percentile(50);
    CHECK(read >= value);
    CHECK(read - value <= value / 256);
  }
}

TEST_CASE("histogram: neighbouring buckets do not overlap") {
  Histogram histogram;
  for (const std::uint64_t value : {255, 256, 257, 511, 512, 513, 514}) histogram.add(value);
  CHECK(histogram.percentile(14) == 255);
  CHECK(histogram.percentile(57) == 511);
  CHECK(histogram.percentile(85) == 513);
}

TEST_CASE("histogram: what is merged counts as if added") {
  Histogram a;
  Histogram b;
  for (int i = 0; i < 99; ++i) a.add(10);
  b.add(1'000'000);
  a.merge(b);
  CHECK(a.count() == 100);
  CHECK(a.percentile(99) == 10);
  CHECK(a.percentile(99.9) == 1'000'000);
  CHECK(a.max() == 1'000'000);
}
