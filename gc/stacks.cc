#include "gc/stacks.h"

#include <algorithm>
#include <mutex>
#include <vector>

#include "gc/barrier.h"
#include "gc/boxed.h"
#include "gc/thread_data.h"
#include "runtime/base/immortal.h"
#include "runtime/base/memory.h"
#include "runtime/os/os.h"

namespace tricolor::gc {

using runtime::g_heap;
using runtime::StackView;
using runtime::Thread;

namespace {

// What a leaf function may keep below its stack pointer.
constexpr ptrdiff_t kRedZone = 128;

struct Range {
  const char* lo;
  const char* hi;
};

runtime::Lock g_fibers_lock{runtime::LockRank::fibers};  // held while stacks are scanned
// Guarded by g_fibers_lock. A handler takes the lock too; it never interrupts a holder, which is in
// a runtime section: [lock.signal].
using Ranges = std::vector<Range, runtime::MallocAllocator<Range>>;  // [memory.no-handler]
constinit runtime::Immortal<Ranges> g_fibers;
Ranges& fibers() noexcept { return g_fibers.value; }

// Frames are written by their owner while they are read here only in blocked regions, where they
// hold nothing of ours; reads are single words, and the sanitizers are not asked about them.
__attribute__((no_sanitize("address", "thread", "undefined"))) void visit_range(
    Thread& thread, const char* lo, const char* hi, VisitWord visit) noexcept {
  const uintptr_t base = reinterpret_cast<uintptr_t>(g_heap.base());
  const size_t limit = g_heap.limit();
  const auto* word = reinterpret_cast<const volatile uintptr_t*>(
      (reinterpret_cast<uintptr_t>(lo) + 7) & ~uintptr_t{7});
  const auto* const end =
      reinterpret_cast<const volatile uintptr_t*>(reinterpret_cast<uintptr_t>(hi) & ~uintptr_t{7});
  if (word >= end) return;
  thread.data->scanned_stack_bytes += hi - lo;
  const uintptr_t mask = referred_address(~uintptr_t{0}, boxed_words_in_use());
  for (; word < end; ++word) {
    const uintptr_t value = *word & mask;
    if (value - base <= limit) visit(thread, value);  // [stacks.boundary] the heap's own end counts
  }
}

// A stack of which it is not known how far it is in use: guard pages and the part that a main stack
// has not grown into must not be touched.
void visit_readable(Thread& thread, const char* lo, const char* hi, VisitWord visit) noexcept {
  const size_t page = runtime::os::page_size();
  for (uintptr_t at = reinterpret_cast<uintptr_t>(lo) / page * page;
       at < reinterpret_cast<uintptr_t>(hi); at += page) {
    if (!runtime::os::is_readable(at)) continue;
    const char* const from =
        reinterpret_cast<const char*>(at);  // NOLINT(performance-no-int-to-ptr)
    visit_range(thread, std::max(from, lo), std::min(from + page, hi), visit);
  }
}

// Whether the thread's own stack reaches from `sp` to the bounds it is known by: the main thread's
// grows beyond them when the limit was raised later, or was none.
bool has_outgrown(const Thread& thread, const char* sp) noexcept {
  if (sp >= thread.stack_lo) return false;
  const size_t page = runtime::os::page_size();
  for (uintptr_t at = reinterpret_cast<uintptr_t>(thread.stack_lo);
       at > reinterpret_cast<uintptr_t>(sp);) {
    at -= page;
    if (!runtime::os::is_readable(at)) return false;
  }
  return true;
}

// Where the registered stack that `sp` lies on ends; nullptr if it lies on none.
const char* fiber_stack_end(const char* sp) noexcept {
  const std::lock_guard guard(g_fibers_lock);
  for (const Range& range : fibers()) {
    if (sp >= range.lo && sp < range.hi) return range.hi;
  }
  return nullptr;
}

}  // namespace

void visit_thread_stack(Thread& thread, StackView stack, VisitWord visit) noexcept {
  thread.data->scanned_stack_bytes = 0;
  for (size_t i = 0; i < stack.count; ++i) visit(thread, stack.words[i]);
  if (stack.sp >= thread.stack_lo && stack.sp < thread.stack_hi) {
    visit_range(thread, stack.sp, thread.stack_hi, visit);
    return;
  }
  const char* hi = fiber_stack_end(stack.sp);
  if (hi == nullptr) hi = stack.signal_hi;
  if (hi != nullptr && stack.interrupted >= thread.stack_lo + kRedZone &&
      stack.interrupted < thread.stack_hi) {
    // A handler on the alternate stack: the frame with the registers there, and what it
    // interrupted.
    visit_range(thread, stack.sp, hi, visit);
    visit_range(thread, stack.interrupted - kRedZone, thread.stack_hi, visit);
    return;
  }
  if (hi != nullptr && stack.interrupted != nullptr &&
      stack.interrupted < thread.stack_lo + kRedZone && has_outgrown(thread, stack.interrupted)) {
    // [stacks.outgrown] The same, interrupted on the part beyond the bounds.
    visit_range(thread, stack.sp, hi, visit);
    visit_readable(thread, stack.interrupted - kRedZone, thread.stack_hi, visit);
    return;
  }
  if (hi == nullptr && has_outgrown(thread, stack.sp)) {  // [stacks.outgrown]
    visit_range(thread, stack.sp, thread.stack_hi, visit);
    return;
  }
  // Of one that is not registered, at least what lies right above.
  visit_readable(thread, stack.sp, hi != nullptr ? hi : stack.sp + (size_t{64} << 10), visit);
  // [stacks.whole]
  visit_readable(thread, thread.stack_lo, thread.stack_hi, visit);
}

void scan_thread_stack(Thread& thread, StackView stack) noexcept {
  visit_thread_stack(thread, stack, shade_candidate);
}

bool on_other_stack(const void* address) noexcept {
  const std::lock_guard guard(g_fibers_lock);
  return std::any_of(fibers().begin(), fibers().end(),
                     [=](const Range& r) { return address >= r.lo && address < r.hi; });
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
  for (const Range& range : fibers()) visit_readable(thread, range.lo, range.hi, shade_candidate);
}

runtime::Lock& fiber_stacks_lock() noexcept { return g_fibers_lock; }

}  // namespace tricolor::gc
