#include "gc/outside_watch.h"

#include <algorithm>

#include "gc/finalizer_thread.h"
#include "gc/options.h"
#include "gc/pacing.h"
#include "runtime/heap/spans.h"
#include "runtime/os/os.h"
#include "runtime/trace_log.h"

namespace tricolor::gc {

namespace {

constexpr int64_t kFarBeyond = 4;                   // times the heap
constexpr int64_t kFastGrowth = int64_t{32} << 20;  // in a period
constexpr int64_t kWorthAHint = int64_t{256} << 20;
constexpr int64_t kTrimPause = 8;  // times what the last one took

int64_t committed_bytes() noexcept {
  return static_cast<int64_t>(runtime::g_spans.pages().bytes_committed());
}

// A sanitizer's shadow belongs to no object.
int64_t resident_bytes() noexcept {
  return TRICOLOR_TSAN || TRICOLOR_ASAN ? 0 : runtime::os::resident_bytes();
}

}  // namespace

constinit OutsideWatch g_outside_watch;

void OutsideWatch::hint(int64_t resident, int64_t heap) noexcept {
  if (hinted_ || options().gctrace < 1 || g_pacing.told_external() != 0) return;
  if (resident < kWorthAHint || resident / kFarBeyond < heap) return;
  hinted_ = true;
  runtime::TraceLine line;
  line.append("gc: hint: ").append_mb(resident).append(" MB are resident, ").append_mb(heap);
  line.append(" MB of them the heap's: where objects own the rest, ");
  line.append("runtime::adjust_external_memory makes it count");
  runtime::write_line(line);
}

void OutsideWatch::hint() noexcept {
  if (!hinted_ && options().gctrace >= 1) hint(resident_bytes(), committed_bytes());
}

int64_t OutsideWatch::outside_bytes() noexcept {
  const int64_t resident = resident_bytes();
  const int64_t heap = committed_bytes();
  hint(resident, heap);
  return std::max<int64_t>(0, resident - heap - g_pacing.told_external());
}

void OutsideWatch::trim() noexcept {
  const int64_t start = runtime::os::now_ns();
  if (start < next_trim_ns_) return;
  runtime::os::trim_malloc();
  const int64_t end = runtime::os::now_ns();
  next_trim_ns_ = end + kTrimPause * (end - start);
  least_ = last_ = outside_bytes();
}

bool OutsideWatch::look() noexcept {
  if (!runtime::g_spans.have_had_destructors()) return false;
  const int64_t outside = outside_bytes();
  hurries_ = settles_ || outside - last_ > kFastGrowth;
  last_ = outside;
  if (settles_) {
    settles_ = finalizer_thread().waiting() != 0 && !finalizer_thread().by_hand();
    least_ = outside;
    helped_ = finalizer_thread().progress() != progress_;
    if (!settles_ && helped_ && outside >= kWorthAHint) trim();
    return false;
  }
  const int64_t heap = committed_bytes();
  least_ = std::min(least_, outside);
  // As much as the heap at least: marking it is what a cycle costs.
  if (g_pacing.never_due() || outside - least_ < std::max(kWorthAHint, heap)) return false;
  if (!helped_ && outside / 2 < least_) return false;
  settles_ = hurries_ = true;
  progress_ = finalizer_thread().progress();
  return true;
}

}  // namespace tricolor::gc
