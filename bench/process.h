#pragma once

// What a benchmark process says about itself: time, and one line of JSON on stdout that
// bench/compare.py reads.

#include <fmt/format.h>
#include <sys/resource.h>
#include <time.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace bench {

inline double now_s() {
  timespec t{};
  clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) * 1e-9;
}

// Processor time of all threads of the process.
inline double process_cpu_s() {
  timespec t{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) * 1e-9;
}

inline double peak_rss_mb() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) / 1024;
}

inline double median(std::vector<double> values) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  const std::size_t half = values.size() / 2;
  return values.size() % 2 != 0 ? values[half] : (values[half - 1] + values[half]) / 2;
}

// The value below which the fraction `p` of the sorted values lies.
inline double percentile(const std::vector<double>& sorted, double p) {
  if (sorted.empty()) return 0;
  const auto at = static_cast<std::size_t>(p * static_cast<double>(sorted.size()));
  return sorted[std::min(at, sorted.size() - 1)];
}

// The arguments `--name=value` and `--name`.
class Arguments {
 public:
  Arguments(int argc, char** argv) : all_(argv + std::min(argc, 1), argv + argc) {}

  bool has(std::string_view name) const {
    return std::any_of(all_.begin(), all_.end(), [&](std::string_view a) { return a == name; });
  }
  std::string text(std::string_view name, std::string_view otherwise) const {
    for (const std::string_view a : all_) {
      if (a.size() > name.size() && a.substr(0, name.size()) == name && a[name.size()] == '=')
        return std::string(a.substr(name.size() + 1));
    }
    return std::string(otherwise);
  }
  std::uint64_t number(std::string_view name, std::uint64_t otherwise) const {
    const std::string given = text(name, "");
    return given.empty() ? otherwise : std::strtoull(given.c_str(), nullptr, 10);
  }

 private:
  std::vector<std::string_view> all_;
};

// Collects figures and prints them as one line. A string is something that must be equal in every
// process that is compared.
class Figures {
 public:
  void add(std::string_view name, double value) {
    line_ += fmt::format("{}\"{}\": {:.6g}", separator(), name, value);
  }
  void add(std::string_view name, std::string_view text) {
    line_ += fmt::format("{}\"{}\": \"{}\"", separator(), name, text);
  }
  void print() { fmt::print("{{{}}}\n", line_); }

 private:
  const char* separator() const { return line_.empty() ? "" : ", "; }

  std::string line_;
};

}  // namespace bench
