#include "gc/cpu_limiter.h"

#include <algorithm>
#include <limits>

namespace tricolor::gc {

CpuLimiter::CpuLimiter(double processors) { set_processors(processors); }

void CpuLimiter::set_processors(double processors) {
  constexpr double kMaxProcessors = 1e6;
  if (!(processors > 0)) processors = 1;
  processors = std::min(processors, kMaxProcessors);
  capacity_ns_ = std::max<int64_t>(static_cast<int64_t>(processors * kCapacityPerProcessorNs), 1);
  size_ns_ = capacity_ns_ + static_cast<int64_t>(processors * kRimPerProcessorNs);
  fill_ns_ = std::min(fill_ns_, size_ns_);
}

void CpuLimiter::add(int64_t gc_ns, int64_t total_ns) {
  total_ns = std::max<int64_t>(total_ns, 0);
  gc_ns = std::clamp<int64_t>(gc_ns, 0, total_ns);
  const int64_t program_ns = total_ns - gc_ns;
  const int64_t change = gc_ns - program_ns;
  // [limiter.bounds]
  const int64_t room = size_ns_ - fill_ns_;
  if (change <= room) {
    fill_ns_ = std::max<int64_t>(fill_ns_ + change, 0);
    return;
  }
  fill_ns_ = size_ns_;
  const int64_t lost = change - room;
  if (__builtin_add_overflow(overflow_ns_, lost, &overflow_ns_)) {
    overflow_ns_ = std::numeric_limits<int64_t>::max();
  }
}

}  // namespace tricolor::gc
