#include "observe/samples.h"

#include <algorithm>
#include <cstring>
#include <mutex>
#include <new>

#include "observe/types.h"
#include "runtime/base/immortal.h"
#include "runtime/base/thread_order.h"
#include "runtime/heap/heap_map.h"
#include "runtime/thread.h"

namespace tricolor::observe {

using runtime::Cell;
using runtime::g_heap;
using runtime::RuntimeScope;
using runtime::Thread;

namespace {

constinit runtime::Immortal<Samples> g_the_samples;

constexpr uint64_t kMix = 0x9e3779b97f4a7c15u;

uint64_t mixed(uint64_t hash, uint64_t word) noexcept {
  hash = (hash ^ word) * kMix;
  return hash ^ hash >> 29;
}

bool same_stack(const Site& site, const Stack& stack) noexcept {
  return site.depth == stack.depth && std::equal(stack.begin(), stack.end(), site.frames());
}

}  // namespace

Samples& g_samples = g_the_samples.value;

Site* Samples::find_site(size_t size, uint16_t type, const Labels::Set* labels,
                         const Stack& stack) noexcept {
  uint64_t hash = mixed(mixed(size, type), reinterpret_cast<uintptr_t>(labels));
  for (const uintptr_t frame : stack) hash = mixed(hash, frame);
  const auto look = [&]() -> Site* {
    runtime::learn_order();
    Site* site = sites_[hash % kRows].load(std::memory_order_acquire);
    while (site != nullptr && (site->hash != hash || site->size != size || site->type != type ||
                               site->labels != labels || !same_stack(*site, stack))) {
      site = site->next;
    }
    return site;
  };
  if (Site* const site = look()) return site;
  const std::lock_guard guard(sites_lock_);
  if (Site* const site = look()) return site;
  return add_site(hash, size, type, labels, stack);
}

// Under sites_lock_.
Site* Samples::add_site(uint64_t hash, size_t size, uint16_t type, const Labels::Set* labels,
                        const Stack& stack) noexcept {
  if (sites_arena_.mapped_bytes() > kMostBytes) return nullptr;
  void* const memory = sites_arena_.allocate(sizeof(Site) + stack.depth * sizeof(uintptr_t));
  if (memory == nullptr) return nullptr;
  auto* const site = ::new (memory) Site;
  site->hash = hash;
  site->size = size;
  site->type = type;
  site->labels = labels;
  site->depth = stack.depth;
  std::copy(stack.begin(), stack.end(), site->frames());
  std::atomic<Site*>& row = sites_[hash % kRows];
  site->next = row.load(std::memory_order_relaxed);
  row.store(site, std::memory_order_release);
  runtime::tell_order();
  return site;
}

size_t Samples::place(const void* object) noexcept {
  return (reinterpret_cast<uintptr_t>(object) >> 4) * kMix >> 52;
}

void Samples::add(Thread& thread, const void* object, size_t size, const gc::detail::TypeInfo* type,
                  const Stack& stack) noexcept {
  const RuntimeScope scope(thread);
  Site* const site = find_site(size, g_known_types.number_of(type), g_labels.current(), stack);
  if (site == nullptr) {
    lost_.fetch_add(1, std::memory_order_relaxed);
    return;
  }
  const uint32_t epoch = epoch_.load(std::memory_order_relaxed);
  const size_t at = place(object);
  Shard& shard = shards_[at % kShards];
  {
    const std::lock_guard guard(shard.lock);
    Record* record = shard.free;
    if (record != nullptr) {
      shard.free = record->next;
    } else {
      record = static_cast<Record*>(shard.arena.allocate(sizeof(Record)));
    }
    if (record == nullptr) {
      lost_.fetch_add(1, std::memory_order_relaxed);
      return;
    }
    Record*& row = shard.rows[at / kShards];
    *record = {row,        ~reinterpret_cast<uintptr_t>(object),
               site,       epoch,
               thread.tid, stack.first_frame_end,
               false,      false};
    row = record;
  }
  g_heap.find(object).span->sampled.store(true, std::memory_order_relaxed);
  // After the record: what is counted can be freed.
  site->pending[epoch % 2].allocated.fetch_add(1, std::memory_order_relaxed);
}

bool Samples::find_stack(const void* object, Stack& out) noexcept {
  const size_t at = place(object);
  Shard& shard = shards_[at % kShards];
  const std::lock_guard guard(shard.lock);
  for (const Record* r = shard.rows[at / kShards]; r != nullptr; r = r->next) {
    if (r->hidden != ~reinterpret_cast<uintptr_t>(object)) continue;
    out.depth = r->site->depth;
    std::copy_n(r->site->frames(), out.depth, out.frames.begin());
    return true;
  }
  return false;
}

void Samples::forget(const void* object) noexcept {
  const size_t at = place(object);
  Shard& shard = shards_[at % kShards];
  const std::lock_guard guard(shard.lock);
  for (Record** link = &shard.rows[at / kShards]; *link != nullptr; link = &(*link)->next) {
    Record* const record = *link;
    if (record->hidden != ~reinterpret_cast<uintptr_t>(object)) continue;
    *link = record->next;
    record->next = shard.free;
    shard.free = record;
    const uint32_t epoch = epoch_.load(std::memory_order_relaxed);
    Site& site = *record->site;
    site.pending[epoch % 2].freed.fetch_add(1, std::memory_order_relaxed);
    site.ages.fetch_add(epoch - record->epoch, std::memory_order_relaxed);
    if (epoch == record->epoch) site.died_young.fetch_add(1, std::memory_order_relaxed);
    return;
  }
}

void Samples::cycle_begins() noexcept { epoch_.fetch_add(1, std::memory_order_relaxed); }

void Samples::raise(std::atomic<uint64_t>& most, uint64_t value) noexcept {
  uint64_t seen = most.load(std::memory_order_relaxed);
  while (value > seen && !most.compare_exchange_weak(seen, value, std::memory_order_relaxed)) {
  }
}

// Whether the frame that made the object is no more. A frame on another stack, a fiber's, says
// nothing. The thread is in the list, so its stack is there; it may be running on it.
__attribute__((no_sanitize("thread", "address"))) bool Samples::has_returned(
    const Record& record, const Thread& thread) noexcept {
  const auto sp = reinterpret_cast<uintptr_t>(thread.seen_sp.load(std::memory_order_relaxed));
  const auto lo = reinterpret_cast<uintptr_t>(thread.stack_lo);
  const auto hi = reinterpret_cast<uintptr_t>(thread.stack_hi);
  if (sp < lo || sp >= hi || record.frame_end <= lo || record.frame_end > hi) return false;
  if (sp >= record.frame_end) return true;
#if defined(__x86_64__)
  // Calls that came after it may lie in its place: it is there as long as its return address is.
  if (record.site->depth > 1) {
    // NOLINTNEXTLINE(performance-no-int-to-ptr)
    const auto* const slot = reinterpret_cast<const volatile uintptr_t*>(record.frame_end) - 1;
    return *slot != record.site->frames()[1] + 1;
  }
#endif
  return false;
}

// What a cycle tells of an object that has survived it.
void Samples::note_living(Record& record, uint32_t epoch) noexcept {
  raise(record.site->oldest, epoch - record.epoch);
  if (record.counted_frame && record.counted_thread) return;
  const Thread* thread = runtime::g_threads.first();
  while (thread != nullptr && thread->tid != record.tid) thread = thread->next;
  const bool ended = thread == nullptr;
  const bool returned = ended || has_returned(record, *thread);
  if (returned && !record.counted_frame) {
    record.counted_frame = true;
    record.site->left_frame.fetch_add(1, std::memory_order_relaxed);
  }
  if (ended && !record.counted_thread) {
    record.counted_thread = true;
    record.site->left_thread.fetch_add(1, std::memory_order_relaxed);
  }
}

// Under the threads' lock and the shard's.
void Samples::look_through(Shard& shard, uint32_t epoch) noexcept {
  for (Record*& row : shard.rows) {
    for (Record** link = &row; *link != nullptr;) {
      Record& record = **link;
      // NOLINTNEXTLINE(performance-no-int-to-ptr)
      const Cell cell = g_heap.find(reinterpret_cast<const void*>(~record.hidden));
      if (g_heap.is_marked(cell)) {
        if (record.epoch < epoch) note_living(record, epoch);
        link = &record.next;
        continue;
      }
      Site& site = *record.site;
      Counts& counts = record.epoch == epoch ? site.pending[epoch % 2] : site.done;
      counts.freed.fetch_add(1, std::memory_order_relaxed);
      const uint32_t age = std::max<uint32_t>(1, epoch - record.epoch);
      site.ages.fetch_add(age - 1, std::memory_order_relaxed);
      if (age == 1) site.died_young.fetch_add(1, std::memory_order_relaxed);
      *link = record.next;
      record.next = shard.free;
      shard.free = &record;
    }
  }
}

// [samples.epochs]
void Samples::cycle_marked() noexcept {
  const uint32_t epoch = epoch_.load(std::memory_order_relaxed);
  for (auto& row : sites_) {
    for (Site* site = row.load(std::memory_order_acquire); site != nullptr; site = site->next) {
      Counts& before = site->pending[(epoch - 1) % 2];
      const uint64_t freed = before.freed.exchange(0, std::memory_order_relaxed);
      const uint64_t allocated = before.allocated.exchange(0, std::memory_order_relaxed);
      site->done.allocated.fetch_add(allocated, std::memory_order_relaxed);
      site->done.freed.fetch_add(freed, std::memory_order_relaxed);
    }
  }
  for (Shard& shard : shards_) {
    runtime::lock_threads(Thread::current());
    const std::lock_guard threads(runtime::g_threads.lock(), std::adopt_lock);
    const std::lock_guard guard(shard.lock);
    look_through(shard, epoch);
  }
  cycles_.fetch_add(1, std::memory_order_release);
}

size_t Samples::memory_bytes() const noexcept {
  size_t bytes = sites_arena_.mapped_bytes();
  for (const Shard& shard : shards_) bytes += shard.arena.mapped_bytes();
  return bytes;
}

}  // namespace tricolor::observe
