#include "gc/check_references.h"

#include <tricolor/detail/config.hpp>

#if TRICOLOR_CHECKS

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <mutex>
#include <string_view>

#include "gc/boxed.h"
#include "gc/finalizer_thread.h"
#include "gc/open_roots.h"
#include "gc/roots.h"
#include "gc/stacks.h"
#include "gc/told.h"
#include "gc/verify.h"
#include "runtime/base/check.h"
#include "runtime/finding.h"
#include "runtime/handshake.h"
#include "runtime/heap/allocation_watch.h"
#include "runtime/heap/side_table.h"
#include "runtime/heap/spans.h"
#include "runtime/os/os.h"

#include <tricolor/detail/barrier.hpp>
#include <tricolor/detail/layout.hpp>
#include <tricolor/make.hpp>

namespace tricolor::gc {

using detail::TypeInfo;
using runtime::Cell;
using runtime::g_heap;
using runtime::Span;
using runtime::Thread;
namespace os = runtime::os;

namespace {

constexpr int kMostReports = 20;
constexpr size_t kWordsPerPage = detail::kPageSize / sizeof(void*) / 64;

// Which words of the heap are references: one bit a word. Committed as the heap grows, under
// g_table_lock.
runtime::Lock g_table_lock{runtime::LockRank::leaf};
runtime::SideTable<uint64_t> g_reference_words;
std::atomic<size_t> g_reference_words_end{0};
std::atomic<int> g_reports{0};
constinit Told g_told_fields;
constinit Told g_told_slots;

bool table_reaches(size_t word) {
  const size_t needed = word / 64 + 1;
  if (needed <= g_reference_words_end.load(std::memory_order_acquire)) return true;
  const std::lock_guard guard(g_table_lock);
  const size_t pages = g_heap.described_bytes() >> detail::kPageShift;
  if (g_reference_words_end.load(std::memory_order_relaxed) == 0 &&
      !g_reference_words.reserve((g_heap.reserved_bytes() >> detail::kPageShift) * kWordsPerPage)) {
    return false;
  }
  if (!g_reference_words.commit_to(pages * kWordsPerPage)) return false;
  g_reference_words_end.store(pages * kWordsPerPage, std::memory_order_release);
  return needed <= pages * kWordsPerPage;
}

size_t word_number(const void* slot) noexcept {
  return static_cast<size_t>(static_cast<const char*>(slot) - g_heap.base()) / sizeof(void*);
}

bool is_reference_word(const void* slot) noexcept {
  const size_t word = word_number(slot);
  if (word / 64 >= g_reference_words_end.load(std::memory_order_acquire)) return false;
  return (__atomic_load_n(&g_reference_words[word / 64], __ATOMIC_RELAXED) >> (word % 64) & 1) != 0;
}

bool on_a_stack(const void* slot) {
  char* lo;
  char* hi;
  if (os::stack_bounds(&lo, &hi) && slot >= lo && slot < hi) return true;
  return on_other_stack(slot);
}

const char* type_of(const void* object, int& length) noexcept {
  const TypeInfo* const type = runtime::g_allocation_watch->noted_type(object);
  const std::string_view name = type == nullptr ? "(unknown type)" : type->name;
  length = static_cast<int>(name.size());
  return name.data();
}

// A second marking that follows reference words alone, through a bitmap and a stack of its own.
class ExactMark {
 public:
  ExactMark() noexcept
      : words_((g_heap.described_bytes() >> detail::kPageShift) * 8),
        reached_(static_cast<uint64_t*>(os::map(words_ * sizeof(uint64_t)))),
        capacity_(words_ * 64),
        stack_(static_cast<char**>(os::map(capacity_ * sizeof(char*)))) {}
  ~ExactMark() {
    if (reached_ != nullptr) os::unmap(reached_, words_ * sizeof(uint64_t));
    if (stack_ != nullptr) os::unmap(stack_, capacity_ * sizeof(char*));
  }

  bool usable() const noexcept { return reached_ != nullptr && stack_ != nullptr; }

  bool is_reached(Cell cell) const noexcept {
    return (reached_[word_of(cell)] >> (cell.index % 64) & 1) != 0;
  }

  void add(const void* address) noexcept {
    const Cell cell = g_heap.find_allocated(address);
    if (cell) add(cell);
  }

  // [stacks.boundary]
  void add_stack_word(uintptr_t word) noexcept {
    word = referred_address(word, boxed_words_in_use());
    // NOLINTNEXTLINE(performance-no-int-to-ptr): a word of a stack that may be an address
    g_heap.for_each_referred(reinterpret_cast<const void*>(word), [this](Cell cell) {
      if (g_heap.is_allocated(cell)) add(cell);
    });
  }

  // Any word of it may be a reference.
  void add_open_roots(OpenRoots& open) noexcept { open.visit_all(add_words, this, true); }

  // Globals have red zones between them.
  __attribute__((no_sanitize("address", "thread"))) static void add_words(void* mark,
                                                                          const char* from,
                                                                          size_t bytes) noexcept {
    for (size_t at = 0; at + sizeof(void*) <= bytes; at += sizeof(void*))
      static_cast<ExactMark*>(mark)->add(*reinterpret_cast<void* const volatile*>(from + at));
  }

  void add(Cell cell) noexcept {
    if (is_reached(cell)) return;
    reached_[word_of(cell)] |= uint64_t{1} << (cell.index % 64);
    stack_[size_++] = g_heap.cell_address(cell);
  }

  void drain() noexcept {
    while (size_ > 0) {
      char* const object = stack_[--size_];
      const Span& span = *g_heap.find(object).span;
      if (detail::is_leaf_kind(span.kind)) continue;
      for (size_t at = 0; at + sizeof(void*) <= span.cell_size; at += sizeof(void*)) {
        if (!is_reference_word(object + at)) continue;
        const auto word = *reinterpret_cast<const volatile uintptr_t*>(object + at);
        // NOLINTNEXTLINE(performance-no-int-to-ptr): a reference, perhaps boxed
        add(reinterpret_cast<const void*>(referred_address(word, boxed_words_in_use())));
      }
    }
  }

 private:
  static size_t word_of(Cell cell) noexcept {
    return size_t{cell.span->first_page} * 8 + cell.index / 64;
  }

  size_t words_;
  uint64_t* reached_;
  size_t capacity_;
  char** stack_;
  size_t size_ = 0;
};

ExactMark* g_exact = nullptr;  // during the check, for add_stack()
runtime::Lock g_exact_lock;

void add_stack(Thread& thread, runtime::StackView stack) noexcept {
  const std::lock_guard guard(g_exact_lock);
  visit_thread_stack(thread, stack, [](Thread&, uintptr_t word, const uintptr_t*) noexcept {
    g_exact->add_stack_word(word);
  });
}

// Fields of one type are one place; without a type each object's is.
uintptr_t field_key(const char* object, size_t at) noexcept {
  const void* const type = runtime::g_allocation_watch->noted_type(object);
  const void* const holder = type != nullptr ? type : object;
  return reinterpret_cast<uintptr_t>(holder) + at;
}

void report_holder(const ExactMark& exact, Span& span, int& reports) noexcept {
  for (uint32_t i = 0; i < span.cells && reports < kMostReports; ++i) {
    const Cell cell{&span, i};
    if (!g_heap.is_allocated(cell) || !exact.is_reached(cell)) continue;
    const char* const object = g_heap.cell_address(cell);
    for (size_t at = 0; at + sizeof(void*) <= span.cell_size && reports < kMostReports;
         at += sizeof(void*)) {
      const void* const target = *reinterpret_cast<void* const volatile*>(object + at);
      const Cell found = g_heap.find_allocated(target);
      if (!found || exact.is_reached(found) || is_reference_word(object + at)) continue;
      if (!g_told_fields.add(field_key(object, at))) continue;
      ++reports;
      int length = 0;
      const char* const type = type_of(object, length);
      runtime::report_found(
          "rule 1", {g_heap.cell_address(found), nullptr},
          "rule 1: the raw word at offset %zu of the %.*s at %p is all that leads to the object at "
          "%p: a reference from "
          "one collected object to another is a gc::ptr",
          at, length, type, static_cast<const void*>(object),
          static_cast<void*>(g_heap.cell_address(found)));
    }
  }
}

// A reference in the heap, but not in an object that is scanned, or outside of it and on no stack.
bool is_untraced(const void* slot) noexcept {
  if (!g_heap.contains(slot) && on_a_stack(slot)) return false;
  OpenRoots* const open = open_roots();
  return open == nullptr || !open->is_read(slot);
}

// Outside of runtime sections: a handler of the program's may hear of it.
TRICOLOR_ALLOCATOR void report_untraced(const void* slot, const char* type,
                                        const char* kind) noexcept {
  if (!g_told_slots.add(reinterpret_cast<uintptr_t>(slot))) return;
  if (g_reports.fetch_add(1, std::memory_order_relaxed) >= kMostReports) return;
  const std::string_view name(type);
  runtime::report_here(
      "rule 2",
      "rule 2: the %s<%.*s> at %p lies in memory that the collector does not trace: "
      "a reference from memory that is not collected is a %s",
      kind, static_cast<int>(std::min(name.size(), name.find_first_of(";]"))), name.data(), slot,
      std::string_view(kind) == "gc::atomic" ? "gc::atomic_root" : "gc::root");
}

}  // namespace

void report_raw_references(Thread&) noexcept {
  // ThreadSanitizer keeps signals from a thread that waits for a lock: it could not be stopped
  // while a thread that is stopped already holds that lock.
  if (TRICOLOR_TSAN) return;
  ExactMark exact;
  if (!exact.usable()) return;
  g_exact = &exact;
  // What a stop in vain has added only leaves reports out.
  if (!stop_for_check(add_stack)) {
    g_exact = nullptr;
    return;
  }
  g_roots.for_each_target([&](const void* target) { exact.add(target); });
  finalizer_thread().for_each_root([&](const char* object) { exact.add(object); });
  if (OpenRoots* const open = open_roots()) exact.add_open_roots(*open);
  exact.drain();
  int reports = 0;
  runtime::g_spans.for_each([&](Span& span) {
    if (!detail::is_leaf_kind(span.kind)) report_holder(exact, span, reports);
  });
  runtime::g_handshake.resume();
  g_exact = nullptr;
}

bool is_noted_reference(const void* slot) noexcept { return is_reference_word(slot); }

namespace detail {

namespace {

// Notes a word of the heap that is scanned; true: it is none, nor anything else that is read.
bool note_slot(const void* slot) noexcept {
  const runtime::RuntimeScope scope(Thread::attached_or_fatal());
  if (g_heap.contains(slot)) {
    const Cell cell = g_heap.find(slot);
    if (cell && !detail::is_leaf_kind(cell.span->kind)) {
      const size_t word = word_number(slot);
      if (table_reaches(word)) {
        __atomic_fetch_or(&g_reference_words[word / 64], uint64_t{1} << (word % 64),
                          __ATOMIC_RELAXED);
      }
      return false;
    }
  }
  return is_untraced(slot);
}

bool stores_untraced(const void* slot) noexcept {
  const runtime::RuntimeScope scope(Thread::attached_or_fatal());
  return is_untraced(slot);
}

}  // namespace

TRICOLOR_ALLOCATOR void check_reference_slot(const void* slot, const char* type,
                                             const char* kind) noexcept {
  // Nothing reads the table there (report_raw_references()), and each entry costs instrumented
  // calls.
  if (TRICOLOR_TSAN && g_heap.contains(slot)) return;
  if (note_slot(slot)) report_untraced(slot, type, kind);
}

TRICOLOR_ALLOCATOR void check_reference_store(const void* slot, const char* type) noexcept {
  if (g_heap.contains(slot)) return;
  if (stores_untraced(slot)) report_untraced(slot, type, "gc::ptr");
}

// Before construction: the references of the cell's former object are forgotten, the new one's note
// themselves.
void record_type(const void* object, std::size_t, const TypeInfo* type) {
  const runtime::RuntimeScope scope(Thread::attached());
  const Cell cell = g_heap.find(object);
  const size_t first = word_number(object);
  const size_t end = std::min(first + cell.span->cell_size / sizeof(void*),
                              g_reference_words_end.load(std::memory_order_acquire) * 64);
  for (size_t word = first; word < end; ++word) {
    __atomic_fetch_and(&g_reference_words[word / 64], ~(uint64_t{1} << (word % 64)),
                       __ATOMIC_RELAXED);
  }
  runtime::g_allocation_watch->note_type(object, type);
}

}  // namespace detail
}  // namespace tricolor::gc

#else

namespace tricolor::gc {
void report_raw_references(runtime::Thread&) noexcept {}
bool is_noted_reference(const void*) noexcept { return false; }
}  // namespace tricolor::gc

#endif
