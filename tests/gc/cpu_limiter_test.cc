#include "gc/cpu_limiter.h"

#include <doctest/doctest.h>

#include <initializer_list>
#include <limits>

namespace tricolor::gc {
namespace {

constexpr int64_t kSecond = 1'000'000'000;
constexpr int64_t kMax = std::numeric_limits<int64_t>::max();

TEST_CASE("cpu limiter: the bucket holds a second for each processor") {
  CHECK(CpuLimiter(1).capacity_ns() == kSecond);
  CHECK(CpuLimiter(8).capacity_ns() == 8 * kSecond);
  CHECK(CpuLimiter(0.5).capacity_ns() == kSecond / 2);
}

TEST_CASE("cpu limiter: limits when the collector alone has run for a second") {
  CpuLimiter limiter(1);
  limiter.add(kSecond - 1, kSecond - 1);
  CHECK_FALSE(limiter.limiting());
  limiter.add(1, 1);
  CHECK(limiter.limiting());
}

TEST_CASE("cpu limiter: half of the CPU never limits and never drains") {
  CpuLimiter limiter(2);
  limiter.add(kSecond, kSecond);
  for (int i = 0; i < 1000; ++i) limiter.add(kSecond / 2, kSecond);
  CHECK(limiter.fill_ns() == kSecond);
  CHECK_FALSE(limiter.limiting());
}

TEST_CASE("cpu limiter: just over half limits in the end") {
  CpuLimiter limiter(1);
  int rounds = 0;
  for (; rounds < 1000 && !limiter.limiting(); ++rounds) limiter.add(51, 100);
  CHECK_FALSE(limiter.limiting());
  for (rounds = 0; rounds < 1000 && !limiter.limiting(); ++rounds) {
    limiter.add(kSecond * 51 / 1000, kSecond / 10);
  }
  // Two percent of 100 ms a round.
  CHECK(rounds >= 498);
  CHECK(rounds <= 500);
}

TEST_CASE("cpu limiter: below the mark the limit ends") {
  CpuLimiter limiter(1);
  limiter.add(kSecond, kSecond);
  CHECK(limiter.limiting());
  limiter.add(0, 0);
  CHECK(limiter.limiting());
  limiter.add(50, 100);
  CHECK(limiter.limiting());
  limiter.add(49, 100);
  CHECK_FALSE(limiter.limiting());
  CHECK(limiter.fill_ns() == kSecond - 2);
}

TEST_CASE("cpu limiter: idle days earn no credit") {
  CpuLimiter limiter(1);
  limiter.add(0, 86'400 * kSecond);
  CHECK(limiter.fill_ns() == 0);
  limiter.add(kSecond, kSecond);
  CHECK(limiter.limiting());
}

TEST_CASE("cpu limiter: steps past the mark are not free") {
  CpuLimiter limiter(1);
  limiter.add(kSecond, kSecond);
  constexpr int64_t kStep = kSecond / 100;
  int64_t gc = 0;
  for (int i = 0; i < 10'000; ++i) {
    const int64_t used = limiter.limiting() ? kStep / 4 : kStep * 95 / 100;
    limiter.add(used, kStep);
    gc += used;
  }
  CHECK(static_cast<double>(gc) / (10'000.0 * kStep) == doctest::Approx(0.5).epsilon(0.005));
}

TEST_CASE("cpu limiter: what runs over the rim is counted as overflow") {
  CpuLimiter limiter(1);
  limiter.add(3 * kSecond, 3 * kSecond);
  CHECK(limiter.fill_ns() == kSecond + CpuLimiter::kRimPerProcessorNs);
  CHECK(limiter.overflow_ns() == 2 * kSecond - CpuLimiter::kRimPerProcessorNs);
  limiter.add(kSecond, kSecond);
  CHECK(limiter.overflow_ns() == 3 * kSecond - CpuLimiter::kRimPerProcessorNs);
}

TEST_CASE("cpu limiter: a change of processors keeps the fill within the bucket") {
  CpuLimiter limiter(4);
  limiter.add(2 * kSecond, 2 * kSecond);
  limiter.set_processors(1);
  CHECK(limiter.fill_ns() == kSecond + CpuLimiter::kRimPerProcessorNs);
  CHECK(limiter.limiting());
  limiter.set_processors(4);
  CHECK(limiter.fill_ns() == kSecond + CpuLimiter::kRimPerProcessorNs);
  CHECK_FALSE(limiter.limiting());
}

TEST_CASE("cpu limiter: senseless processors count as one") {
  for (const double processors : {0.0, -3.0, std::numeric_limits<double>::quiet_NaN()}) {
    CHECK(CpuLimiter(processors).capacity_ns() == kSecond);
  }
  CHECK(CpuLimiter(std::numeric_limits<double>::infinity()).capacity_ns() > kSecond);
}

// [limiter.bounds]
TEST_CASE("cpu limiter: extreme times stay within the bounds") {
  const std::initializer_list<int64_t> times = {
      std::numeric_limits<int64_t>::min(), -1, 0, 1, kMax - 1, kMax};
  CpuLimiter limiter(3);
  for (int round = 0; round < 3; ++round) {
    for (const int64_t gc : times) {
      for (const int64_t total : times) {
        limiter.add(gc, total);
        CHECK(limiter.fill_ns() >= 0);
        CHECK(limiter.fill_ns() <= limiter.capacity_ns() + 3 * CpuLimiter::kRimPerProcessorNs);
        CHECK(limiter.overflow_ns() >= 0);
      }
    }
  }
}

TEST_CASE("cpu limiter: the collector has at most all of the time") {
  CpuLimiter limiter(1);
  limiter.add(5 * kSecond, kSecond / 2);
  CHECK(limiter.fill_ns() == kSecond / 2);
}

}  // namespace
}  // namespace tricolor::gc
