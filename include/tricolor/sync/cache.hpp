// sync::Cache: values by key within a bound of cost; loaded once, expiring, replaced by what is
// asked for more often.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <tricolor/detail/cache_core.hpp>
#include <tricolor/detail/exceptions.hpp>
#include <tricolor/sync/evictor.hpp>

namespace tricolor::sync {

// What a value costs: a function of the value (const V& or V*), or of key and value.
template <class K, class V>
class CacheCost {
 public:
  CacheCost() noexcept = default;
  CacheCost(std::nullptr_t) noexcept {}
  template <class F>
  requires(!std::is_same_v<std::decay_t<F>, CacheCost> &&
           (std::is_invocable_v<std::decay_t<F>&, const V&> ||
            std::is_invocable_v<std::decay_t<F>&, V*> ||
            std::is_invocable_v<std::decay_t<F>&, const K&, const V&> ||
            std::is_invocable_v<std::decay_t<F>&, const K&, V*>)) CacheCost(F&& f)
      : cost_([f = std::forward<F>(f)](const K& key, V* value) mutable -> std::size_t {
          using G = std::decay_t<F>;
          if constexpr (std::is_invocable_v<G&, const V&>) {
            return static_cast<std::size_t>(std::invoke(f, *value));
          } else if constexpr (std::is_invocable_v<G&, V*>) {
            return static_cast<std::size_t>(std::invoke(f, value));
          } else if constexpr (std::is_invocable_v<G&, const K&, const V&>) {
            return static_cast<std::size_t>(std::invoke(f, key, *value));
          } else {
            return static_cast<std::size_t>(std::invoke(f, key, value));
          }
        }) {}
  std::size_t operator()(const K& key, V* value) const { return cost_ ? cost_(key, value) : 1; }

 private:
  std::function<std::size_t(const K&, V*)> cost_;
};

// All members are optional. The functions are called without a lock.
template <class K, class V>
struct CacheOptions {
  // The bound on the sum of the costs, in whatever unit `cost` counts.
  std::size_t max_cost = 10'000;
  // 1 a value if not given.
  CacheCost<K, V> cost = {};
  // How long a value is good for from its set(); 0: for ever.
  std::chrono::nanoseconds ttl{0};
  // What decides who goes; W-TinyLFU, whose admission keeps out what is asked for once, if not
  // given.
  std::shared_ptr<Evictor> evictor = {};
  // A value went because there was no room.
  std::function<void(const K&, V*)> on_evict = {};
  // How long to wait for somebody else's load of a key; 0: for ever.
  std::chrono::nanoseconds load_timeout = std::chrono::seconds(30);
  // The time; steady_clock::now if not given.
  std::function<std::chrono::steady_clock::time_point()> now = {};
};

// Somebody else's load of a key has taken longer than CacheOptions::load_timeout.
class LoadTimeout : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

struct CacheStats {
  std::uint64_t hits = 0, misses = 0;    // gets
  std::uint64_t sets = 0, rejected = 0;  // rejected: the value alone is above the bound
  std::uint64_t evictions = 0;           // no room
  std::uint64_t expirations = 0;         // found and removed
  std::uint64_t loads = 0, load_failures = 0;
  std::size_t cost = 0, max_cost = 0;  // cost <= max_cost, at any time
  std::size_t entries = 0;

  double hit_rate() const noexcept {
    const std::uint64_t all = hits + misses;
    return all == 0 ? 0.0 : static_cast<double>(hits) / static_cast<double>(all);
  }
};

// A key and how often it was asked for since it came into the cache.
template <class K>
struct TopKey {
  K key;
  std::uint64_t count;
  operator const K&() const noexcept { return key; }
  friend bool operator==(const TopKey& a, const K& b) { return a.key == b; }
};

// Values are collected objects, never nullptr; who got one keeps it, whatever the cache does.
//
//     sync::Cache<std::string, Page> pages({.max_cost = 64 << 20,
//                                           .cost = [](const Page& p) { return p.bytes; },
//                                           .ttl = std::chrono::minutes(5)});
//     Page* page = pages.get_or_load(url, [](const std::string& u) { return fetch(u); });
//
// A read takes no lock (every 28th of a thread tries one). A store takes one, makes room first, and
// keeps the new value for a moment at least: one that is not asked for again is the first to go. A
// cache may forget at any time. Any thread; a namespace (space()) and a running get_or_load() may
// outlive the cache's destructor, other calls may not.
template <class K, class V, class Hash = std::hash<K>, class Equal = std::equal_to<K>>
class Cache {
  using Core = detail::CacheCore<K, V, Hash, Equal, CacheOptions<K, V>, CacheStats>;

 public:
  using key_type = K;
  using mapped_type = V;
  using Options = CacheOptions<K, V>;

  // The keys of one name, apart from all others; shares the cache's bound. Cheap to copy.
  class Space {
   public:
    // nullptr if it is not there, or has expired.
    V* get(const K& key) const { return core_->get(*space_, key); }

    // Stores; false when the value alone costs more than the bound: then nothing is kept for the
    // key. ttl: instead of the options'. std::invalid_argument for nullptr; std::bad_alloc; what
    // the evictor has thrown since the last store (the value is stored all the same).
    bool set(const K& key, V* value) const { return set(key, value, core_->options().ttl); }
    bool set(const K& key, V* value, std::chrono::nanoseconds ttl) const {
      if (value == nullptr) {
        TRICOLOR_THROW(
            std::invalid_argument("sync::Cache::set: the value is nullptr, which means no value"));
      }
      return core_->set(*space_, key, value, core_->options().cost(key, value), ttl);
    }

    // The value, or what load(key) (or load()) gives, which is stored if it is not nullptr. Of
    // threads that ask for the same key at once one loads and the others wait for its result; what
    // it throws they all get, and the next one to ask loads again. LoadTimeout;
    // std::logic_error for a loader that asks for its own key; std::runtime_error for those who
    // wait when the cache is destroyed (the loader itself has its value).
    template <class F>
    V* get_or_load(const K& key, F&& load) const {
      // From here on nothing of *this is used: the cache may go while the loader runs.
      const std::shared_ptr<Core> core = core_;
      const detail::CacheSpace& space = *space_;
      if (V* const there = core->get(space, key)) return there;
      const auto [flight, mine] = core->join(space, key);
      if (mine) return run(*core, flight, load);
      if (flight->loader == std::this_thread::get_id()) {
        TRICOLOR_THROW(
            std::logic_error("sync::Cache::get_or_load: the loader asks for its own key"));
      }
      if (!flight->wait(core->options().load_timeout)) {
        TRICOLOR_THROW(
            LoadTimeout("sync::Cache::get_or_load: the load of the key, by another thread, has "
                        "not ended in time"));
      }
      if (flight->error != nullptr) std::rethrow_exception(flight->error);
      return flight->value.get();
    }

    // Whether it was there.
    bool erase(const K& key) const { return core_->erase(*space_, key); }
    // Forgets what is in this namespace. Takes time with the size of the cache.
    void clear() const { core_->clear(*space_); }

   private:
    friend Cache;
    Space(std::shared_ptr<Core> core, const detail::CacheSpace& space)
        : core_(std::move(core)), space_(&space) {}

    template <class F>
    static V* run(Core& core, const std::shared_ptr<typename Core::Flight>& flight, F& load) {
      const detail::CacheSpace& space = *flight->space;
      V* value = nullptr;
      TRICOLOR_TRY {
        // [cache.flight] Somebody may have stored it between our get and our flight.
        value = core.peek(space, flight->key);
        if (value == nullptr) {
          if constexpr (std::is_invocable_v<F&, const K&>) {
            value = std::invoke(load, flight->key);
          } else {
            value = std::invoke(load);
          }
          core.count_load(true);
          if (value != nullptr && !core.is_closed()) {
            core.set(space, flight->key, value, core.options().cost(flight->key, value),
                     core.options().ttl);
          }
        }
      }
      TRICOLOR_CATCH(...) {
        if (value == nullptr) core.count_load(false);
        core.leave(flight);
        flight->end(value, value == nullptr ? std::current_exception() : nullptr);
        TRICOLOR_RETHROW;
      }
      core.leave(flight);
      flight->end(value, nullptr);
      return value;
    }

    std::shared_ptr<Core> core_;
    const detail::CacheSpace* space_;
  };

  Cache() : Cache(Options{}) {}
  explicit Cache(std::size_t max_cost) : Cache(Options{.max_cost = max_cost}) {}
  explicit Cache(Options options)
      : core_(std::make_shared<Core>(std::move(options))), all_(core_, core_->root_space()) {}
  Cache(const Cache&) = delete;
  Cache& operator=(const Cache&) = delete;
  ~Cache() { core_->close(); }

  // As Space has them.
  V* get(const K& key) const { return all_.get(key); }
  bool set(const K& key, V* value) { return all_.set(key, value); }
  bool set(const K& key, V* value, std::chrono::nanoseconds ttl) {
    return all_.set(key, value, ttl);
  }
  template <class F>
  V* get_or_load(const K& key, F&& load) {
    return all_.get_or_load(key, std::forward<F>(load));
  }
  bool erase(const K& key) { return all_.erase(key); }
  // Forgets everything, in all namespaces.
  void clear() { core_->clear(); }

  Space space(std::string_view name) { return Space(core_, core_->space(name)); }

  CacheStats stats() const { return core_->stats(); }
  std::size_t size() const { return core_->stats().entries; }

  // The n keys of all namespaces that are asked for most often, the first one most. Takes time with
  // the size of the cache.
  std::vector<TopKey<K>> top_keys(std::size_t n) const {
    std::vector<TopKey<K>> top;
    const auto more = [](const TopKey<K>& a, const TopKey<K>& b) { return a.count > b.count; };
    core_->visit_locked([&](const typename Core::Entry& entry) {
      if (top.size() == n && (n == 0 || entry.uses <= top.front().count)) return;
      if (top.size() == n) {
        std::pop_heap(top.begin(), top.end(), more);
        top.pop_back();
      }
      top.push_back({detail::key_of<K>(entry.key), entry.uses});
      std::push_heap(top.begin(), top.end(), more);
    });
    std::sort_heap(top.begin(), top.end(), more);
    return top;
  }

  // Another one decides from now on; nullptr: W-TinyLFU again. It is reset, and hears of what is
  // there.
  void set_evictor(std::shared_ptr<Evictor> evictor) { core_->set_evictor(std::move(evictor)); }
  // Removes what has expired; stores do it too.
  void purge() { core_->purge(); }

 private:
  std::shared_ptr<Core> core_;
  Space all_;
};

}  // namespace tricolor::sync
