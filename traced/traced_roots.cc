#include "traced/traced_roots.h"

#include <algorithm>
#include <mutex>

#include "gc/marker.h"
#include "gc/options.h"
#include "gc/worklist.h"
#include "runtime/base/check.h"
#include "runtime/base/immortal.h"
#include "runtime/os/os.h"
#include "runtime/thread.h"
#include "traced/chunks.h"
#include "traced/globals.h"
#include "traced/known_threads.h"
#include "traced/live_parts.h"
#include "traced/open.h"
#include "traced/ranges.h"

namespace tricolor::traced {

namespace {

constinit runtime::Immortal<TracedRoots> g_the_roots;

constexpr unsigned kGroupBlocks = 16;

bool is_empty(const Chunk& chunk, unsigned first) noexcept {
  for (unsigned i = first; i < first + kGroupBlocks; ++i) {
    if (chunk.info(i).kind != kFreeBlock) return false;
  }
  return true;
}

// Calls visit(first address) for each piece of a chunk that may hold live cells.
template <class Visit>
void for_each_group(Chunk& chunk, Visit visit) noexcept {
  for (unsigned first = kHeaderBlocks; first < kBlocks; first += kGroupBlocks) {
    if (!is_empty(chunk, first)) visit(static_cast<const char*>(chunk.block_address(first)));
  }
}

}  // namespace

TracedRoots& g_traced_roots = g_the_roots.value;

void open_process() noexcept {
  keep_fork_handlers();
  if (gc::g_open_roots.load(std::memory_order_relaxed) != nullptr) return;
  gc::g_open_roots.store(&g_traced_roots, std::memory_order_seq_cst);
}

void TracedRoots::begin_reading() noexcept {
  if (reading_) return;
  reading_ = true;
  scanned_.store(0, std::memory_order_relaxed);
  g_chunks.begin_reading();  // [chunks.addresses]
}

void TracedRoots::begin_cycle() noexcept {
  attach_known_threads();
  begin_reading();
}

void TracedRoots::add(uint64_t item) noexcept {
  queue_[queued_++] = item;
  if (queued_ == queue_.size()) flush();
}

void TracedRoots::flush() noexcept {
  items_.fetch_add(queued_, std::memory_order_relaxed);
  gc::g_worklist.put_items(gc::WorkKind::kForeign, queue_.data(), queued_);
  queued_ = 0;
}

void TracedRoots::add_memory(const char* lo, const char* hi) noexcept {
  for (; lo < hi; lo += kPieceBytes) {
    const size_t words = std::min(kPieceBytes, static_cast<size_t>(hi - lo)) / sizeof(void*);
    add(reinterpret_cast<uintptr_t>(lo) | uint64_t{words} << kLengthShift);
  }
}

void TracedRoots::add_chunk(Chunk& chunk) noexcept {
  for_each_group(chunk, [this](const char* group) { add_memory(group, group + kPieceBytes); });
}

void TracedRoots::add_traced_memory() noexcept {
  const size_t count = g_chunks.count();
  for (size_t number = 0; number < count; ++number) add_chunk(*g_chunks.chunk(number));
  g_chunks.for_each_mapping([this](char* cell, size_t bytes) { add_memory(cell, cell + bytes); });
}

void TracedRoots::start_tracking() noexcept {
  armed_chunks_ = 0;
  armed_.clear();
  precleans_ = 0;
  written_ = 0;
  if (may_track_ && !pages_.open()) {
    may_track_ = false;
    if (gc::options().gctrace >= 1)
      runtime::report("traced memory is read in every stop as a whole: %s", pages_.why_not());
  }
  tracks_ = may_track_;
}

// [tracked.arm-first] [tracked.doubt]
bool TracedRoots::arm_region(char* lo, size_t bytes) noexcept {
  if (!tracks_) return false;
  tracks_ = pages_.watch(lo, bytes) && pages_.arm(lo, bytes, nullptr, nullptr);
  return tracks_;
}

bool TracedRoots::is_armed(const char* mapping) const noexcept {
  const Mapping* const at =
      std::lower_bound(armed_.begin(), armed_.end(), mapping,
                       [](const Mapping& m, const char* address) { return m.lo < address; });
  return at != armed_.end() && at->lo == mapping;
}

// Arms and puts into the worklist whatever is not armed yet.
void TracedRoots::arm_new() noexcept {
  for (const size_t count = g_chunks.count(); armed_chunks_ < count; ++armed_chunks_) {
    Chunk& chunk = *g_chunks.chunk(armed_chunks_);
    if (!arm_region(chunk.block_address(kHeaderBlocks), kChunkBytes - kHeaderBlocks * kBlockBytes))
      return;
    add_chunk(chunk);
  }
  fresh_.clear();
  {
    // What is found stays mapped: [chunks.addresses].
    const std::lock_guard guard(g_chunks.lock());
    g_chunks.for_each_mapping([this](char* cell, size_t bytes) {
      if (!is_armed(cell) && !fresh_.push({cell, bytes})) tracks_ = false;
    });
  }
  for (const Mapping& mapping : fresh_) {
    if (!arm_region(mapping.lo, mapping.bytes)) return;
    if (!armed_.push(mapping)) tracks_ = false;
    add_memory(mapping.lo, mapping.lo + mapping.bytes);
  }
  std::sort(armed_.begin(), armed_.end(),
            [](const Mapping& a, const Mapping& b) { return a.lo < b.lo; });
}

void TracedRoots::add_written_of(char* lo, size_t bytes) noexcept {
  const bool known = pages_.arm(
      lo, bytes,
      [](void* roots, char* from, size_t length) noexcept {
        auto& self = *static_cast<TracedRoots*>(roots);
        self.add_memory(from, from + length);
        self.written_ += length / runtime::os::page_size();
      },
      this);
  if (known) return;
  tracks_ = false;
  add_memory(lo, lo + bytes);
}

void TracedRoots::add_written() noexcept {
  written_ = 0;
  for (size_t number = 0; number < armed_chunks_; ++number) {
    add_written_of(g_chunks.chunk(number)->block_address(kHeaderBlocks),
                   kChunkBytes - kHeaderBlocks * kBlockBytes);
  }
  for (const Mapping& mapping : armed_) add_written_of(mapping.lo, mapping.bytes);
}

void TracedRoots::queue_first_scan() noexcept {
  if (!reading_) return;  // opened since the cycle began: the stop reads everything
  start_tracking();
  if (tracks_) arm_new();
  if (!tracks_) add_traced_memory();
  flush();
}

bool TracedRoots::prepare_stop() noexcept {
  attach_known_threads();
  begin_reading();
  if (g_globals.wanted()) g_globals.refresh();
  if (!tracks_ || precleans_ == kMostPrecleans) return true;
  ++precleans_;
  const size_t before = written_;
  arm_new();
  add_written();
  flush();
  const bool progress = precleans_ == 1 || written_ < before / 2;
  if (!progress) precleans_ = kMostPrecleans;
  return written_ <= kFewPages || !progress;
}

// What is read in stops alone.
template <class Act>
void TracedRoots::for_each_standing(Act act) noexcept {
  g_ranges.for_each(act);
  if (!g_globals.wanted()) return;
  g_globals.for_each_segment(act);
  const runtime::Thread* const self = runtime::Thread::current();
  for (runtime::Thread* t = runtime::g_threads.first(); t != nullptr; t = t->next) {
    // A thread that runs the cycle for want of a collector's has two records; the other one leads
    // to its storage.
    if (t != self && t->tid == self->tid) continue;
    g_globals.for_each_thread_block(*t, act);
  }
}

bool TracedRoots::queue_stop() noexcept {
  if (g_globals.wanted() && !g_globals.is_fresh()) return false;  // [globals.fresh]
  for_each_standing([this](const char* lo, const char* hi) { add_memory(lo, hi); });
  if (tracks_) {
    add_written();
    // What is newer than the last look: nobody reads it twice.
    const size_t count = g_chunks.count();
    for (size_t number = armed_chunks_; number < count; ++number)
      add_chunk(*g_chunks.chunk(number));
    g_chunks.for_each_mapping([this](char* cell, size_t bytes) {
      if (!is_armed(cell)) add_memory(cell, cell + bytes);
    });
  }
  if (!tracks_) add_traced_memory();
  flush();
  return true;
}

void TracedRoots::scan(gc::Marker& marker, uint64_t item) noexcept {
  int64_t bytes = 0;
  const size_t words = item >> kLengthShift;
  // NOLINTNEXTLINE(performance-no-int-to-ptr)
  const auto* const from =
      reinterpret_cast<const char*>(item & ((uint64_t{1} << kLengthShift) - 1));
  if (!g_chunks.in_chunk(from)) {
    marker.scan_memory(from, words * sizeof(void*));
    bytes = static_cast<int64_t>(words * sizeof(void*));
  } else {
    for_each_live_part(from, from + words * sizeof(void*), [&](const char* part, size_t length) {
      marker.scan_memory(part, length / sizeof(void*) * sizeof(void*));
      bytes += static_cast<int64_t>(length);
    });
  }
  scanned_.fetch_add(bytes, std::memory_order_relaxed);
  items_.fetch_sub(1, std::memory_order_release);
}

void TracedRoots::visit_all(Visit visit, void* context, bool standing) noexcept {
  items_.store(0, std::memory_order_relaxed);  // what was dropped is done here
  const auto range = [&](const char* lo, const char* hi) {
    if (lo < hi) visit(context, lo, static_cast<size_t>(hi - lo));
  };
  if (standing) for_each_standing(range);
  const size_t count = g_chunks.count();
  for (size_t number = 0; number < count; ++number) {
    for_each_group(*g_chunks.chunk(number), [&](const char* group) {
      for_each_live_part(group, group + kPieceBytes,
                         [&](const char* part, size_t bytes) { visit(context, part, bytes); });
    });
  }
  g_chunks.for_each_mapping([&](char* cell, size_t bytes) { visit(context, cell, bytes); });
}

bool TracedRoots::visit_standing(Visit visit, void* context) noexcept {
  if (g_globals.wanted() && !g_globals.is_fresh()) return false;  // [globals.fresh]
  for_each_standing([&](const char* lo, const char* hi) {
    if (lo < hi) visit(context, lo, static_cast<size_t>(hi - lo));
  });
  return true;
}

void TracedRoots::end_cycle() noexcept {
  if (!reading_) return;
  reading_ = false;
  tracks_ = false;
  g_chunks.end_reading();
}

bool TracedRoots::is_traced(const void* address) const noexcept {
  if (g_chunks.in_chunk(address)) return true;
  bool found = false;
  g_chunks.for_each_mapping(
      [&](const char* cell, size_t bytes) { found |= address >= cell && address < cell + bytes; });
  return found;
}

bool TracedRoots::is_read(const void* address) noexcept {
  if (is_traced(address) || g_ranges.contains(address)) return true;
  return g_globals.wanted() && g_globals.contains(address);
}

void TracedRoots::release_free_memory() noexcept { g_chunks.release_free(); }

void TracedRoots::forget_pages() noexcept {
  pages_.close();  // they watch the parent's memory
  tracks_ = false;
}

gc::OpenRoots::Figures TracedRoots::figures() const noexcept {
  Figures figures;
  figures.bytes_scanned = scanned_.load(std::memory_order_relaxed);
  figures.dirty_pages = tracks_ ? static_cast<int64_t>(written_) : 0;
  figures.precleans = precleans_;
  figures.tracks_pages = tracks_;
  figures.bytes_in_use = static_cast<int64_t>(g_chunks.bytes_in_use());
  figures.bytes_mapped = static_cast<int64_t>(g_chunks.bytes_mapped());
  return figures;
}

}  // namespace tricolor::traced
