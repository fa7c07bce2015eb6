// CpuLimiter: keeps the collector from taking more than half of the CPU for long, so that a memory
// limit that cannot be met slows a program down instead of stopping it.
//
// A leaky bucket, as in Go's gcCPULimiter: CPU time of the collector fills it, the program's drains
// it, and it holds one second for each processor. Full means limiting: assists are to be let off
// until the program has run again. Time the collector spent on processors nobody wanted (idle
// priority) belongs to neither side.
//
// Unlike Go's, the bucket stands a rim above full. Whoever calls add every few milliseconds fills
// it past the mark before it can say so; were that forgotten, each such step would be free, and the
// collector would settle at 60% instead of 50%.
//
// [limiter.bounds]  0 <= fill <= capacity + rim; idle days earn no credit.
// Pure arithmetic on nanoseconds of CPU time. Threads: one at a time, the caller sees to it.
#pragma once

#include <cstdint>

namespace tricolor::gc {

class CpuLimiter {
 public:
  static constexpr int64_t kCapacityPerProcessorNs = 1'000'000'000;
  // Also the longest that may pass between two calls of add while assists run.
  static constexpr int64_t kRimPerProcessorNs = 100'000'000;

  // processors: what the process may use, a CPU quota of 1.5 being 1.5. What is not above 0 counts
  // as one.
  explicit CpuLimiter(double processors = 1);

  // Keeps the fill, cut to the new size.
  void set_processors(double processors);

  // total_ns of CPU were available since the last call, and gc_ns of them went to background
  // marking and assists. Negative times count as 0, and gc_ns as at most total_ns.
  void add(int64_t gc_ns, int64_t total_ns);

  bool limiting() const { return fill_ns_ >= capacity_ns_; }
  int64_t fill_ns() const { return fill_ns_; }
  int64_t capacity_ns() const { return capacity_ns_; }
  // What ran over the rim since construction.
  int64_t overflow_ns() const { return overflow_ns_; }

 private:
  int64_t fill_ns_ = 0;
  int64_t capacity_ns_ = 0;
  int64_t size_ns_ = 0;  // capacity and rim
  int64_t overflow_ns_ = 0;
};

}  // namespace tricolor::gc
