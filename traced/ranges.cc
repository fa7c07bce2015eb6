#include "traced/ranges.h"

#include <mutex>
#include <new>
#include <stdexcept>
#include <utility>

#include "runtime/os/os.h"
#include "runtime/thread.h"
#include "traced/open.h"

#include <tricolor/traced.hpp>

namespace tricolor::traced {

constinit Ranges g_ranges;

Ranges::Range* Ranges::add(const char* lo, const char* hi) {
  open_process();
  Range* range;
  {
    const std::lock_guard guard(lock_);
    if (free_ == nullptr) {
      auto* const slab = static_cast<Slab*>(runtime::os::map(sizeof(Slab)));
      if (slab == nullptr) throw std::bad_alloc();
      for (size_t i = kSlabRanges; i-- > 0;) {
        slab->ranges[i].next_free = free_;
        free_ = slab->ranges + i;
      }
      slab->next = slabs_.load(std::memory_order_relaxed);
      slabs_.store(slab, std::memory_order_release);
    }
    range = free_;
    free_ = range->next_free;
  }
  range->hi.store(hi, std::memory_order_relaxed);
  range->lo.store(lo, std::memory_order_release);  // [ranges.place]
  return range;
}

void Ranges::remove(Range& range) noexcept {
  range.lo.store(nullptr, std::memory_order_release);
  const std::lock_guard guard(lock_);
  range.next_free = free_;
  free_ = &range;
}

bool Ranges::contains(const void* address) const noexcept {
  bool found = false;
  for_each([&](const char* lo, const char* hi) { found |= address >= lo && address < hi; });
  return found;
}

}  // namespace tricolor::traced

namespace tricolor::runtime {

RootRange register_roots(const void* lo, const void* hi) {
  constexpr uintptr_t kWord = sizeof(void*);
  const uintptr_t from = (reinterpret_cast<uintptr_t>(lo) + kWord - 1) / kWord * kWord;
  const uintptr_t to = reinterpret_cast<uintptr_t>(hi) / kWord * kWord;
  if (lo == nullptr || lo > hi) {
    throw std::invalid_argument("runtime::register_roots: [lo, hi) is no range of memory");
  }
  // NOLINTBEGIN(performance-no-int-to-ptr)
  const RuntimeScope scope(Thread::attached());
  return RootRange(traced::g_ranges.add(reinterpret_cast<const char*>(from),
                                        reinterpret_cast<const char*>(from < to ? to : from)));
  // NOLINTEND(performance-no-int-to-ptr)
}

void RootRange::reset() noexcept {
  if (range_ == nullptr) return;
  // A stop may be reading it: a blocked thread waits in enter(), one that is not attached for the
  // lock.
  auto& range = *static_cast<traced::Ranges::Range*>(std::exchange(range_, nullptr));
  if (Thread* const self = Thread::current()) {
    const RuntimeScope scope(*self);
    traced::g_ranges.remove(range);
    return;
  }
  lock_threads(nullptr);
  traced::g_ranges.remove(range);
  g_threads.lock().unlock();
}

}  // namespace tricolor::runtime
