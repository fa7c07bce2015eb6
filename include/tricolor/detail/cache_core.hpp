// What a sync::Cache consists of: a map from ids to entries, which reads use without a lock; the
// policy, under one; and the loads that run.
//
// A read notes the entry's id in a buffer of its thread's stripe; who fills one up, or writes,
// works them off under the lock. So a read is a lookup and two additions to words that few threads
// share.
//
// [cache.flight] for a key there is at most one load at a time: it is in `flights_` from before the loader runs until
//                its value is in the cache, so who finds neither the value nor a flight begins one.
// Threads: any. Order of the locks: flights_lock_, then a flight's; lock_ with none of them.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

#include <tricolor/detail/cache_policy.hpp>
#include <tricolor/detail/exceptions.hpp>
#include <tricolor/runtime.hpp>
#include <tricolor/sync/map.hpp>

namespace tricolor::sync::detail {

struct CacheSpace {
  std::string name;
  std::uint64_t salt;
};

template <class K, class V>
struct CacheEntry : CacheNode {
  CacheEntry(std::uint64_t i, const K& k, const CacheSpace& s) : CacheNode(i), key(k), space(&s) {}

  const StoredKey<K> key;
  const CacheSpace* const space;
  // steady_clock nanoseconds, 0 for never. Relaxed: who sees the old time acts a moment earlier.
  std::atomic<std::int64_t> expires{0};
  // Written with release, read with acquire.
  gc::atomic<V> value;
};

// Reads that the policy has not heard of yet, and counts: relaxed all, for one that is lost or late
// changes nothing that is promised.
struct alignas(128) CacheStripe {
  static constexpr std::uint32_t kIds = 28;
  std::atomic<std::uint64_t> hits{0}, misses{0};
  std::atomic<std::uint32_t> noted{0};
  std::array<std::atomic<std::uint64_t>, kIds> ids{};
};

// One load, and who waits for it.
template <class K, class V>
struct CacheFlight {
  CacheFlight(const K& k, const CacheSpace& s) : key(k), space(&s) {}

  const K key;
  const CacheSpace* const space;
  const std::thread::id loader = std::this_thread::get_id();
  std::mutex lock;
  std::condition_variable ended;
  // Guarded by lock until `done`, then unchanged.
  bool done = false;
  gc::root<V> value;
  std::exception_ptr error;

  void end(V* v, std::exception_ptr e) noexcept {
    const std::lock_guard guard(lock);
    if (done) return;
    TRICOLOR_TRY { value = v; }
    TRICOLOR_CATCH(...) { e = std::current_exception(); }
    error = std::move(e);
    done = true;
    ended.notify_all();
  }
  // False when `timeout` (0: none) has passed.
  bool wait(std::chrono::nanoseconds timeout) {
    const runtime::BlockingScope blocked;
    std::unique_lock guard(lock);
    const auto is_done = [this] { return done; };
    if (timeout.count() <= 0) {
      ended.wait(guard, is_done);
      return true;
    }
    return ended.wait_for(guard, timeout, is_done);
  }
};

template <class K, class V, class Hash, class Equal, class Options, class Stats>
class CacheCore final : private CachePolicy::Host {
 public:
  using Entry = CacheEntry<K, V>;
  using Flight = CacheFlight<K, V>;

  explicit CacheCore(Options options)
      : options_(std::move(options)), policy_(*this, options_.max_cost, options_.evictor) {}

  const CacheSpace& root_space() const noexcept { return root_space_; }
  const CacheSpace& space(std::string_view name) {
    const std::lock_guard guard(lock_);
    auto& there = spaces_[std::string(name)];
    if (there == nullptr) {
      there = std::make_unique<CacheSpace>(
          CacheSpace{std::string(name), spread_hash(spaces_.size() + 0x9e3779b97f4a7c15)});
    }
    return *there;
  }

  V* get(const CacheSpace& space, const K& key) {
    CacheStripe& stripe = this_stripe();
    Entry* const entry = find_live(space, key, id_of(space, key));
    if (entry == nullptr) {
      stripe.misses.fetch_add(1, std::memory_order_relaxed);
      return nullptr;
    }
    stripe.hits.fetch_add(1, std::memory_order_relaxed);
    const std::uint32_t place = stripe.noted.fetch_add(1, std::memory_order_relaxed);
    if (place < CacheStripe::kIds) {
      stripe.ids[place].store(entry->id, std::memory_order_relaxed);
    }
    if (place + 1 >= CacheStripe::kIds) try_drain();
    return entry->value.load(std::memory_order_acquire);
  }

  V* peek(const CacheSpace& space, const K& key) {
    Entry* const entry = find_live(space, key, id_of(space, key));
    return entry == nullptr ? nullptr : entry->value.load(std::memory_order_acquire);
  }

  bool set(const CacheSpace& space, const K& key, V* value, std::size_t cost,
           std::chrono::nanoseconds ttl) {
    const std::uint64_t id = id_of(space, key);
    const std::int64_t expires = ttl.count() > 0 ? now() + ttl.count() : 0;
    Entry* fresh = nullptr;
    if (!map_.contains(id)) fresh = make_entry(space, key, id);
    Changes changes;
    bool kept;
    {
      const Writing writing(*this, changes);
      Entry* entry = map_.load(id).first;
      if (entry != nullptr && !is(*entry, space, key)) {
        drop_locked(*entry);  // another key of the same id: a cache may forget
        entry = nullptr;
      }
      if (entry != nullptr) {
        entry->value.store(value, std::memory_order_release);
        entry->expires.store(expires, std::memory_order_relaxed);
        kept = policy_.change(*entry, cost);
        if (!kept) map_.compare_and_delete(id, entry);
      } else {
        if (fresh == nullptr) fresh = make_entry(space, key, id);
        kept = add_locked(*fresh, value, cost, expires);
      }
      if (kept && expires != 0) note_expiry_locked(expires, id);
      (kept ? counts_.sets : counts_.rejected) += 1;
    }
    settle(changes);
    return kept;
  }

  bool erase(const CacheSpace& space, const K& key) {
    Changes changes;
    bool erased = false;
    {
      const Writing writing(*this, changes);
      const std::uint64_t id = id_of(space, key);
      Entry* const entry = map_.load(id).first;
      if (entry != nullptr && is(*entry, space, key)) {
        erased = !is_over(*entry);
        drop_locked(*entry);
      }
    }
    settle(changes);
    return erased;
  }

  void clear() {
    const std::lock_guard guard(lock_);
    drain_locked();
    map_.clear();
    policy_.clear();
    due_.clear();
    publish_locked();
  }
  void clear(const CacheSpace& space) {
    const std::lock_guard guard(lock_);
    drain_locked();
    map_.range([&](std::uint64_t, Entry* entry) {
      if (entry->space == &space) drop_locked(*entry);
    });
    publish_locked();
  }
  void purge() {
    Changes changes;
    { const Writing writing(*this, changes); }
    settle(changes);
  }
  void set_evictor(std::shared_ptr<Evictor> evictor) {
    Changes changes;
    {
      const Writing writing(*this, changes);
      policy_.set_evictor(std::move(evictor));
    }
    settle(changes);
  }

  template <class Visit>
  void visit_locked(Visit visit) {
    const std::lock_guard guard(lock_);
    drain_locked();
    map_.range([&](std::uint64_t, Entry* entry) {
      if (!is_over(*entry)) visit(*entry);
    });
  }

  Stats stats() const {
    Stats all;
    {
      const std::lock_guard guard(lock_);
      all = counts_;
    }
    for (const CacheStripe& stripe : stripes_) {
      all.hits += stripe.hits.load(std::memory_order_relaxed);
      all.misses += stripe.misses.load(std::memory_order_relaxed);
    }
    all.loads = loads_.load(std::memory_order_relaxed);
    all.load_failures = load_failures_.load(std::memory_order_relaxed);
    all.cost = cost_.load(std::memory_order_relaxed);
    all.entries = entries_.load(std::memory_order_relaxed);
    all.max_cost = options_.max_cost;
    return all;
  }

  // The running load of a key, and whether the caller is to do it.
  std::pair<std::shared_ptr<Flight>, bool> join(const CacheSpace& space, const K& key) {
    const std::lock_guard guard(flights_lock_);
    for (auto [at, end] = flights_.equal_range(id_of(space, key)); at != end; ++at) {
      const std::shared_ptr<Flight>& flight = at->second;
      if (flight->space == &space && Equal{}(flight->key, key)) return {flight, false};
    }
    auto flight = std::make_shared<Flight>(key, space);
    flights_.emplace(id_of(space, key), flight);
    return {flight, true};
  }
  void leave(const std::shared_ptr<Flight>& flight) noexcept {
    const std::lock_guard guard(flights_lock_);
    std::erase_if(flights_, [&](const auto& item) { return item.second == flight; });
  }
  void count_load(bool well) noexcept {
    (well ? loads_ : load_failures_).fetch_add(1, std::memory_order_relaxed);
  }
  bool is_closed() const noexcept { return closed_.load(std::memory_order_acquire); }
  // The cache is gone: who waits for a load hears of it.
  void close() noexcept {
    const std::lock_guard guard(flights_lock_);
    closed_.store(true, std::memory_order_release);
    for (auto& [id, flight] : flights_) {
      flight->end(nullptr, std::make_exception_ptr(std::runtime_error(
                               "sync::Cache: the cache was destroyed while a load ran")));
    }
  }
  const Options& options() const noexcept { return options_; }

 private:
  // What a writer has to do once it is out of the lock: entries that went, linked by `older`.
  struct Changes {
    CacheNode* evicted = nullptr;
    std::exception_ptr error;
  };

  // The lock, with all that is due worked off first and the figures published at the end.
  class Writing {
   public:
    Writing(CacheCore& core, Changes& changes) : core_(core), guard_(core.lock_) {
      core.changes_ = &changes;
      core.drain_locked();
      core.expire_locked();
    }
    ~Writing() {
      core_.changes_->error = core_.policy_.take_error();
      core_.changes_ = nullptr;
      core_.publish_locked();
    }
    Writing(const Writing&) = delete;
    Writing& operator=(const Writing&) = delete;

   private:
    CacheCore& core_;
    std::lock_guard<std::mutex> guard_;
  };

  static std::uint64_t id_of(const CacheSpace& space, const K& key) {
    const std::uint64_t id =
        spread_hash(static_cast<std::uint64_t>(Hash{}(key)) + space.salt) ^ space.salt;
    return id == 0 ? 1 : id;  // 0: an empty place among the noted ones
  }
  static bool is(const Entry& entry, const CacheSpace& space, const K& key) {
    return entry.space == &space && Equal{}(key_of<K>(entry.key), key);
  }
  bool is_over(const Entry& entry) const {
    const std::int64_t expires = entry.expires.load(std::memory_order_relaxed);
    return expires != 0 && now() >= expires;
  }
  std::int64_t now() const {
    const auto time = options_.now ? options_.now() : std::chrono::steady_clock::now();
    return std::chrono::duration_cast<std::chrono::nanoseconds>(time.time_since_epoch()).count();
  }

  Entry* find_live(const CacheSpace& space, const K& key, std::uint64_t id) const {
    Entry* const entry = map_.load(id).first;
    return entry == nullptr || !is(*entry, space, key) || is_over(*entry) ? nullptr : entry;
  }

  Entry* make_entry(const CacheSpace& space, const K& key, std::uint64_t id) {
    Entry* const fresh = gc::make<Entry>(id, key, space);
    shade_raw_words(fresh);
    return fresh;
  }

  bool add_locked(Entry& fresh, V* value, std::size_t cost, std::int64_t expires) {
    fresh.value.store(value, std::memory_order_release);
    fresh.expires.store(expires, std::memory_order_relaxed);
    if (!policy_.add(fresh, cost)) return false;
    TRICOLOR_TRY { map_.store(fresh.id, &fresh); }
    TRICOLOR_CATCH(...) {
      policy_.remove(fresh);
      TRICOLOR_RETHROW;
    }
    return true;
  }

  void drop_locked(Entry& entry) {
    map_.compare_and_delete(entry.id, &entry);
    policy_.remove(entry);
  }

  CacheNode* find(std::uint64_t id) override { return map_.load(id).first; }
  void evicted(CacheNode& node) override {
    map_.erase(node.id);
    ++counts_.evictions;
    if (changes_ == nullptr || !options_.on_evict) return;
    node.older = changes_->evicted;
    changes_->evicted = &node;
  }

  // Outside of the lock: the program's functions, and what the evictor threw.
  void settle(Changes& changes) {
    for (CacheNode* node = changes.evicted; node != nullptr;) {
      auto& entry = static_cast<Entry&>(*node);
      node = node->older;
      entry.older = nullptr;
      options_.on_evict(key_of<K>(entry.key), entry.value.load(std::memory_order_acquire));
    }
    if (changes.error != nullptr) std::rethrow_exception(changes.error);
  }

  void try_drain() {
    const std::unique_lock guard(lock_, std::try_to_lock);
    if (guard.owns_lock()) drain_locked();
  }
  void drain_locked() {
    for (CacheStripe& stripe : stripes_) {
      const std::uint32_t noted =
          std::min(stripe.noted.load(std::memory_order_relaxed), CacheStripe::kIds);
      for (std::uint32_t i = 0; i < noted; ++i) {
        const std::uint64_t id = stripe.ids[i].exchange(0, std::memory_order_relaxed);
        if (id == 0) continue;
        if (Entry* const entry = map_.load(id).first) policy_.on_hit(*entry);
      }
      if (noted != 0) stripe.noted.store(0, std::memory_order_relaxed);
    }
  }

  using Due = std::pair<std::int64_t, std::uint64_t>;  // when, id; a heap, the earliest first
  void note_expiry_locked(std::int64_t expires, std::uint64_t id) {
    if (due_.size() >= 2 * policy_.entries() + 64) {
      std::erase_if(due_, [this](const Due& due) { return !is_due(due); });
      std::make_heap(due_.begin(), due_.end(), std::greater<>());
    }
    due_.emplace_back(expires, id);
    std::push_heap(due_.begin(), due_.end(), std::greater<>());
  }
  // Whether it is the entry's latest time.
  bool is_due(const Due& due) const {
    const Entry* const entry = map_.load(due.second).first;
    return entry != nullptr && entry->expires.load(std::memory_order_relaxed) == due.first;
  }
  void expire_locked() {
    if (due_.empty()) return;
    const std::int64_t time = now();
    while (!due_.empty() && due_.front().first <= time) {
      if (is_due(due_.front())) {
        drop_locked(*map_.load(due_.front().second).first);
        ++counts_.expirations;
      }
      std::pop_heap(due_.begin(), due_.end(), std::greater<>());
      due_.pop_back();
    }
  }
  void publish_locked() noexcept {
    cost_.store(policy_.cost(), std::memory_order_relaxed);
    entries_.store(policy_.entries(), std::memory_order_relaxed);
  }

  CacheStripe& this_stripe() noexcept {
    const auto thread = reinterpret_cast<std::uintptr_t>(&TRICOLOR_THIS_THREAD);
    return stripes_[thread * 0x9e3779b97f4a7c15 >> 60];
  }

  const Options options_;
  const CacheSpace root_space_{{}, 0};
  Map<std::uint64_t, Entry> map_;
  std::array<CacheStripe, 16> stripes_;

  mutable std::mutex lock_;
  // Guarded by lock_.
  CachePolicy policy_;
  Changes* changes_ = nullptr;
  std::vector<Due> due_;
  Stats counts_;
  std::map<std::string, std::unique_ptr<CacheSpace>> spaces_;

  // Published under the lock, read without: a moment old, and never above the bound.
  std::atomic<std::size_t> cost_{0}, entries_{0};

  std::mutex flights_lock_;
  std::unordered_multimap<std::uint64_t, std::shared_ptr<Flight>> flights_;  // guarded by it
  std::atomic<std::uint64_t> loads_{0}, load_failures_{0};
  // Stored with release by the cache's destructor, loaded with acquire by a load that ends.
  std::atomic<bool> closed_{false};
};

}  // namespace tricolor::sync::detail
