#include "gc/stacks.h"

#include <algorithm>
#include <atomic>
#include <functional>
#include <iterator>
#include <map>
#include <mutex>
#include <utility>

#include "gc/barrier.h"
#include "gc/boxed.h"
#include "gc/thread_data.h"
#include "runtime/base/memory.h"
#include "runtime/os/os.h"

namespace tricolor::gc {

using runtime::g_heap;
using runtime::StackView;
using runtime::Thread;

namespace {

// What a leaf function may keep below its stack pointer.
constexpr ptrdiff_t kRedZone = 128;

struct FiberStack {
  const char* hi;
  // Everything from here up was readable when it was scanned first; hi: not scanned yet.
  const char* readable;
};
// By their lower ends. [memory.no-handler]
struct FiberStacks : std::map<const char*, FiberStack, std::less<>,
                              runtime::MallocAllocator<std::pair<const char* const, FiberStack>>>,
                     runtime::FromMalloc {};

constinit runtime::Lock g_fibers_lock{runtime::LockRank::fibers};  // held while stacks are scanned
// Guarded by g_fibers_lock; made with the first stack, never destroyed. A handler takes the lock
// too; it never interrupts a holder, which is in a runtime section: [lock.signal].
FiberStacks* g_fibers = nullptr;
// Stored under g_fibers_lock; read without it (relaxed) by who only wants to know whether to look.
constinit std::atomic<size_t> g_fiber_count{0};

// The stack that `address` lies in; nullptr: none. Under g_fibers_lock.
const FiberStack* find_fiber_stack(const void* address) noexcept {
  if (g_fibers == nullptr) return nullptr;
  const auto above = g_fibers->upper_bound(static_cast<const char*>(address));
  if (above == g_fibers->begin()) return nullptr;
  const FiberStack& stack = std::prev(above)->second;
  return address < stack.hi ? &stack : nullptr;
}

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
    if (value - base <= limit) {
      // [stacks.boundary] the heap's own end counts
      visit(thread, value, const_cast<const uintptr_t*>(word));
    }
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
  if (g_fiber_count.load(std::memory_order_relaxed) == 0) return nullptr;
  const std::lock_guard guard(g_fibers_lock);
  const FiberStack* const stack = find_fiber_stack(sp);
  return stack == nullptr ? nullptr : stack->hi;
}

// What was readable once is read without asking: asking costs a system call a page.
void find_readable(const char* lo, FiberStack& stack) noexcept {
  if (stack.readable != stack.hi) return;
  const uintptr_t page = runtime::os::page_size();
  uintptr_t at = (reinterpret_cast<uintptr_t>(stack.hi) - 1) / page * page;
  while (runtime::os::is_readable(at)) {
    // NOLINTNEXTLINE(performance-no-int-to-ptr)
    stack.readable = std::max(lo, reinterpret_cast<const char*>(at));
    if (stack.readable == lo) break;
    at -= page;
  }
}

void visit_fiber_stack(Thread& thread, const char* lo, FiberStack& stack,
                       VisitWord visit) noexcept {
  find_readable(lo, stack);
  if (lo < stack.readable) visit_readable(thread, lo, stack.readable, visit);
  visit_range(thread, stack.readable, stack.hi, visit);
}

void shade_word(Thread& thread, uintptr_t word, const uintptr_t* /*place*/) noexcept {
  shade_candidate(thread, word);
}

}  // namespace

void visit_thread_stack(Thread& thread, StackView stack, VisitWord visit) noexcept {
  thread.data->scanned_stack_bytes = 0;
  for (size_t i = 0; i < stack.count; ++i) visit(thread, stack.words[i], stack.words + i);
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
  thread.seen_sp.store(stack.interrupted != nullptr ? stack.interrupted : stack.sp,
                       std::memory_order_relaxed);
  visit_thread_stack(thread, stack, shade_word);
}

bool on_other_stack(const void* address) noexcept {
  if (g_fiber_count.load(std::memory_order_relaxed) == 0) return false;
  const std::lock_guard guard(g_fibers_lock);
  return find_fiber_stack(address) != nullptr;
}

bool add_fiber_stack(const char* lo, const char* hi) {
  const std::lock_guard guard(g_fibers_lock);
  if (g_fibers == nullptr) g_fibers = new FiberStacks;
  const bool added = g_fibers->insert_or_assign(lo, FiberStack{hi, hi}).second;
  g_fiber_count.store(g_fibers->size(), std::memory_order_relaxed);
  return added;
}

bool remove_fiber_stack(const char* lo) noexcept {
  const std::lock_guard guard(g_fibers_lock);
  if (g_fibers == nullptr || g_fibers->erase(lo) == 0) return false;
  g_fiber_count.store(g_fibers->size(), std::memory_order_relaxed);
  return true;
}

bool any_fiber_stacks() noexcept {
  const std::lock_guard guard(g_fibers_lock);
  return g_fibers != nullptr && !g_fibers->empty();
}

// In steps: whoever registers a stack, or answers on one, waits for a step at most.
void prepare_fiber_stacks() noexcept {
  constexpr int kStep = 64;
  const char* from = nullptr;
  for (bool more = g_fiber_count.load(std::memory_order_relaxed) != 0; more;) {
    const std::lock_guard guard(g_fibers_lock);
    auto at = g_fibers->lower_bound(from);
    for (int i = 0; i < kStep && at != g_fibers->end(); ++i, ++at)
      find_readable(at->first, at->second);
    more = at != g_fibers->end();
    if (more) from = at->first;
  }
}

void visit_fiber_stacks(Thread& thread, VisitWord visit) noexcept {
  const std::lock_guard guard(g_fibers_lock);
  if (g_fibers == nullptr) return;
  for (auto& [lo, stack] : *g_fibers) visit_fiber_stack(thread, lo, stack, visit);
}

void scan_fiber_stacks(Thread& thread) noexcept { visit_fiber_stacks(thread, shade_word); }

runtime::Lock& fiber_stacks_lock() noexcept { return g_fibers_lock; }

}  // namespace tricolor::gc
