#pragma once

// Measure: what a run cost the machine, and the one line of JSON that reports it.
//
// Threads: the main thread alone.

#include <algorithm>
#include <cstdint>
#include <string>

#include "bench/replay/program.h"

namespace bench::replay {

// Consecutive operations that count as one batch: so many clock readings.
inline constexpr uint64_t kBatch = 1024;
// Copies of a program that run on one thread take turns of so many operations.
inline constexpr uint64_t kTurn = 256;

// In ticks. A time runs from the end of the one before, so nothing is left out between them.
class Stalls {
 public:
  // Time before `now` counts for nothing: the run begins, or goes on after it waited for a thread.
  void begin(uint64_t now) {
    last_ = batch_began_ = now;
    left_ = kBatch / kClocked;
  }

  // kClocked operations have ended, or fewer at the end of a run.
  void operations_ended(uint64_t now) {
    const uint64_t took = now - last_;
    if (took > longest_) longest_ = took;
    last_ = now;
    if (--left_ == 0) {
      if (now - batch_began_ > longest_batch_) longest_batch_ = now - batch_began_;
      batch_began_ = now;
      left_ = kBatch / kClocked;
    }
  }

  // What another thread saw counts too.
  void include(const Stalls& other) {
    longest_ = std::max(longest_, other.longest());
    longest_batch_ = std::max(longest_batch_, other.longest_batch());
  }

  uint64_t longest() const { return longest_; }
  // The batch that the run ended in counts, short as it is.
  uint64_t longest_batch() const { return std::max(longest_batch_, last_ - batch_began_); }

 private:
  uint64_t last_ = 0;
  uint64_t batch_began_ = 0;
  uint64_t left_ = kBatch / kClocked;
  uint64_t longest_ = 0;
  uint64_t longest_batch_ = 0;
};

struct Report {
  std::string backend;
  std::string trace;
  uint64_t repeat = 1;
  uint64_t scale = 1;
  uint64_t threads = 1;
  std::string allocator;  // which one lies under malloc, or empty
  uint64_t operations = 0;
  uint64_t checksum = 0;
  uint64_t collections = 0;
  double wall_s = 0;
  double user_s = 0;
  double system_s = 0;
  uint64_t base_bytes = 0;      // resident before the first operation: the program, mostly
  uint64_t peak_bytes = 0;      // the highest resident size from then on
  double longest_stall_us = 0;  // of kClocked operations
  double longest_batch_us = 0;  // of kBatch operations
  double decode_s = 0;          // processor time of the replayer's own part
  std::string oracle;           // JSON of what the oracle found, or empty
};

// Measures from its construction to stop().
class Measurement {
 public:
  Measurement();
  // Fills in everything of `report` that this class and `stalls` know.
  void stop(const Stalls& stalls, Report& report) const;

 private:
  uint64_t base_bytes_;
  double user_;
  double system_;
  uint64_t began_ns_;
  uint64_t began_ticks_;
};

std::string to_json(const Report& report, const ProgramInfo& program);

}  // namespace bench::replay
