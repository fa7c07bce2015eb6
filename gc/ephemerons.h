#pragma once

// Ephemerons: tables whose values are reachable through their keys only (Hayes, Ephemerons: A New Finalization
// Mechanism, 1997). gc::weak_map, gc::weak_set and gc::ephemeron stand on them.
//
// A table lies in ordinary memory, where its addresses are inverted and are no references; a
// collected handle stands for it, and when that is found dead the table goes.
//
// [ephemeron.gate]   while barriers are on, who looks into a table holds the weak gate's lock. Gate open: the value
//                    that is found, or put in, is shaded, and so is a key that iteration gives out. Gate closed: only
//                    entries with marked keys are given out; their values are marked ([ephemeron.closed]).
// [ephemeron.closed] a round is clean only if, under the gate's lock, no entry of a marked table has a marked key and
//                    an unmarked value. By then all that threads can reach without a table is marked, and nobody can
//                    look into one, so no mark that matters can come during that look. It comes after the last answers
//                    and not before: a leaf that is shaded arrives nowhere.
// [ephemeron.dead]   entries with unmarked keys go before finalizers are queued, as weak references are cleared.
// Order of locks: gate, the list of tables, a table.
// Threads: any, in a runtime section; the collector's functions say so.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <unordered_map>
#include <vector>

#include "runtime/base/lock.h"
#include "runtime/thread.h"

namespace tricolor::gc {

class Marker;

namespace detail {

struct EphemeronTable {
  runtime::Lock lock;
  // ~address of the key: ~address of the value. Guarded by `lock`.
  std::unordered_map<uintptr_t, uintptr_t> entries;
  bool interior_keys = false;   // some key is no object's start
  uintptr_t hidden_handle = 0;  // ~address; constant once the table is listed
};

}  // namespace detail

class Ephemerons {
 public:
  using Table = detail::EphemeronTable;

  void add(Table* table);  // std::bad_alloc: it is not listed
  bool empty() const noexcept { return count_.load(std::memory_order_relaxed) == 0; }

  // Before gc::destroy ends an object: nobody may take its successor at the address for it.
  void forget(const char* object, size_t size) noexcept;

  // Collector, marking, nothing else left to do: marks what keys that are marked by now lead to.
  // False: nothing was. Linear in entries and objects, whatever leads from values to keys: an
  // object marked here is looked up among the keys at once (Barros and Ierusalimschy, Eliminating
  // Cycles in Weak Tables, 2008, have the problem).
  bool mark_reached(Marker& marker) noexcept;
  // Collector, under the gate's lock: whether there is something left for mark_reached().
  bool unfinished() noexcept;
  // Collector, gate closed: visit(context, key, value) for what is left in live tables.
  using VisitEntry = void (*)(void* context, const char* key, const char* value) noexcept;
  void for_each_entry(VisitEntry visit, void* context) noexcept;
  // Collector, gate closed: entries of dead keys go, and tables of dead handles.
  void clear_dead() noexcept;

 private:
  template <class Visit>
  void for_each_reached(Visit visit);

  runtime::Lock lock_;
  std::vector<Table*> tables_;    // guarded by lock_
  std::atomic<size_t> count_{0};  // a hint, relaxed: a table listed later has marked values alone
};

Ephemerons& ephemerons() noexcept;

}  // namespace tricolor::gc
