#include "bench/programs/requests.h"

#include <fmt/format.h>
#include <sys/prctl.h>

#include <algorithm>

namespace bench::programs {

double minimum_utilisation(const std::vector<Gap>& gaps, std::uint64_t begin, std::uint64_t end,
                           std::uint64_t window) {
  if (end < begin + window) return 1;
  // A worst window begins where a gap begins or ends where one ends.
  std::uint64_t worst = 0;
  std::vector<std::uint64_t> before(gaps.size() + 1);  // nanoseconds of gaps before gap i
  for (std::size_t i = 0; i < gaps.size(); ++i)
    before[i + 1] = before[i] + gaps[i].end - gaps[i].begin;
  // Nanoseconds of gaps before the time `t`.
  const auto lost_before = [&](std::uint64_t t) {
    const auto after = std::partition_point(gaps.begin(), gaps.end(),
                                            [t](const Gap& gap) { return gap.begin < t; });
    const auto i = static_cast<std::size_t>(after - gaps.begin());
    return i == 0 ? 0 : before[i] - (gaps[i - 1].end > t ? gaps[i - 1].end - t : 0);
  };
  const auto try_window = [&](std::uint64_t from) {
    worst = std::max(worst, lost_before(from + window) - lost_before(from));
  };
  for (const Gap& gap : gaps) {
    try_window(std::min(gap.begin, end - window));
    try_window(std::max(gap.end, begin + window) - window);
  }
  return 1 - static_cast<double>(worst) / static_cast<double>(window);
}

Control::Control() : thread_([this] { watch(); }) {}

Control::~Control() {
  over_ = true;
  if (thread_.joinable()) thread_.join();
}

void Control::watch() {
  constexpr long kSleep = 200'000;
  prctl(PR_SET_TIMERSLACK, 1);
  // Relaxed: nothing is handed over but the wish to end; join() orders the histogram.
  while (!over_.load(std::memory_order_relaxed)) {
    const std::uint64_t from = now_ns();
    const timespec sleep{0, kSleep};
    clock_nanosleep(CLOCK_MONOTONIC, 0, &sleep, nullptr);
    late_.add(now_ns() - from - kSleep);
  }
}

std::string Control::json() {
  over_ = true;
  if (thread_.joinable()) thread_.join();
  return fmt::format("{{\"unit\": \"ns\", \"count\": {}, \"p50\": {}, \"p99.9\": {}, \"max\": {}}}",
                     late_.count(), late_.percentile(50), late_.percentile(99.9), late_.max());
}

double Requests::utilisation(std::size_t window) const {
  return minimum_utilisation(gaps_, begin_, last_,
                             static_cast<std::uint64_t>(kWindows[window] * 1e6));
}

void Requests::merge(const Requests& other) {
  latency_.merge(other.latency_);
  for (std::size_t i = 0; i < kWindows.size(); ++i)
    worst_of_others_[i] =
        std::min({worst_of_others_[i], other.worst_of_others_[i], other.utilisation(i)});
}

std::string Requests::json() const {
  std::string line = fmt::format(", \"latency\": {}, \"mmu\": {{", latency_.json());
  for (std::size_t i = 0; i < kWindows.size(); ++i)
    line += fmt::format("{}\"{:g}\": {:.4g}", i == 0 ? "" : ", ", kWindows[i],
                        std::min(utilisation(i), worst_of_others_[i]));
  line += "}";
  return control_ == nullptr ? line : line + ", \"control\": " + control_->json();
}

}  // namespace bench::programs
