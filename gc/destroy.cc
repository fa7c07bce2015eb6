#include "gc/destroy.h"

#include <cstring>
#include <memory>
#include <mutex>
#include <utility>

#include "gc/ephemerons.h"
#include "gc/finalizer_thread.h"
#include "gc/held.h"
#include "gc/options.h"
#include "gc/specials.h"
#include "gc/sweep.h"
#include "gc/types.h"
#include "runtime/base/check.h"
#include "runtime/base/poison.h"
#include "runtime/base/thread_order.h"
#include "runtime/heap/allocate.h"
#include "runtime/heap/allocation_watch.h"
#include "runtime/heap/central.h"
#include "runtime/heap/heap_map.h"
#include "runtime/heap/spans.h"

#include <tricolor/detail/block.hpp>
#include <tricolor/detail/layout.hpp>
#include <tricolor/detail/thread_local.hpp>
#include <tricolor/make.hpp>

namespace tricolor::gc {

using detail::TypeInfo;
using runtime::Cell;
using runtime::g_heap;
using runtime::Kind;
using runtime::RuntimeScope;
using runtime::Span;
using runtime::Thread;

// It counts as run from its beginning on, for the child of a fork() meanwhile finds it begun, on a
// stack that is gone.
bool run_destructor(char* object, size_t cell_size) noexcept {
  void*& word = detail::hidden_word(object, cell_size, 1);
  const auto* const type = static_cast<const TypeInfo*>(detail::load_word(word));
  if (type == nullptr) return false;
  detail::store_word(word, static_cast<void*>(nullptr));  // [finalizer.exactly-once] [dead.once]
  if (!g_types.may_be_called(type)) return false;
  const size_t count =
      type->array
          ? reinterpret_cast<size_t>(detail::load_word(detail::hidden_word(object, cell_size, 2)))
          : 1;
  type->destroy(object, count);
  return true;
}

namespace {

// Frees the cell of an object that is over, or leaves it to the next sweep. In a runtime section.
void free_object(Thread& thread, Cell cell) noexcept {
  Span& span = *cell.span;
  const size_t size = span.cell_size;
  {
    const std::lock_guard guard(span.lock);
    // An object that was dead already: its cell is somebody else's to free.
    if (span.pending != nullptr &&
        (span.pending->words()[cell.index / 64] >> (cell.index % 64) & 1) != 0) {
      return;
    }
    if (detail::load_word(TRICOLOR_THIS_THREAD.marking)) {  // [destroy.not-while-marking]
      if (detail::is_leaf_kind(span.kind)) runtime::poison(g_heap.cell_address(cell), size);
      return;
    }
    runtime::sweep_locked(span);
    if (!g_heap.is_allocated(cell)) return;  // that sweep has freed it
    // [destroy.before-sweep] From here on no sweep comes before this thread has left the runtime.
    if (runtime::allocates_black(thread, span.generation.load(std::memory_order_relaxed))) return;
    if (g_held.holds(cell)) return;  // [held.sweep]
  }
  if (options().clobberfree) {
    runtime::unpoison(g_heap.cell_address(cell), size);
    std::memset(g_heap.cell_address(cell), 0xdb, size - detail::kWord);
    detail::store_word(detail::hidden_word(g_heap.cell_address(cell), size, 1),
                       static_cast<void*>(nullptr));  // nothing to destroy
  }
  if (span.is_large()) {
    if (runtime::g_spans.destroy(span)) g_sweeper.count_freed_large(size);
    return;
  }
  g_sweeper.count_freed(span, 1);
  runtime::free_cell(thread, span, cell.index);
}

}  // namespace

namespace {
thread_local bool t_ending_dead = false;
}  // namespace

EndingDead::EndingDead() noexcept : outer_(std::exchange(t_ending_dead, true)) {}
EndingDead::~EndingDead() { t_ending_dead = outer_; }

namespace detail {

bool ending_dead_object() noexcept { return t_ending_dead; }

void destroy_object(void* object) noexcept {
  if (object == nullptr) return;
  runtime::tell_order();
  Thread& thread = Thread::attached_or_fatal();
  const Cell cell = g_heap.find_allocated(object);
  if (!cell || g_heap.cell_address(cell) != object) {
    runtime::fatal(
        "gc::destroy(%p): not the address of a live collected object (destroyed before, or inside "
        "one)",
        object);
  }
  auto* const start = static_cast<char*>(object);
  {
    std::unique_ptr<Task> dropped;  // destroyed outside of the runtime: it may hold anything
    const RuntimeScope scope(thread);
    if (!specials().empty()) dropped = specials().disarm(start);
    if (!ephemerons().empty()) ephemerons().forget(start, cell.span->cell_size);
  }
  if (cell.span->kind == Kind::kDestructor) run_destructor(start, cell.span->cell_size);
  Special special;
  bool cleanups = false;
  {
    const RuntimeScope scope(thread);
    if (!specials().empty()) special = specials().take(start);
    cleanups = !special.cleanups.empty();
    finalizer_thread().queue(special.cleanups);
  }
  if (cleanups) finalizer_thread().start_if_needed();
  const RuntimeScope scope(thread);
  // Kept alive until here, whatever the destructor left of its address in registers: a sweep could
  // give the cell to somebody else, from whom it would be taken.
  asm volatile("" : : "r"(object) : "memory");
  if (cell.span->sampled.load(std::memory_order_relaxed)) {
    runtime::g_allocation_watch->destroyed(start);
  }
  free_object(thread, cell);
}

}  // namespace detail
}  // namespace tricolor::gc
