#pragma once

// What every program of this folder shares: random numbers, the checksum, its arguments and its
// last line. README.md of this folder has the contract.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace bench::programs {

class Requests;

// SplitMix64 (Steele, Lea and Flood, 2014). Go's and Java's twins draw the same numbers.
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}

  std::uint64_t next() {
    std::uint64_t z = state_ += 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }
  // In [0, n); n is below 2^31.
  std::uint32_t below(std::uint32_t n) {
    return static_cast<std::uint32_t>(((next() >> 32) * n) >> 32);
  }

 private:
  std::uint64_t state_;
};

// One more value in a checksum.
inline std::uint64_t mixed(std::uint64_t sum, std::uint64_t value) { return sum * 1000003 + value; }

// A run. Threads: the one of main().
class Program {
 public:
  Program(int argc, char** argv);

  bool quick() const { return quick_; }
  bool has(std::string_view name) const;
  std::string text(std::string_view name, std::string_view otherwise) const;
  // --name=N, or what a full or a quick run takes. Something else than digits ends the process.
  std::uint64_t number(std::string_view name, std::uint64_t full, std::uint64_t quick) const;
  // --threads=N.
  unsigned threads() const { return static_cast<unsigned>(number("--threads", 1, 1)); }

  // The clocks of wall and processor time start; what came before is not counted.
  void begin();
  // They stop; end() does it, unless it was done before.
  void stop();
  void figure(std::string_view name, double value);
  // Prints the line. The result is main()'s.
  int end(std::uint64_t checksum, std::uint64_t collections, const Requests* requests = nullptr);

 private:
  std::vector<std::string_view> arguments_;
  bool quick_;
  bool stopped_ = false;
  double wall_ = 0;
  double cpu_ = 0;
  std::string figures_;
};

}  // namespace bench::programs
