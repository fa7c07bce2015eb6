// sync::Map: a map that any number of threads read and write at once, as Go's sync.Map.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <new>
#include <type_traits>
#include <utility>

#include <tricolor/detail/exceptions.hpp>
#include <tricolor/detail/sync_map_table.hpp>
#include <tricolor/root.hpp>

namespace tricolor::sync {

// Keys K, values references to collected objects (nullptr is a value like any other). Where Go
// returns two results, a pair: the value and whether the key was there.
//
//     sync::Map<std::string, Session> sessions;
//     sessions.store("a", gc::make<Session>());
//     if (auto [session, found] = sessions.load("a"); found) session->touch();
//
// load() takes no lock and writes nothing that another thread reads; what changes the value of a
// key that is there is one compare-exchange; a new key takes one of 16 locks. Each operation takes
// effect at one moment between its call and its return. A deleted key's memory goes with the next
// rebuild of the table, which many deletions bring about.
//
// A K that is a pointer is compared by address and keeps its object alive. Hash and Equal may
// throw; then nothing has changed. Any thread; construction and destruction are for one. The map
// refers to its contents as a gc::root does: one that lies in a collected object and holds
// references back to it is never collected.
template <class K, class V, class Hash = std::hash<K>, class Equal = std::equal_to<K>>
class Map {
 public:
  using key_type = K;
  using mapped_type = V;
  using Result = std::pair<V*, bool>;

  Map() : state_(gc::make<State>()) {}
  Map(const Map&) = delete;
  Map& operator=(const Map&) = delete;

  // The value of the key; {nullptr, false} if it is not there.
  Result load(const K& key) const {
    const Entry* const entry = find(key, hash_of(key));
    if (entry == nullptr) return {nullptr, false};
    V* const value = entry->value.load(std::memory_order_acquire);
    return value == Entry::gone() ? Result{nullptr, false} : Result{value, true};
  }
  bool contains(const K& key) const { return load(key).second; }

  // std::bad_alloc for these four: then the map is as before.
  void store(const K& key, V* value) { static_cast<void>(swap(key, value)); }
  // The value that the key had, if it was there.
  Result swap(const K& key, V* value) {
    const std::uint64_t hash = hash_of(key);
    if (Entry* const entry = find(key, hash)) {
      if (const Result before = exchange(*entry, value); before.second) return before;
    }
    return insert(key, hash, value, true);
  }
  // The key's value and true if it was there; otherwise stores `value`: {value, false}.
  Result load_or_store(const K& key, V* value) {
    const std::uint64_t hash = hash_of(key);
    if (const Entry* const entry = find(key, hash)) {
      V* const there = entry->value.load(std::memory_order_acquire);
      if (there != Entry::gone()) return {there, true};
    }
    const Result before = insert(key, hash, value, false);
    return before.second ? before : Result{value, false};
  }

  // The value that the key had, if it was there.
  Result load_and_delete(const K& key) {
    const std::uint64_t hash = hash_of(key);
    Entry* const entry = find(key, hash);
    if (entry == nullptr) return {nullptr, false};
    const Result before = exchange(*entry, Entry::gone());
    if (before.second) note_deleted(hash);
    return before;
  }
  // Whether it was there.
  bool erase(const K& key) { return load_and_delete(key).second; }

  // Stores `desired` if the key is there with the value `expected`; whether it did.
  bool compare_and_swap(const K& key, V* expected, V* desired) {
    Entry* const entry = find(key, hash_of(key));
    return entry != nullptr &&
           entry->value.compare_exchange_strong(expected, desired, std::memory_order_acq_rel,
                                                std::memory_order_acquire);
  }
  bool compare_and_delete(const K& key, V* expected) {
    const std::uint64_t hash = hash_of(key);
    Entry* const entry = find(key, hash);
    if (entry == nullptr ||
        !entry->value.compare_exchange_strong(expected, Entry::gone(), std::memory_order_acq_rel,
                                              std::memory_order_acquire)) {
      return false;
    }
    note_deleted(hash);
    return true;
  }

  // Calls f(key, value) for each key until it returns false (or for all, if it returns nothing).
  // No key comes twice; what others do meanwhile may be seen or not. f may use the map.
  template <class F>
  void range(F&& f) const {
    const Table* const table = state_->table.load(std::memory_order_acquire);
    for (std::size_t i = 0; i < table->capacity(); ++i) {
      const Entry* const entry = table->slots.get()[i].load(std::memory_order_acquire);
      if (entry == nullptr) continue;
      V* const value = entry->value.load(std::memory_order_acquire);
      if (value == Entry::gone()) continue;
      const auto& key = detail::key_of<K>(entry->key);
      if constexpr (std::is_void_v<std::invoke_result_t<F&, const K&, V*>>) {
        std::invoke(f, key, value);
      } else if (!std::invoke(f, key, value)) {
        return;
      }
    }
  }

  // Deletes all keys. std::bad_alloc.
  void clear() {
    Table* const empty = gc::make<Table>(State::kLeast);
    const typename State::AllStripes locked(*state_);
    Table* const before = state_->table.load(std::memory_order_relaxed);
    // First this, then the entries: who finds one of them gone finds the others gone too.
    state_->table.store(empty, std::memory_order_release);
    for (std::size_t i = 0; i < before->capacity(); ++i) {
      Entry* const entry = before->slots.get()[i].load(std::memory_order_relaxed);
      if (entry != nullptr && exchange(*entry, Entry::gone()).second) {
        state_->stripe_of(entry->hash).live.fetch_sub(1, std::memory_order_relaxed);
      }
    }
    for (detail::MapStripe& stripe : state_->stripes) {
      stripe.used.store(0, std::memory_order_relaxed);
    }
  }

  // How many keys are there: exact while nobody changes it.
  std::size_t size() const noexcept { return state_->live(); }
  bool empty() const noexcept { return size() == 0; }

 private:
  using Entry = detail::MapEntry<K, V>;
  using Table = detail::MapTable<K, V>;
  using State = detail::MapState<K, V>;

  std::uint64_t hash_of(const K& key) const {
    return detail::spread_hash(static_cast<std::uint64_t>(Hash{}(key)));
  }
  static bool is(const Entry& entry, const K& key, std::uint64_t hash) {
    return entry.hash == hash && Equal{}(detail::key_of<K>(entry.key), key);
  }

  // The key's entry, gone or not; nullptr if there is none.
  Entry* find(const K& key, std::uint64_t hash) const {
    const Table& table = *state_->table.load(std::memory_order_acquire);
    gc::atomic<Entry>* const slots = table.slots;
    for (std::size_t i = hash & table.mask;; i = (i + 1) & table.mask) {
      Entry* const entry = slots[i].load(std::memory_order_acquire);
      if (entry == nullptr || is(*entry, key, hash)) return entry;
    }
  }

  // Gives a key that is there another value: what it had, and whether it was there.
  static Result exchange(Entry& entry, V* value) noexcept {
    V* before = entry.value.load(std::memory_order_acquire);
    do {
      if (before == Entry::gone()) return {nullptr, false};
    } while (!entry.value.compare_exchange_weak(before, value, std::memory_order_acq_rel,
                                                std::memory_order_acquire));
    return {before, true};
  }

  // For a key that was not there a moment ago. What it has by now, if somebody was quicker.
  Result insert(const K& key, std::uint64_t hash, V* value, bool replace) {
    // [map.revive] Nothing is allocated under a lock: that may take long.
    Entry* const fresh = gc::make<Entry>(hash, key, value);
    detail::shade_raw_words(fresh);
    for (;;) {
      {
        detail::MapStripe& stripe = state_->stripe_of(hash);
        const std::lock_guard guard(stripe.lock);
        const Table& table = *state_->table.load(std::memory_order_acquire);
        if (has_room(table, stripe)) {
          return insert_locked(table, stripe, fresh, key, replace);
        }
      }
      const std::lock_guard one(state_->rebuilding);
      rebuild_locked();
    }
  }

  // Stripes with no more than their share of half of the slots need not look at the others. Up to
  // 15 threads may see the same last slot: a fourth of the least table is left for them.
  bool has_room(const Table& table, const detail::MapStripe& stripe) const noexcept {
    return stripe.used.load(std::memory_order_relaxed) < table.capacity() / 2 / State::kStripes ||
           state_->used() < table.capacity() / 8 * 5;
  }

  Result insert_locked(const Table& table, detail::MapStripe& stripe, Entry* fresh, const K& key,
                       bool replace) {
    for (std::size_t i = fresh->hash & table.mask;; i = (i + 1) & table.mask) {
      Entry* there = nullptr;
      if (table.slots.get()[i].compare_exchange_strong(there, fresh, std::memory_order_acq_rel,
                                                       std::memory_order_acquire)) {
        stripe.used.fetch_add(1, std::memory_order_relaxed);
        stripe.live.fetch_add(1, std::memory_order_relaxed);
        return {nullptr, false};
      }
      if (!is(*there, key, fresh->hash)) continue;
      V* const value = fresh->value.load(std::memory_order_relaxed);
      for (V* before = there->value.load(std::memory_order_acquire);;) {
        const bool absent = before == Entry::gone();
        if (!absent && !replace) return {before, true};
        if (!there->value.compare_exchange_weak(before, value, std::memory_order_acq_rel,
                                                std::memory_order_acquire)) {
          continue;
        }
        if (!absent) return {before, true};
        stripe.live.fetch_add(1, std::memory_order_relaxed);
        return {nullptr, false};
      }
    }
  }

  void note_deleted(std::uint64_t hash) {
    detail::MapStripe& stripe = state_->stripe_of(hash);
    const std::ptrdiff_t left = stripe.live.fetch_sub(1, std::memory_order_relaxed) - 1;
    if (left % 4 != 0) return;
    const std::size_t used = state_->used();
    if (used < State::kLeast / 2 || state_->live() > used / 4) return;
    const std::unique_lock one(state_->rebuilding, std::try_to_lock);
    if (!one.owns_lock()) return;
    TRICOLOR_TRY { rebuild_locked(); }
    TRICOLOR_CATCH(const std::bad_alloc&) {
      // The next deletion tries again.
    }
  }

  // Replaces the table by one of the right size for the keys that are there.
  void rebuild_locked() {
    Table* const before = state_->table.load(std::memory_order_acquire);
    const std::size_t used_before = state_->used();
    if (used_before < before->capacity() / 2 && state_->live() > used_before / 4) return;
    std::size_t capacity = State::kLeast;
    while (capacity / 8 * 3 < state_->live() + State::kStripes) capacity *= 2;
    Table* const fresh = gc::make<Table>(capacity);
    const typename State::AllStripes locked(*state_);
    // It was cleared, or what came meanwhile does not fit: the caller looks again.
    if (state_->table.load(std::memory_order_relaxed) != before) return;
    if (state_->live() > capacity / 2) return;
    std::array<std::size_t, State::kStripes> used{};
    for (std::size_t i = 0; i < before->capacity(); ++i) {
      Entry* const entry = before->slots.get()[i].load(std::memory_order_relaxed);
      if (entry == nullptr || entry->value.load(std::memory_order_acquire) == Entry::gone())
        continue;
      std::size_t at = entry->hash & fresh->mask;
      while (fresh->slots.get()[at].load(std::memory_order_relaxed) != nullptr) {
        at = (at + 1) & fresh->mask;
      }
      fresh->slots.get()[at].store(entry, std::memory_order_relaxed);
      ++used[entry->hash >> 60];
    }
    for (std::size_t s = 0; s < used.size(); ++s) {
      state_->stripes[s].used.store(used[s], std::memory_order_relaxed);
    }
    state_->table.store(fresh, std::memory_order_release);  // [map.entry]
  }

  gc::root<State> state_;
};

}  // namespace tricolor::sync
