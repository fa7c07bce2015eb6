#pragma once

// OutsideWatch: memory outside of the heap that dead objects may own, where nobody has told of it.
//
// Looks how much memory of the process is resident beside the heap and what
// runtime::adjust_external_memory was told of. Where that has grown by 256 MiB and by the heap's
// size, and there are objects with a destructor, a cycle is run: it may be theirs. If no destructor
// ran thereupon, the next cycle comes when it has doubled. In a trace the program is told once.
// When they have run, what malloc keeps of their memory is given back to the system: what is used
// again without growth would not be seen, and each cycle would come later than the one before. That
// takes a ninth of the time at most.
// Threads: the collector's.

#include <cstdint>

namespace tricolor::gc {

class OutsideWatch {
 public:
  static constexpr int64_t kPeriodNs = 100'000'000;
  static constexpr int64_t kHurryNs = 10'000'000;

  // Every period_ns() without a cycle: whether one is to be run.
  bool look() noexcept;
  // How long until the next look: shorter while it grows fast, or the dead are being destroyed.
  int64_t period_ns() const noexcept { return hurries_ ? kHurryNs : kPeriodNs; }
  // A cycle has ended.
  void hint() noexcept;

 private:
  void hint(int64_t resident, int64_t heap) noexcept;
  // Resident beside the heap and what was told of.
  int64_t outside_bytes() noexcept;
  void trim() noexcept;

  int64_t least_ = 0;  // beside the heap, since the last cycle for this reason
  int64_t last_ = 0;
  bool settles_ = false;  // the dead of that cycle are being destroyed
  bool hurries_ = false;
  bool helped_ = false;  // destructors ran after the last cycle for this reason
  uint64_t progress_ = 0;
  int64_t next_trim_ns_ = 0;
  bool hinted_ = false;
};

extern constinit OutsideWatch g_outside_watch;

}  // namespace tricolor::gc
