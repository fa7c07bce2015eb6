// sync::BoundedPool: objects to use again, at most so many over all threads.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <utility>

#include <tricolor/detail/config.hpp>
#include <tricolor/detail/exceptions.hpp>
#include <tricolor/pool.hpp>
#include <tricolor/root.hpp>

namespace tricolor::sync {

namespace detail {

struct SlotStackState;

// A bounded stack of references, lock-free. pool/slot_stack.cc.
class SlotStack {
 public:
  // most: beyond 2^32 - 2 it is that many. Costs memory as it is used. std::bad_alloc.
  TRICOLOR_API explicit SlotStack(std::size_t most);

  // A place for one object, to be filled or given back; kNone when there are `most` already.
  // std::bad_alloc.
  static constexpr std::uint32_t kNone = 0;
  [[nodiscard]] TRICOLOR_API std::uint32_t reserve();
  TRICOLOR_API void fill(std::uint32_t place, void* object) noexcept;
  TRICOLOR_API void give_back(std::uint32_t place) noexcept;

  // The object filled in last, or nullptr.
  [[nodiscard]] TRICOLOR_API void* pop() noexcept;
  [[nodiscard]] TRICOLOR_API std::size_t size() const noexcept;

 private:
  gc::root<SlotStackState> state_;
};

}  // namespace detail

// Objects that are used again, of which the pool keeps at most `max`, whoever puts them: what is
// put beyond that is dropped, which stats().discarded counts. Other than a Pool it keeps what it
// has over any number of collections, until drain() or its end; and all threads share one list, so
// a get or put costs a few atomic operations.
//
//     sync::BoundedPool<Parser> parsers(8, {.new_fn = [] { return gc::make<Parser>(); },
//                                           .reset = [](Parser& p) { p.text.clear(); }});
//
// The options are a Pool's, but `reset` (and `clear`) run at put, on what is kept: nothing of the
// last user stays referenced meanwhile. max_shared_per_thread means nothing here. If reset throws,
// the object is not kept. Any thread; construction and destruction are for one.
template <class T>
class BoundedPool {
 public:
  static_assert(std::is_object_v<T> && !std::is_array_v<T>,
                "a pool of objects: of T* from gc::make");
  using element_type = T;
  using Options = PoolOptions<T>;
  using Lease = sync::Lease<T, BoundedPool>;

  explicit BoundedPool(std::size_t max) : BoundedPool(max, Options{}) {}
  BoundedPool(std::size_t max, Options options)
      : max_(max), options_(std::move(options)), kept_(max) {
    detail::check_clearable(options_);
  }
  template <class NewFn>
  requires std::is_invocable_r_v < T*, std::decay_t<NewFn>
  & > BoundedPool(std::size_t max, NewFn&& new_fn)
      : BoundedPool(max, Options{.new_fn = std::forward<NewFn>(new_fn)}) {}
  BoundedPool(const BoundedPool&) = delete;
  BoundedPool& operator=(const BoundedPool&) = delete;

  // An object that was put, the last one first, or a new one; nullptr when there is none and no
  // new_fn. What new_fn throws.
  [[nodiscard]] T* get() {
    if (void* const object = kept_.pop()) {
      hits_.fetch_add(1, std::memory_order_relaxed);
      return static_cast<T*>(object);
    }
    misses_.fetch_add(1, std::memory_order_relaxed);
    return options_.new_fn ? options_.new_fn() : nullptr;
  }

  // Gives an object to whoever gets next; nullptr is ignored. The caller must not use it
  // afterwards. Throws what the options' functions throw; without memory it drops the object.
  void put(T* object) {
    if (object == nullptr) return;
    puts_.fetch_add(1, std::memory_order_relaxed);
    if (!detail::accepts(options_, *object)) return discard();
    std::uint32_t place = detail::SlotStack::kNone;
    TRICOLOR_TRY { place = kept_.reserve(); }
    TRICOLOR_CATCH(const std::bad_alloc&) {
      // As if it were full.
    }
    if (place == detail::SlotStack::kNone) return discard();
    TRICOLOR_TRY {
      if (options_.reset) options_.reset(*object);
      detail::clear_with(options_.clear, *object);
    }
    TRICOLOR_CATCH(...) {
      kept_.give_back(place);
      discard();
      TRICOLOR_RETHROW;
    }
    kept_.fill(place, const_cast<void*>(static_cast<const volatile void*>(object)));
  }

  // get() until the end of the scope.
  Lease lease() { return Lease(*this, get()); }

  // How many objects are kept right now: never more than max().
  std::size_t size() const noexcept { return kept_.size(); }
  std::size_t max() const noexcept { return max_; }
  // Drops what is kept.
  void drain() noexcept {
    while (kept_.pop() != nullptr) {
    }
  }
  // Hits are shared_hits.
  PoolStats stats() const noexcept {
    return {.shared_hits = hits_.load(std::memory_order_relaxed),
            .misses = misses_.load(std::memory_order_relaxed),
            .puts = puts_.load(std::memory_order_relaxed),
            .discarded = discarded_.load(std::memory_order_relaxed)};
  }

 private:
  friend Lease;
  void discard() noexcept { discarded_.fetch_add(1, std::memory_order_relaxed); }
  void end_lease(T* object, bool back) {
    if (back) put(object);
  }

  const std::size_t max_;
  const Options options_;
  detail::SlotStack kept_;
  std::atomic<std::uint64_t> hits_{0}, misses_{0}, puts_{0}, discarded_{0};  // relaxed: counts
};

}  // namespace tricolor::sync
