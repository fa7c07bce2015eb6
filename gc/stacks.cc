#include "gc/stacks.h"

#include <signal.h>
#include <sys/mman.h>

#include <algorithm>
#include <mutex>
#include <vector>

#include "gc/barrier.h"
#include "gc/thread_data.h"
#include "runtime/os/os.h"

namespace tricolor::gc {

using runtime::g_heap;
using runtime::StackView;
using runtime::Thread;

namespace {

struct Range {
  const char* lo;
  const char* hi;
};

runtime::Lock g_fibers_lock{runtime::LockRank::leaf};
// Guarded by g_fibers_lock. A handler takes the lock too; it never interrupts a holder, which is in
// a runtime section.
std::vector<Range>& fibers() {
  static auto* const ranges = new std::vector<Range>;
  return *ranges;
}

// Frames are written by their owner while they are read here only in blocked regions, where they
// hold nothing of ours; reads are single words, and the sanitizers are not asked about them.
__attribute__((no_sanitize("address", "thread", "undefined"))) void scan_range(
    Thread& thread, const char* lo, const char* hi) noexcept {
  const uintptr_t base = reinterpret_cast<uintptr_t>(g_heap.base());
  const size_t limit = g_heap.limit();
  const auto* word = reinterpret_cast<const volatile uintptr_t*>(
      (reinterpret_cast<uintptr_t>(lo) + 7) & ~uintptr_t{7});
  const auto* const end =
      reinterpret_cast<const volatile uintptr_t*>(reinterpret_cast<uintptr_t>(hi) & ~uintptr_t{7});
  if (word >= end) return;
  thread.data->scanned_stack_bytes += hi - lo;
  for (; word < end; ++word) {
    const uintptr_t value = *word;
    if (value - base < limit) shade_candidate(thread, value);
  }
}

// Pages that were never touched hold nothing, and those of the main thread's stack may not even be
// mapped.
void scan_resident(Thread& thread, const char* lo, const char* hi) noexcept {
  const size_t page = runtime::os::page_size();
  constexpr size_t kBatch = 256;
  unsigned char resident[kBatch];
  const uintptr_t first = reinterpret_cast<uintptr_t>(lo) / page * page;
  for (uintptr_t at = first; at < reinterpret_cast<uintptr_t>(hi);) {
    const size_t pages =
        std::min<size_t>(kBatch, (reinterpret_cast<uintptr_t>(hi) - at + page - 1) / page);
    // NOLINTNEXTLINE(performance-no-int-to-ptr)
    if (mincore(reinterpret_cast<void*>(at), pages * page, resident) == 0) {
      for (size_t i = 0; i < pages; ++i) {
        if ((resident[i] & 1) == 0) continue;
        const char* const from =
            reinterpret_cast<const char*>(at + i * page);  // NOLINT(performance-no-int-to-ptr)
        scan_range(thread, std::max(from, lo), std::min(from + page, hi));
      }
      at += pages * page;
    } else if (pages == 1) {
      at += page;
    } else {
      // Something in the batch is not mapped: page by page.
      for (size_t i = 0; i < pages; ++i, at += page) {
        const char* const from =
            reinterpret_cast<const char*>(at);  // NOLINT(performance-no-int-to-ptr)
        if (mincore(const_cast<char*>(from), page, resident) == 0 && (resident[0] & 1) != 0) {
          scan_range(thread, std::max(from, lo), std::min(from + page, hi));
        }
      }
    }
  }
}

// The stack that a thread runs on when it is not its own: a fiber's, or the one for signals.
Range other_stack(const char* sp) noexcept {
  {
    const std::lock_guard guard(g_fibers_lock);
    for (const Range& range : fibers()) {
      if (sp >= range.lo && sp < range.hi) return range;
    }
  }
  stack_t signals;
  if (sigaltstack(nullptr, &signals) == 0 && (signals.ss_flags & SS_DISABLE) == 0) {
    const char* const lo = static_cast<const char*>(signals.ss_sp);
    if (sp >= lo && sp < lo + signals.ss_size) return {lo, lo + signals.ss_size};
  }
  // Unregistered: at least what lies right above.
  return {sp, sp + (size_t{64} << 10)};
}

}  // namespace

void scan_thread_stack(Thread& thread, StackView stack) noexcept {
  thread.data->scanned_stack_bytes = 0;
  for (size_t i = 0; i < stack.count; ++i) shade_candidate(thread, stack.words[i]);
  if (stack.sp >= thread.stack_lo && stack.sp < thread.stack_hi) {
    scan_range(thread, stack.sp, thread.stack_hi);
    return;
  }
  const Range other = other_stack(stack.sp);
  scan_resident(thread, stack.sp, other.hi);
  scan_resident(thread, thread.stack_lo, thread.stack_hi);
}

bool add_fiber_stack(const char* lo, const char* hi) {
  const std::lock_guard guard(g_fibers_lock);
  for (Range& range : fibers()) {
    if (range.lo != lo) continue;
    range.hi = hi;
    return false;
  }
  fibers().push_back({lo, hi});
  return true;
}

bool remove_fiber_stack(const char* lo) noexcept {
  const std::lock_guard guard(g_fibers_lock);
  const auto at =
      std::find_if(fibers().begin(), fibers().end(), [lo](const Range& r) { return r.lo == lo; });
  if (at == fibers().end()) return false;
  fibers().erase(at);
  return true;
}

bool any_fiber_stacks() noexcept {
  const std::lock_guard guard(g_fibers_lock);
  return !fibers().empty();
}

void scan_fiber_stacks(Thread& thread) noexcept {
  const std::lock_guard guard(g_fibers_lock);
  for (const Range& range : fibers()) scan_resident(thread, range.lo, range.hi);
}

runtime::Lock& fiber_stacks_lock() noexcept { return g_fibers_lock; }

}  // namespace tricolor::gc
