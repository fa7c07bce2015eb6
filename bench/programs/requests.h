#pragma once

// Requests that a thread serves one after the other, how long they took, and when the thread made
// no progress at all.
//
// Closed loop: a request begins when the one before is done. Open loop: request n begins at n times
// the interval, whether the thread is ready or not, so a stall counts for all who waited meanwhile.
// A gap is a time longer than kGap between two looks at the clock: a collector's, or the machine's
// own. Minimum mutator utilisation (Cheng and Blelloch, 2001) is computed from the gaps.
// Threads: each serving thread has one of its own; merge() them afterwards.

#include <time.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

#include "bench/programs/histogram.h"

namespace bench::programs {

inline std::uint64_t now_ns() {
  timespec t{};
  clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<std::uint64_t>(t.tv_sec) * 1'000'000'000 +
         static_cast<std::uint64_t>(t.tv_nsec);
}

struct Gap {
  std::uint64_t begin;
  std::uint64_t end;
};

// The least share of any window of so many nanoseconds within [begin, end) that lies in no gap. The
// gaps are in order and do not overlap.
double minimum_utilisation(const std::vector<Gap>& gaps, std::uint64_t begin, std::uint64_t end,
                           std::uint64_t window);

// A thread that sleeps for 200 us again and again, never touches the heap, and counts how much
// later than asked it runs: what the machine and the scheduler cost a thread that no collector
// knows.
class Control {
 public:
  Control();
  ~Control();
  Control(const Control&) = delete;
  Control& operator=(const Control&) = delete;

  std::string json();

 private:
  void watch();

  std::atomic<bool> over_{false};
  Histogram late_;
  std::thread thread_;
};

class Requests {
 public:
  // 0 is the closed loop.
  explicit Requests(std::uint64_t interval_ns = 0) : interval_(interval_ns) {
    gaps_.reserve(65536);
  }

  void begin() { begin_ = last_ = due_ = now_ns(); }
  // The open loop's next request: returns at its time, or at once if that is over. Closed: at once.
  void await() {
    due_ += interval_;
    while (last_ < due_) tick();
  }
  // Within a request that lasts longer than some microseconds: there is progress.
  void tick() {
    const std::uint64_t now = now_ns();
    if (now - last_ > kGap) gaps_.push_back({last_, now});
    last_ = now;
  }
  // The request is done.
  void done() {
    tick();
    latency_.add(last_ - due_);
    if (interval_ == 0) due_ = last_;
  }

  // `other` is of another thread, which is done.
  void merge(const Requests& other);
  void set_control(Control& control) { control_ = &control; }
  // `, "latency": .., "mmu": ..` and, if there is one, `, "control": ..`
  std::string json() const;

 private:
  static constexpr std::uint64_t kGap = 10'000;
  static constexpr std::array<double, 4> kWindows = {0.1, 1, 10, 100};  // ms

  double utilisation(std::size_t window) const;

  std::uint64_t interval_;
  std::uint64_t begin_ = 0;
  std::uint64_t last_ = 0;
  std::uint64_t due_ = 0;  // closed loop: when the last one was done
  Histogram latency_;
  std::vector<Gap> gaps_;
  std::array<double, 4> worst_of_others_ = {1, 1, 1, 1};
  Control* control_ = nullptr;
};

}  // namespace bench::programs
