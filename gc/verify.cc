#include "gc/verify.h"

#include <utility>

#include "gc/boxed.h"
#include "gc/finalizer_thread.h"
#include "gc/find_lost.h"
#include "gc/options.h"
#include "gc/roots.h"
#include "runtime/base/check.h"
#include "runtime/base/poison.h"
#include "runtime/handshake.h"
#include "runtime/heap/spans.h"

namespace tricolor::gc {

using runtime::Cell;
using runtime::g_heap;
using runtime::Span;
using runtime::Thread;

namespace {

void nothing(Thread&, runtime::StackView) noexcept {}

[[noreturn]] void report_unmarked(const char* where, const void* place, Cell cell) noexcept {
  runtime::fatal(
      "gccheckmark: %s at %p refers to the object at %p (%zu bytes), which marking has not reached",
      where, place, static_cast<void*>(g_heap.cell_address(cell)), cell.span->cell_size);
}

// The words of a marked object.
__attribute__((no_sanitize("address", "thread", "undefined"))) void check_object(
    const char* object, size_t size) noexcept {
  const bool boxed = boxed_words_in_use();
  for (size_t at = 0; at + sizeof(void*) <= size; at += sizeof(void*)) {
    const auto word = *reinterpret_cast<const volatile uintptr_t*>(object + at);
    // NOLINTNEXTLINE(performance-no-int-to-ptr): a word that may be an address
    const auto* const target = reinterpret_cast<const void*>(referred_address(word, boxed));
    const Cell cell = g_heap.find_allocated(target);
    if (cell && !g_heap.is_marked(cell)) report_unmarked("the word", object + at, cell);
  }
}

// Since whatever a marked object refers to must be marked, one pass over the marked objects is the
// whole second mark.
void check_marks() noexcept {
  g_roots.for_each_target([](const void* target) {
    const Cell cell = g_heap.find_allocated(target);
    if (cell && !g_heap.is_marked(cell)) report_unmarked("a root", target, cell);
  });
  runtime::g_spans.for_each([](Span& span) {
    if (detail::is_leaf_kind(span.kind)) return;
    for (uint32_t i = 0; i < span.cells; ++i) {
      const Cell cell{&span, i};
      if (g_heap.is_marked(cell) && g_heap.is_allocated(cell)) {
        check_object(g_heap.cell_address(cell), span.cell_size);
      }
    }
  });
}

}  // namespace

void verify_open_roots(OpenRoots& open) noexcept {
  open.visit_all([](void*, const char* from, size_t bytes) noexcept { check_object(from, bytes); },
                 nullptr, true);
}

// [handshake.vain] In between all go on: whoever holds the lock that another waits for may let go.
bool stop_for_check(runtime::Handshake::Action action) noexcept {
  constexpr int kTries = 20;
  for (int i = 0; i < kTries; ++i) {
    if (runtime::g_handshake.stop(action)) return true;
  }
  static bool told = false;
  if (!std::exchange(told, true)) {
    runtime::report(
        "gccheckmark, findlost and the checks of raw references leave cycles out: in %d tries not "
        "all threads could be stopped together, as one waits, with signals kept from it, for a "
        "lock whose holder was stopped",
        kTries);
  }
  return false;
}

// The checking build searches when somebody asked for the collection. Not under a sanitizer: those
// keep much of what is free, and AddressSanitizer tells of what is used after it is reclaimed.
static bool wants_search(bool forced) noexcept {
  if (options().findlost_given) return options().findlost;
  return TRICOLOR_CHECKS != 0 && !TRICOLOR_TSAN && !TRICOLOR_ASAN && !runtime::poisons() && forced;
}

void verify_marks(bool forced) noexcept {
  const bool searches = wants_search(forced);
  if ((!options().gccheckmark && !searches) || !stop_for_check(nothing)) return;
  if (options().gccheckmark) check_marks();
  if (searches) find_lost();
  runtime::g_handshake.resume();
}

}  // namespace tricolor::gc
