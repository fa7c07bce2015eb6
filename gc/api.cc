// The functions of the public interface that only pass a request on.

#include <cstring>
#include <memory>
#include <mutex>
#include <new>
#include <stdexcept>

#include "gc/collector.h"
#include "gc/finalizer_thread.h"
#include "gc/limits.h"
#include "gc/observers.h"
#include "gc/open_roots.h"
#include "gc/pacing.h"
#include "gc/scavenger.h"
#include "gc/stacks.h"
#include "gc/stats.h"
#include "runtime/base/check.h"
#include "runtime/base/poison.h"
#include "runtime/base/thread_order.h"
#include "runtime/heap/allocate.h"
#include "runtime/heap/allocation_watch.h"
#include "runtime/heap/collector_hooks.h"
#include "runtime/heap/heap_map.h"
#include "runtime/heap/spans.h"
#include "runtime/thread.h"

#include <tricolor/arrays.hpp>
#include <tricolor/debug.hpp>
#include <tricolor/detail/layout.hpp>
#include <tricolor/make.hpp>
#include <tricolor/runtime.hpp>

namespace tricolor::runtime {

void collect() {
  gc::g_collector.collect();
  gc::hand_over_reports();
}

void wait_for_finalizers() {
  Thread::attached();
  if (gc::finalizer_thread().on_this_thread()) {
    throw std::logic_error(
        "runtime::wait_for_finalizers: called from a finalizer, which it would wait for");
  }
  gc::finalizer_thread().wait_until_idle();
  runtime::learn_order();
}

bool finalize_by_hand(bool on) {
  Thread::attached();
  return gc::finalizer_thread().set_by_hand(on);
}

std::size_t run_finalizers(std::size_t max) {
  Thread::attached();
  return gc::finalizer_thread().run_by_hand(max);
}

void adjust_external_memory(std::ptrdiff_t bytes) {
  constexpr std::ptrdiff_t kMost = std::ptrdiff_t{1} << 62;
  if (bytes > kMost || bytes < -kMost) {
    throw std::invalid_argument("runtime::adjust_external_memory: more than 2^62 bytes");
  }
  Thread& thread = Thread::attached();
  bool done;
  {
    const RuntimeScope scope(thread);
    done = gc::g_pacing.adjust_external(thread, bytes);
  }
  if (!done) {
    throw std::invalid_argument(
        "runtime::adjust_external_memory: more is taken back than was told of");
  }
}

void read_mem_stats(MemStats& stats) { gc::fill_mem_stats(stats); }

void attach_thread() { Thread::attached(); }

ThreadScope::ThreadScope() : attached_here_(Thread::current() == nullptr) { Thread::attached(); }

ThreadScope::~ThreadScope() {
  if (!attached_here_) return;
  if (Thread* const thread = Thread::current()) thread->detach();
}

extern "C" Thread* tricolor_block_scope(void* /*unused*/, const arch::Registers* registers,
                                        const char* sp) noexcept {
  Thread* const self = Thread::current();
  if (self != nullptr) self->block(*registers, sp);
  return self;
}

BlockingScope::~BlockingScope() {
  if (thread_ == nullptr) return;
  if (Thread::current() != thread_) {
    fatal(
        "runtime::BlockingScope left on another thread than it was entered on: a fiber must not "
        "change threads while it is blocked");
  }
  thread_->leave_blocked();
}

void register_stack(const void* lo, const void* hi) {
  if (lo == nullptr || lo >= hi || reinterpret_cast<uintptr_t>(lo) % sizeof(void*) != 0 ||
      reinterpret_cast<uintptr_t>(hi) % sizeof(void*) != 0) {
    throw std::invalid_argument(
        "runtime::register_stack: [lo, hi) must be a non-empty range of whole words");
  }
  const RuntimeScope scope(Thread::attached());
  gc::add_fiber_stack(static_cast<const char*>(lo), static_cast<const char*>(hi));
}

void unregister_stack(const void* lo) noexcept {
  const RuntimeScope scope(Thread::attached_or_fatal());
  gc::remove_fiber_stack(static_cast<const char*>(lo));
}

HookId register_pre_mark_hook(std::function<void()> hook) {
  if (!hook) throw std::invalid_argument("runtime::register_pre_mark_hook: an empty function");
  Thread& thread = Thread::attached();
  auto shared = std::make_shared<std::function<void()>>(std::move(hook));
  const RuntimeScope scope(thread);
  return gc::g_collector.hooks().add(std::move(shared));
}

bool unregister_pre_mark_hook(HookId id) {
  Thread& thread = Thread::attached();
  gc::Hooks::Hook removed;
  const RuntimeScope scope(thread);
  return gc::g_collector.hooks().remove(id, removed);
}

void charge_large_allocation(Thread& thread, const Span& span) noexcept {
  gc::count_large(span.cell_size);
  charge_allocation(thread, span.cell_size, span.kind);
}

}  // namespace tricolor::runtime

namespace tricolor::debug {

using runtime::RuntimeScope;
using runtime::Thread;

int set_gc_percent(int percent) {
  const RuntimeScope scope(Thread::attached());
  return gc::g_pacing.set_gc_percent(percent);
}

std::int64_t set_memory_limit(std::int64_t bytes) {
  const RuntimeScope scope(Thread::attached());
  return gc::g_pacing.set_memory_limit(bytes);
}

std::size_t set_max_heap(std::size_t bytes) { return gc::set_max_heap(bytes); }

void free_os_memory() {
  runtime::collect();
  Thread& thread = Thread::attached();
  gc::return_unused_cells(thread);
  const RuntimeScope scope(thread);
  gc::return_free_pages();
  if (gc::OpenRoots* const open = gc::open_roots()) open->release_free_memory();
}

}  // namespace tricolor::debug

namespace tricolor::gc::detail {

using runtime::Cell;
using runtime::g_heap;
using runtime::Thread;

namespace {

// A cell for `count` elements behind `before` bytes; the count is noted in its hidden word.
TRICOLOR_ALLOCATOR void* take_array(std::size_t before, std::size_t count, std::size_t element_size,
                                    std::size_t alignment, Kind kind, bool cleared,
                                    std::size_t& cell_size, const TypeInfo* type) {
  std::size_t bytes = 0;
  std::size_t with_extra = 0;
  if (__builtin_mul_overflow(count, element_size, &bytes) ||
      __builtin_add_overflow(bytes, array_extra(kind) + kPageSize + before, &with_extra)) {
    throw std::bad_array_new_length();
  }
  if (before == 0 && kind == Kind::kLeaf && fills_cell(bytes) &&
      aligned_cell_size(bytes, alignment) == bytes) {
    kind = Kind::kLeafWhole;
  } else {
    bytes = (before + bytes + array_extra(kind) + kWord - 1) / kWord * kWord;
    bytes = aligned_cell_size(bytes, alignment);
  }
  cell_size = cell_size_for(bytes);
  void* cell;
  if (cell_size <= kMaxSmallSize) {
    const unsigned index = cache_index(kind, size_class_of(bytes));
    CacheEntry& entry = TRICOLOR_LOAD_PUBLISHED(TRICOLOR_THIS_THREAD.cache)[index];
    const std::uint64_t free = load_word(entry.free);
    if (free == 0) {
      cell = allocate_slow(index, type);
    } else {
      char* taken =
          load_word(entry.base) + static_cast<std::size_t>(__builtin_ctzll(free)) * cell_size;
      asm volatile("" : "+r"(taken));  // [alloc.address-first]
      store_word(entry.free, free & (free - 1));
      cell = taken;
    }
    if (cleared) std::memset(cell, 0, cell_size);
  } else {
    cell = cleared ? allocate_large(cell_size, kind, type)
                   : allocate_large_for_overwrite(cell_size, kind, type);
  }
  if (kind == Kind::kLeafWhole) return cell;
  const unsigned at = kind == Kind::kDestructor ? 2 : 1;
  store_word(hidden_word(cell, cell_size, at),
             reinterpret_cast<void*>(count));  // NOLINT(performance-no-int-to-ptr)
  return cell;
}

}  // namespace

TRICOLOR_ALLOCATOR void* allocate_array(std::size_t count, std::size_t element_size,
                                        std::size_t alignment, Kind kind, std::size_t& cell_size,
                                        const TypeInfo* type) {
  return take_array(0, count, element_size, alignment, kind, true, cell_size, type);
}

TRICOLOR_ALLOCATOR void* allocate_array_for_overwrite(std::size_t count, std::size_t element_size,
                                                      std::size_t alignment, std::size_t& cell_size,
                                                      const TypeInfo* type) {
  return take_array(0, count, element_size, alignment, Kind::kLeaf, false, cell_size, type);
}

TRICOLOR_ALLOCATOR void* allocate_with_tail(std::size_t before, std::size_t count,
                                            std::size_t element_size, std::size_t alignment,
                                            Kind kind, std::size_t& cell_size,
                                            const TypeInfo* type) {
  return take_array(before, count, element_size, alignment, kind, true, cell_size, type);
}

// [poison.free]
void set_red_zone(const void* array, std::size_t used) noexcept {
  const runtime::Span& span = *g_heap.find_allocated(array).span;
  if (span.kind != Kind::kLeaf) return;
  runtime::poison(static_cast<const char*>(array) + used, span.cell_size - kWord - used);
}

std::size_t array_room(const void* array) noexcept {
  const Cell cell = g_heap.find_allocated(array);
  const Kind kind = cell.span->kind;
  runtime::unpoison(array, cell.span->cell_size);
  return kind == Kind::kLeafWhole ? cell.span->cell_size : cell.span->cell_size - array_extra(kind);
}

void set_array_size(void* array, std::size_t count) noexcept {
  const Cell cell = g_heap.find_allocated(array);
  const unsigned at = cell.span->kind == Kind::kDestructor ? 2 : 1;
  store_word(hidden_word(array, cell.span->cell_size, at),
             reinterpret_cast<void*>(count));  // NOLINT(performance-no-int-to-ptr)
}

std::size_t array_size_of(const void* array, std::size_t element_size) noexcept {
  if (array == nullptr) return 0;
  const Cell cell = g_heap.find_allocated(array);
  if (!cell || g_heap.cell_address(cell) != array) {
    runtime::fatal("gc::array_size(%p): not the address of a collected array", array);
  }
  if (cell.span->kind == Kind::kLeafWhole) return cell.span->cell_size / element_size;
  const unsigned at = cell.span->kind == Kind::kDestructor ? 2 : 1;
  return reinterpret_cast<std::size_t>(
      load_word(hidden_word(const_cast<void*>(array), cell.span->cell_size, at)));
}

bool is_live_object(const void* address) noexcept {
  if (Thread::current() == nullptr && g_heap.base() == nullptr) return false;
  Thread& thread = Thread::attached_or_fatal();
  const runtime::RuntimeScope scope(thread);
  const Cell cell = g_heap.find_allocated(address);
  return cell && !runtime::is_unused(cell);
}

}  // namespace tricolor::gc::detail
