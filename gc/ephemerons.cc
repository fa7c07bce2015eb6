#include "gc/ephemerons.h"

#include <memory>
#include <mutex>
#include <new>
#include <stdexcept>
#include <utility>

#include "gc/barrier.h"
#include "gc/boxed.h"
#include "gc/marker.h"
#include "gc/specials.h"
#include "gc/workers.h"
#include "runtime/base/immortal.h"
#include "runtime/heap/heap_map.h"

#include <tricolor/container/weak_map.hpp>

namespace tricolor::gc {

using detail::EphemeronTable;
using runtime::Cell;
using runtime::g_heap;
using runtime::RuntimeScope;
using runtime::Thread;

namespace {

constinit runtime::Immortal<Ephemerons> g_the_ephemerons;

uintptr_t hide(const void* address) noexcept { return ~reinterpret_cast<uintptr_t>(address); }
char* reveal(uintptr_t hidden) noexcept {
  return reinterpret_cast<char*>(~hidden);  // NOLINT(performance-no-int-to-ptr)
}
bool is_marked(const void* address) noexcept {
  const Cell cell = g_heap.find(address);
  return cell && g_heap.is_marked(cell);
}
// A value may be nowhere, or outside of the heap.
bool is_white(const void* address) noexcept {
  const Cell cell = g_heap.find(address);
  return cell && !g_heap.is_marked(cell);
}

// The marking of what ephemerons lead to, with the keys that are still waited for.
class Reach {
 public:
  explicit Reach(Marker& marker) noexcept : marker_(marker) {}

  // std::bad_alloc: the entry is left to another pass.
  void wait_for(const void* key, char* value) {
    waiting_.emplace(g_heap.cell_address(g_heap.find(key)), value);
  }
  void add(char* address) noexcept {
    found_ = true;
    try {
      stack_.push_back(address);
    } catch (const std::bad_alloc&) {
      marker_.add_edge(address);
    }
  }
  void drain() noexcept {
    while (!stack_.empty()) {
      char* const address = stack_.back();
      stack_.pop_back();
      visit(address);
    }
  }
  bool found() const noexcept { return found_; }
  const MarkCounts& counts() const noexcept { return counts_; }

 private:
  __attribute__((no_sanitize("address", "thread", "undefined"))) void visit(
      const char* address) noexcept {
    const Cell cell = g_heap.find(address);
    if (!cell || g_heap.is_marked(cell) || !g_heap.try_mark(cell)) return;
    const size_t size = cell.span->cell_size;
    const char* const object = g_heap.cell_address(cell);
    ++counts_.objects;
    counts_.marked_bytes += static_cast<int64_t>(size);
    const auto [first, last] = waiting_.equal_range(object);
    for (auto i = first; i != last; ++i) add(i->second);
    if (detail::is_leaf_kind(cell.span->kind)) return;
    counts_.marked_scan_bytes += static_cast<int64_t>(size);
    counts_.scan_work += static_cast<int64_t>(size);
    const bool boxed = boxed_words_in_use();
    for (size_t at = 0; at + sizeof(void*) <= size; at += sizeof(void*)) {
      const auto word = *reinterpret_cast<const volatile uintptr_t*>(object + at);
      // NOLINTNEXTLINE(performance-no-int-to-ptr): a word that may be an address
      char* const target = reinterpret_cast<char*>(referred_address(word, boxed));
      if (is_white(target)) add(target);
    }
  }

  Marker& marker_;
  std::unordered_multimap<const void*, char*> waiting_;  // of this call: nobody scans it
  std::vector<char*> stack_;
  MarkCounts counts_;
  bool found_ = false;
};

}  // namespace

Ephemerons& ephemerons() noexcept { return g_the_ephemerons.value; }

void Ephemerons::add(Table* table) {
  const std::lock_guard guard(lock_);
  tables_.push_back(table);
  count_.store(tables_.size(), std::memory_order_relaxed);
}

// visit(key, value) for the entries of marked tables, each table under its lock.
template <class Visit>
void Ephemerons::for_each_reached(Visit visit) {
  const std::lock_guard guard(lock_);
  for (Table* const table : tables_) {
    if (!is_marked(reveal(table->hidden_handle))) continue;
    const std::lock_guard table_guard(table->lock);
    for (const auto& [key, value] : table->entries) visit(reveal(key), reveal(value));
  }
}

void Ephemerons::for_each_entry(VisitEntry visit, void* context) noexcept {
  for_each_reached([&](const char* key, const char* value) {
    const Cell of_key = g_heap.find(key);
    if (of_key && g_heap.find(value)) visit(context, g_heap.cell_address(of_key), value);
  });
}

bool Ephemerons::mark_reached(Marker& marker) noexcept {
  if (empty()) return false;
  Reach reach(marker);
  {
    const std::lock_guard gate(specials().gate_lock());
    for_each_reached([&](char* key, char* value) {
      if (!is_white(value)) return;
      if (is_marked(key)) {
        reach.add(value);
      } else {
        try {
          reach.wait_for(key, value);
        } catch (const std::bad_alloc&) {  // another pass comes to it
        }
      }
    });
  }
  reach.drain();
  g_workers.add(reach.counts(), true);
  return reach.found();
}

bool Ephemerons::unfinished() noexcept {
  if (empty()) return false;
  bool found = false;
  for_each_reached(
      [&](char* key, char* value) { found = found || (is_marked(key) && is_white(value)); });
  return found;
}

void Ephemerons::clear_dead() noexcept {
  if (empty()) return;
  const std::lock_guard gate(specials().gate_lock());
  const std::lock_guard guard(lock_);
  for (size_t i = 0; i < tables_.size();) {
    Table* const table = tables_[i];
    if (!is_marked(reveal(table->hidden_handle))) {
      tables_[i] = tables_.back();
      tables_.pop_back();
      delete table;
      continue;
    }
    const std::lock_guard table_guard(table->lock);
    std::erase_if(table->entries,
                  [](const auto& entry) { return !is_marked(reveal(entry.first)); });
    ++i;
  }
  count_.store(tables_.size(), std::memory_order_relaxed);
}

// Not while a table is being looked into under the gate: the look would take the marked successor
// for the key.
void Ephemerons::forget(const char* object, size_t size) noexcept {
  std::unique_lock<runtime::Lock> gate;
  if (detail::load_word(TRICOLOR_THIS_THREAD.marking))
    gate = std::unique_lock(specials().gate_lock());
  const std::lock_guard guard(lock_);
  for (Table* const table : tables_) {
    const std::lock_guard table_guard(table->lock);
    const size_t bytes = table->interior_keys ? size : 1;
    for (size_t at = 0; at < bytes; ++at) table->entries.erase(hide(object + at));
  }
}

namespace detail {

namespace {

// A look into a table: [ephemeron.gate].
class Look {
 public:
  explicit Look(EphemeronTable& table)
      : thread_(Thread::attached()), scope_(thread_), on_(load_word(TRICOLOR_THIS_THREAD.marking)) {
    if (on_) gate_ = std::unique_lock(specials().gate_lock());
    table_ = std::unique_lock(table.lock);
  }
  // Whether an object that is found may be given out; it is marked then, or will be.
  bool give_out(const void* address) noexcept {
    if (!on_ || !g_heap.find(address)) return true;
    if (!specials().gate_open()) return is_marked(address);
    shade_address(thread_, address);
    return true;
  }

 private:
  Thread& thread_;
  RuntimeScope scope_;
  const bool on_;
  std::unique_lock<runtime::Lock> gate_;
  std::unique_lock<runtime::Lock> table_;
};

}  // namespace

EphemeronHandle* make_ephemerons() {
  EphemeronHandle* const handle = make<EphemeronHandle>();
  auto table = std::make_unique<EphemeronTable>();
  table->hidden_handle = hide(handle);
  handle->table = table.get();
  const RuntimeScope scope(Thread::attached());
  ephemerons().add(table.get());
  table.release();
  keep_alive(handle);
  return handle;
}

void* ephemeron_find(const EphemeronHandle* handle, const void* key, bool& found) noexcept {
  Look look(*handle->table);
  const auto at = handle->table->entries.find(hide(key));
  found = at != handle->table->entries.end() && look.give_out(key);
  if (!found) return nullptr;
  char* const value = reveal(at->second);
  return look.give_out(value) ? value : nullptr;
}

bool ephemeron_set(EphemeronHandle* handle, void* key, void* value) {
  const Cell cell = g_heap.find_allocated(key);
  if (!cell) throw std::invalid_argument("gc::weak_map: the key is no collected object");
  Look look(*handle->table);
  const bool fresh = handle->table->entries.insert_or_assign(hide(key), hide(value)).second;
  if (g_heap.cell_address(cell) != key) handle->table->interior_keys = true;
  look.give_out(value);
  return fresh;
}

bool ephemeron_erase(EphemeronHandle* handle, const void* key) noexcept {
  const Look look(*handle->table);
  return handle->table->entries.erase(hide(key)) != 0;
}

std::size_t ephemeron_count(const EphemeronHandle* handle) noexcept {
  const Look look(*handle->table);
  return handle->table->entries.size();
}

void ephemeron_clear(EphemeronHandle* handle) noexcept {
  const Look look(*handle->table);
  handle->table->entries.clear();
}

std::size_t ephemeron_copy(const EphemeronHandle* handle, ptr<void>* out,
                           std::size_t most) noexcept {
  Look look(*handle->table);
  std::size_t count = 0;
  for (const auto& [hidden_key, hidden_value] : handle->table->entries) {
    if (count == most) break;
    char* const key = reveal(hidden_key);
    if (!look.give_out(key)) continue;
    char* const value = reveal(hidden_value);
    look.give_out(value);
    // Both are shaded, where that matters.
    out[2 * count] = key;
    out[2 * count + 1] = value;
    ++count;
  }
  return count;
}

}  // namespace detail
}  // namespace tricolor::gc
