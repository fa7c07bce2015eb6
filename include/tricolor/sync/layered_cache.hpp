// sync::LayeredCache: a near cache, a far one, and the origin behind them.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <stdexcept>
#include <thread>
#include <type_traits>
#include <utility>

#include <tricolor/detail/exceptions.hpp>
#include <tricolor/runtime.hpp>
#include <tricolor/sync/cache.hpp>

namespace tricolor::sync {

// A layer as its functions: made from anything with get(k) -> V* and set(k, V*) (and erase(k)), a
// sync::Cache for one, referred to or shared; or from a function k -> V*, which is only read.
template <class K, class V>
class CacheLayer {
 public:
  CacheLayer() noexcept = default;
  CacheLayer(std::nullptr_t) noexcept {}
  template <class Layer>
  requires(!std::is_same_v<Layer, CacheLayer> &&
           requires(Layer & layer, const K& k, V* v) {
             static_cast<V*>(layer.get(k));
             layer.set(k, v);
           }) CacheLayer(Layer& layer)
      : CacheLayer(std::shared_ptr<Layer>(&layer, [](Layer*) {})) {}
  template <class Layer>
  requires requires(Layer& layer, const K& k, V* v) {
    static_cast<V*>(layer.get(k));
    layer.set(k, v);
  }
  CacheLayer(std::shared_ptr<Layer> layer)
      : get_([layer](const K& k) -> V* { return layer->get(k); }),
        set_([layer](const K& k, V* v) { layer->set(k, v); }) {
    if constexpr (requires(const K& k) { layer->erase(k); }) {
      erase_ = [layer](const K& k) { layer->erase(k); };
    }
  }
  template <class F>
  requires(!std::is_same_v<std::decay_t<F>, CacheLayer> &&
           std::is_invocable_r_v<V*, std::decay_t<F>&, const K&>) CacheLayer(F&& get)
      : get_(std::forward<F>(get)) {}

  explicit operator bool() const noexcept { return get_ != nullptr; }
  V* get(const K& key) const { return get_ ? get_(key) : nullptr; }
  void set(const K& key, V* value) const {
    if (set_) set_(key, value);
  }
  void erase(const K& key) const {
    if (erase_) erase_(key);
  }

 private:
  std::function<V*(const K&)> get_;
  std::function<void(const K&, V*)> set_;
  std::function<void(const K&)> erase_;
};

template <class K, class V>
struct LayeredCacheOptions {
  CacheOptions<K, V> near = {};
  // What lies between: larger, slower, maybe shared. May be left out. What it throws counts as a
  // miss.
  CacheLayer<K, V> far = {};
  // Where values come from. nullptr: there is none for the key.
  std::function<V*(const K&)> origin = {};
  // How often the origin is asked again after it threw, and how long to wait before the first of
  // these, each further wait twice as long.
  unsigned retries = 2;
  std::chrono::nanoseconds retry_delay = std::chrono::milliseconds(10);
  // The value when the origin has thrown to the end; it is not kept. Without it the last exception
  // is the caller's.
  std::function<V*(const K&)> fallback = {};
};

struct LayeredCacheStats {
  CacheStats near;
  std::uint64_t far_hits = 0, far_misses = 0, far_errors = 0;
  std::uint64_t origin_loads = 0, origin_errors = 0, retries = 0, fallbacks = 0;
};

// get() looks near, then far, then asks the origin; what is found is stored in the layers above.
// For each key one thread does so at a time, and the others wait for it.
//
//     sync::LayeredCache<Key, Row> rows({.near = {.max_cost = 1000},
//                                        .far = redis,
//                                        .origin = [&](const Key& k) { return db.read(k); }});
//
// Any thread; waiting for a retry is a blocking scope.
template <class K, class V, class Hash = std::hash<K>, class Equal = std::equal_to<K>>
class LayeredCache {
 public:
  using Options = LayeredCacheOptions<K, V>;

  // std::invalid_argument without an origin and without a far layer.
  explicit LayeredCache(Options options)
      : options_(std::make_shared<const Options>(std::move(options))),
        counts_(std::make_shared<Counts>()),
        near_(options_->near) {
    if (!options_->origin && !options_->far) {
      TRICOLOR_THROW(
          std::invalid_argument("sync::LayeredCache: neither an origin nor a far layer is given"));
    }
  }

  // nullptr when no layer has it. What the origin throws after the last retry, without a fallback.
  V* get(const K& key) {
    // Kept by the call: the cache may go while the origin is asked.
    const std::shared_ptr<const Options> options = options_;
    const std::shared_ptr<Counts> counts = counts_;
    TRICOLOR_TRY {
      return near_.get_or_load(key, [&](const K& k) { return load(*options, *counts, k); });
    }
    TRICOLOR_CATCH_AS(Failed, failed) {
      if (options->fallback) {
        counts->fallbacks.fetch_add(1, std::memory_order_relaxed);
        return options->fallback(key);
      }
      std::rethrow_exception(failed.cause);
    }
  }
  // In all layers.
  void set(const K& key, V* value) {
    near_.set(key, value);
    guard_far(*counts_, [&] { options_->far.set(key, value); });
  }
  void erase(const K& key) {
    guard_far(*counts_, [&] { options_->far.erase(key); });
    near_.erase(key);
  }
  // The near layer alone.
  void clear() { near_.clear(); }
  Cache<K, V, Hash, Equal>& near() noexcept { return near_; }

  LayeredCacheStats stats() const {
    const auto read = [](const std::atomic<std::uint64_t>& n) {
      return n.load(std::memory_order_relaxed);
    };
    return {near_.stats(),
            read(counts_->far_hits),
            read(counts_->far_misses),
            read(counts_->far_errors),
            read(counts_->origin_loads),
            read(counts_->origin_errors),
            read(counts_->retries),
            read(counts_->fallbacks)};
  }

 private:
  struct Counts {  // relaxed
    std::atomic<std::uint64_t> far_hits{0}, far_misses{0}, far_errors{0};
    std::atomic<std::uint64_t> origin_loads{0}, origin_errors{0}, retries{0}, fallbacks{0};
  };
  // The origin has thrown to the end.
  struct Failed {
    std::exception_ptr cause;
  };

  static void add_one(std::atomic<std::uint64_t>& count) noexcept {
    count.fetch_add(1, std::memory_order_relaxed);
  }
  template <class Call>
  static void guard_far(Counts& counts, Call call) {
    TRICOLOR_TRY { call(); }
    TRICOLOR_CATCH(const std::exception&) { add_one(counts.far_errors); }
  }

  static V* load(const Options& options, Counts& counts, const K& key) {
    V* value = nullptr;
    guard_far(counts, [&] { value = options.far.get(key); });
    if (value != nullptr) {
      add_one(counts.far_hits);
      return value;
    }
    if (options.far) add_one(counts.far_misses);
    if (!options.origin) return nullptr;
    value = ask_origin(options, counts, key);
    if (value != nullptr) guard_far(counts, [&] { options.far.set(key, value); });
    return value;
  }

  static V* ask_origin(const Options& options, Counts& counts, const K& key) {
    std::chrono::nanoseconds delay = options.retry_delay;
    for (unsigned attempt = 0;; ++attempt) {
      TRICOLOR_TRY {
        V* const value = options.origin(key);
        add_one(counts.origin_loads);
        return value;
      }
      TRICOLOR_CATCH(const std::exception&) {
        add_one(counts.origin_errors);
        if (attempt == options.retries) TRICOLOR_THROW(Failed{std::current_exception()});
      }
      add_one(counts.retries);
      const runtime::BlockingScope blocked;
      std::this_thread::sleep_for(delay);
      delay *= 2;
    }
  }

  const std::shared_ptr<const Options> options_;
  const std::shared_ptr<Counts> counts_;
  Cache<K, V, Hash, Equal> near_;
};

}  // namespace tricolor::sync
