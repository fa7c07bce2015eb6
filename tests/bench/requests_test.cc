#include "bench/programs/requests.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <random>

using bench::programs::Gap;
using bench::programs::minimum_utilisation;

namespace {

// By definition: every window, the long way.
double minimum_by_hand(const std::vector<Gap>& gaps, std::uint64_t begin, std::uint64_t end,
                       std::uint64_t window) {
  double least = 1;
  for (std::uint64_t from = begin; from + window <= end; ++from) {
    std::uint64_t lost = 0;
    for (const Gap& gap : gaps) {
      const std::uint64_t low = std::max(gap.begin, from);
      const std::uint64_t high = std::min(gap.end, from + window);
      if (low < high) lost += high - low;
    }
    least = std::min(least, 1 - static_cast<double>(lost) / static_cast<double>(window));
  }
  return least;
}

}  // namespace

TEST_CASE("utilisation: without gaps, or in a run shorter than the window, it is whole") {
  CHECK(minimum_utilisation({}, 0, 1000, 10) == 1);
  CHECK(minimum_utilisation({{0, 50}}, 0, 50, 100) == 1);
}

TEST_CASE("utilisation: a gap as long as the window leaves nothing") {
  CHECK(minimum_utilisation({{100, 200}}, 0, 1000, 100) == 0);
  CHECK(minimum_utilisation({{100, 200}}, 0, 1000, 200) == doctest::Approx(0.5));
}

TEST_CASE("utilisation: gaps that share a window add up") {
  CHECK(minimum_utilisation({{100, 110}, {120, 130}, {500, 510}}, 0, 1000, 40) ==
        doctest::Approx(0.5));
}

TEST_CASE("utilisation: as by definition, for random gaps") {
  std::mt19937 random(7);
  for (int round = 0; round < 200; ++round) {
    std::vector<Gap> gaps;
    std::uint64_t at = 1000;
    for (int i = 0; i < 6; ++i) {
      const std::uint64_t from = at + random() % 20;
      at = from + 1 + random() % 15;
      gaps.push_back({from, at});
    }
    const std::uint64_t end = at + random() % 20;
    for (const std::uint64_t window : {1, 10, 30, 60}) {
      CAPTURE(round);
      CAPTURE(window);
      if (end < 1000 + window) continue;
      CHECK(minimum_utilisation(gaps, 1000, end, window) ==
            doctest::Approx(minimum_by_hand(gaps, 1000, end, window)));
    }
  }
}
