#include "gc/destroy.h"

#include <cstring>
#include <memory>
#include <mutex>
#include <utility>

#include "gc/finalizer_thread.h"
#include "gc/options.h"
#include "gc/specials.h"
#include "gc/sweep.h"
#include "runtime/base/check.h"
#include "runtime/heap/allocate.h"
#include "runtime/heap/central.h"
#include "runtime/heap/heap_map.h"
#include "runtime/heap/spans.h"

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

namespace {

// Runs the destructor that the hidden words name, if any, exactly once: it counts as run from its
// beginning on, for the child of a fork() meanwhile finds it begun, on a stack that is gone.
void run_destructor(char* object, const Span& span) noexcept {
  if (span.kind != Kind::kDestructor) return;
  void*& word = detail::hidden_word(object, span.cell_size, 1);
  const auto* const type = static_cast<const TypeInfo*>(detail::load_word(word));
  if (type == nullptr) return;
  const size_t count = type->array ? reinterpret_cast<size_t>(detail::load_word(
                                         detail::hidden_word(object, span.cell_size, 2)))
                                   : 1;
  detail::store_word(word, static_cast<void*>(nullptr));  // [finalizer.exactly-once]
  type->destroy(object, count);
}

// Frees the cell of an object that is over, or leaves it to the next sweep. In a runtime section.
void free_object(Thread& thread, Cell cell) noexcept {
  Span& span = *cell.span;
  const size_t size = span.cell_size;
  {
    const std::lock_guard guard(span.lock);
    if (span.pending != nullptr) {
      span.pending[cell.index / 64] &= ~(uint64_t{1} << (cell.index % 64));
    }
    if (detail::load_word(detail::this_thread().marking)) return;  // [destroy.not-while-marking]
    runtime::sweep_locked(span);
    if (!g_heap.is_allocated(cell)) return;  // that sweep has freed it
    // [destroy.before-sweep] From here on no sweep comes before this thread has left the runtime.
    if (runtime::allocates_black(thread, span.generation.load(std::memory_order_relaxed))) return;
  }
  if (options().clobberfree) {
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

void destroy_dead(char* object) noexcept {
  Thread& thread = Thread::attached_or_fatal();
  const Cell cell = g_heap.find(object);
  run_destructor(object, *cell.span);
  const RuntimeScope scope(thread);
  free_object(thread, cell);
}

// The cell may have become another object's, even one that waits for its destructor: that one has
// the word which names it.
void give_up_destruction(char* object) noexcept {
  const Cell cell = g_heap.find(object);
  if (!cell || cell.span->kind != Kind::kDestructor || cell.span->pending == nullptr) return;
  if (g_heap.cell_address(cell) != object) return;
  const size_t size = cell.span->cell_size;
  if (detail::load_word(detail::hidden_word(object, size, 1)) != nullptr) return;
  cell.span->pending[cell.index / 64] &= ~(uint64_t{1} << (cell.index % 64));
}

namespace detail {

void destroy_object(void* object) noexcept {
  if (object == nullptr) return;
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
  }
  run_destructor(start, *cell.span);
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
  free_object(thread, cell);
}

}  // namespace detail
}  // namespace tricolor::gc
