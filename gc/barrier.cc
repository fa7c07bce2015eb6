#include "gc/barrier.h"

#include "gc/boxed.h"
#include "gc/phase.h"
#include "gc/worklist.h"
#include "runtime/base/check.h"
#include "runtime/base/poison.h"

#include <tricolor/detail/barrier.hpp>

namespace tricolor::gc {

using runtime::Cell;
using runtime::g_heap;
using runtime::Thread;

namespace {

void shade_cell(Thread& thread, Cell cell) noexcept {
  if (g_heap.is_marked(cell)) return;
  ThreadData& data = *thread.data;
  if (!detail::is_leaf_kind(cell.span->kind)) {
    uint32_t n = data.buffered.load(std::memory_order_relaxed);
    if (n == ThreadData::kBufferCapacity) {
      flush_buffer(data);
      n = 0;
    }
    data.buffer[n] = static_cast<uint64_t>(g_heap.cell_address(cell) - g_heap.base());
    data.buffered.store(n + 1, std::memory_order_release);  // [buffer.push-first]
  }
  if (g_heap.try_mark(cell)) data.marked_bytes += static_cast<int64_t>(cell.span->cell_size);
}

}  // namespace

void flush_buffer(ThreadData& data) noexcept {
  const uint32_t n = data.buffered.load(std::memory_order_relaxed);
  if (n == 0) return;
  g_worklist.put_items(WorkKind::kObjects, data.buffer.data(), n);
  data.buffered.store(0, std::memory_order_release);  // [buffer.flush]
}

void shade_address(Thread& thread, const void* address) noexcept {
  if (const Cell cell = g_heap.find(address)) shade_cell(thread, cell);
}

void shade_candidate(Thread& thread, uintptr_t word) noexcept {
  word = referred_address(runtime::as_written(word), boxed_words_in_use());
  // NOLINTNEXTLINE(performance-no-int-to-ptr): a word of a stack that may be an address
  g_heap.for_each_referred(reinterpret_cast<const void*>(word), [&thread](Cell cell) {
    // The mark first: most of what a stack refers to has it, and the other table stays untouched.
    if (!g_heap.is_marked(cell) && g_heap.is_allocated(cell)) shade_cell(thread, cell);
  });
}

namespace detail {

constinit bool boxed_words = false;

// [boxed.announced]
void announce_boxed_words() noexcept { __atomic_store_n(&boxed_words, true, __ATOMIC_RELAXED); }

void shade_slow(void* target) noexcept {
  Thread& thread =
      Thread::attached_or_fatal();  // also for a null that took a reference in exchange
  if (target == nullptr) return;
  const runtime::RuntimeScope scope(thread);
  if (!load_word(TRICOLOR_THIS_THREAD.marking)) return;
  shade_address(thread, target);
}

}  // namespace detail
}  // namespace tricolor::gc
