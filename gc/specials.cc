#include "gc/specials.h"

#include <stdexcept>
#include <utility>

#include "gc/barrier.h"
#include "gc/finalizer_thread.h"
#include "runtime/base/immortal.h"
#include "runtime/heap/heap_map.h"

#include <tricolor/finalizer.hpp>

namespace tricolor::gc {

using detail::WeakCell;
using runtime::Cell;
using runtime::g_heap;
using runtime::RuntimeScope;
using runtime::Thread;

namespace {

void release_cell(WeakCell* cell) noexcept {
  if (cell->references.fetch_sub(1, std::memory_order_acq_rel) == 1) delete cell;
}

void clear_weak(Special& special) noexcept {
  if (special.weak == nullptr) return;
  special.weak->hidden_object.store(0, std::memory_order_release);
  release_cell(std::exchange(special.weak, nullptr));
}

// The object that an address given by the program points into, or nullptr if it will not do. In a
// runtime section; refuse() throws outside of it.
char* object_of(const void* address, bool interior_allowed) noexcept {
  const Cell cell = g_heap.find_allocated(address);
  if (!cell) return nullptr;
  char* const object = g_heap.cell_address(cell);
  return interior_allowed || object == address ? object : nullptr;
}

[[noreturn]] void refuse(const char* what, const void* address) {
  const bool inside = static_cast<bool>(g_heap.find_allocated(address));
  throw std::invalid_argument(std::string(what) +
                              (inside ? ": an address inside an object; the object's own is needed"
                                      : ": not the address of a collected object"));
}

constinit runtime::Immortal<Specials> g_the_specials;

}  // namespace

Specials& specials() noexcept { return g_the_specials.value; }

Special& Specials::record_of(Shard& shard, char* object) {
  const auto [special, fresh] = shard.records.find_or_add(object);
  if (fresh) note_size(1);
  return *special;
}

WeakCell* Specials::weak_cell(char* object) {
  Shard& shard = shard_of(object);
  const std::lock_guard guard(shard.lock);
  WeakCell*& cell = record_of(shard, object).weak;
  if (cell == nullptr) {
    cell = new WeakCell;
    cell->hidden_object.store(~reinterpret_cast<uintptr_t>(object), std::memory_order_release);
  }
  cell->references.fetch_add(1, std::memory_order_relaxed);
  return cell;
}

void Specials::set_finalizer(char* object, std::unique_ptr<Task>& task) {
  Shard& shard = shard_of(object);
  const std::lock_guard guard(shard.lock);
  task->hidden = ~reinterpret_cast<uintptr_t>(object);
  if (task->in_cycles) any_in_cycles_.store(true, std::memory_order_relaxed);
  record_of(shard, object).finalizer.swap(task);
}

std::unique_ptr<Task> Specials::clear_finalizer(char* object) noexcept {
  Shard& shard = shard_of(object);
  const std::lock_guard guard(shard.lock);
  Special* const special = shard.records.find(object);
  return special == nullptr ? nullptr : std::move(special->finalizer);
}

uint64_t Specials::add_cleanup(char* object, std::unique_ptr<Task>& task) {
  const uint64_t number = next_cleanup_.fetch_add(1, std::memory_order_relaxed);
  task->number = number;
  Shard& shard = shard_of(object);
  const std::lock_guard guard(shard.lock);
  record_of(shard, object).cleanups.push(std::move(task));
  return number;
}

std::unique_ptr<Task> Specials::cancel_cleanup(const char* object, uint64_t number) noexcept {
  Shard& shard = shard_of(object);
  const std::lock_guard guard(shard.lock);
  Special* const special = shard.records.find(object);
  return special == nullptr ? nullptr : special->cleanups.take(number);
}

std::unique_ptr<Task> Specials::disarm(char* object) noexcept {
  Shard& shard = shard_of(object);
  const std::lock_guard guard(shard.lock);
  Special* const special = shard.records.find(object);
  if (special == nullptr) return nullptr;
  clear_weak(*special);
  return std::move(special->finalizer);
}

Special Specials::take(char* object) noexcept {
  Shard& shard = shard_of(object);
  Special taken;
  {
    const std::lock_guard guard(shard.lock);
    Special* const special = shard.records.find(object);
    if (special == nullptr) return taken;
    taken = std::move(*special);
    shard.records.erase(shard.records.index_of(*special));
    note_size(-1);
  }
  clear_weak(taken);
  return taken;
}

// [specials.in_cycles]
bool Specials::take_in_cycles(TaskList& taken) noexcept {
  if (!any_in_cycles_.load(std::memory_order_relaxed)) return false;
  for (Shard& shard : shards_) {
    const std::lock_guard guard(shard.lock);
    for (size_t i = 0; i < shard.records.size(); ++i) {
      Special& special = shard.records[i];
      if (!special.finalizer || !special.finalizer->in_cycles) continue;
      if (g_heap.is_marked(g_heap.find(special.object()))) continue;
      clear_weak(special);
      // [specials.once]
      taken.push(std::move(special.finalizer));
    }
  }
  return !taken.empty();
}

void Specials::process_dead() noexcept {
  TaskList queued;
  for (Shard& shard : shards_) {
    const std::lock_guard guard(shard.lock);
    SpecialTable& records = shard.records;
    size_t gone = 0;
    for (size_t i = 0; i < records.size(); ++i) {
      Special& special = records[i];
      const Cell cell = g_heap.find(special.object());
      if (!g_heap.is_marked(cell)) {
        clear_weak(special);
        if (special.finalizer) {
          g_heap.try_mark(cell);  // what it refers to is marked: [specials.contents]
          // [specials.once] Its cleanups stay until it is dead for good.
          queued.push(std::move(special.finalizer));
        } else {
          queued.append(special.cleanups);
        }
      }
      if (special.empty()) ++gone;
    }
    records.erase_empty(gone);
    note_size(-static_cast<int64_t>(gone));
    records.trim();
  }
  finalizer_thread().queue(queued);
}

char* Specials::lock_weak(Thread& thread, WeakCell& cell) noexcept {
  const auto object = [&cell] {
    const uintptr_t hidden = cell.hidden_object.load(std::memory_order_acquire);
    return hidden == 0 ? nullptr
                       : reinterpret_cast<char*>(~hidden);  // NOLINT(performance-no-int-to-ptr)
  };
  if (!detail::load_word(TRICOLOR_THIS_THREAD.marking)) return object();
  // [specials.gate]
  const std::lock_guard guard(gate_lock_);
  char* const target = object();
  if (target == nullptr) return nullptr;
  if (gate_open_) {
    shade_address(thread, target);
    return target;
  }
  // [specials.once] looked at again: process_dead() clears the cell before it marks an object whose
  // finalizer it queues.
  return g_heap.is_marked(g_heap.find(target)) ? object() : nullptr;
}

namespace detail {

WeakCell* weak_cell_for(void* target, std::ptrdiff_t& offset) {
  if (target == nullptr) return nullptr;
  Thread& thread = Thread::attached();
  {
    const RuntimeScope scope(thread);
    if (char* const object = object_of(target, true)) {
      offset = static_cast<char*>(target) - object;
      return specials().weak_cell(object);
    }
  }
  refuse("gc::weak", target);
}

char* lock_weak(WeakCell* cell) noexcept {
  Thread& thread = Thread::attached_or_fatal();
  const RuntimeScope scope(thread);
  return specials().lock_weak(thread, *cell);
}

void retain_weak(WeakCell* cell) noexcept {
  cell->references.fetch_add(1, std::memory_order_relaxed);
}

void release_weak(WeakCell* cell) noexcept { release_cell(cell); }

void set_finalizer(void* object, std::function<void()> run, bool for_cycles) {
  Thread& thread = Thread::attached();
  auto task = std::make_unique<Task>(std::move(run));
  task->in_cycles = for_cycles;
  {
    const RuntimeScope scope(thread);
    if (char* const start = object_of(object, false)) {
      // Roots may have been traced already: shaded, the object has its contents marked all the
      // same.
      if (load_word(TRICOLOR_THIS_THREAD.marking)) shade_address(thread, start);
      specials().set_finalizer(start, task);
      return;
    }
  }
  refuse("gc::set_finalizer", object);
}

void clear_finalizer(void* object) noexcept {
  Thread& thread = Thread::attached_or_fatal();
  std::unique_ptr<Task> dropped;  // destroyed outside the runtime section: it may hold anything
  {
    const RuntimeScope scope(thread);
    const Cell cell = g_heap.find_allocated(object);
    if (cell) dropped = specials().clear_finalizer(g_heap.cell_address(cell));
  }
}

CleanupId add_cleanup(void* object, std::function<void()> run) {
  Thread& thread = Thread::attached();
  auto task = std::make_unique<Task>(std::move(run));
  {
    const RuntimeScope scope(thread);
    if (char* const start = object_of(object, true)) {
      return {specials().add_cleanup(start, task), ~reinterpret_cast<std::uintptr_t>(start)};
    }
  }
  refuse("gc::add_cleanup", object);
}

bool cancel_cleanup(const CleanupId& id) noexcept {
  Thread& thread = Thread::attached_or_fatal();
  std::unique_ptr<Task> cancelled;
  {
    const RuntimeScope scope(thread);
    // NOLINTNEXTLINE(performance-no-int-to-ptr)
    const auto* const object = reinterpret_cast<const char*>(~id.hidden);
    cancelled = specials().cancel_cleanup(object, id.number);
  }
  return cancelled != nullptr;
}

}  // namespace detail
}  // namespace tricolor::gc
