// sync::Pool: objects to use again, kept as long as the collector lets them.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <stdexcept>
#include <type_traits>
#include <utility>

#include <tricolor/detail/exceptions.hpp>
#include <tricolor/detail/layout.hpp>
#include <tricolor/detail/pool_core.hpp>
#include <tricolor/root.hpp>

namespace tricolor::sync {

template <class T>
class Pool;

// An object taken from a pool (or from a StaticPool), put back when the lease ends: on every way
// out of the scope, exceptions included. Lives on a stack, as any raw reference; may be moved from
// one function to another. The pool outlives it: the checking build reports a pool that does not.
template <class T, class From = Pool<T>>
class [[nodiscard]] Lease {
 public:
  Lease(Lease&& other) noexcept
      : pool_(other.pool_), object_(std::exchange(other.object_, nullptr)) {}
  Lease& operator=(Lease&& other) noexcept {
    if (this != &other) {
      reset();
      pool_ = other.pool_;
      object_ = std::exchange(other.object_, nullptr);
    }
    return *this;
  }
  ~Lease() { reset(); }
  static void* operator new(std::size_t) = delete;
  static void* operator new[](std::size_t) = delete;

  // nullptr when the pool had nothing to give, or after reset() and release().
  T* get() const noexcept { return object_; }
  T& operator*() const noexcept { return *object_; }
  T* operator->() const noexcept { return object_; }
  explicit operator bool() const noexcept { return object_ != nullptr; }

  // Puts the object back now.
  void reset() noexcept {
    if (object_ != nullptr) pool_->end_lease(std::exchange(object_, nullptr), true);
  }
  // Keeps the object: it does not go back.
  T* release() noexcept {
    if (object_ != nullptr) pool_->end_lease(object_, false);
    return std::exchange(object_, nullptr);
  }

 private:
  friend From;
  Lease(From& pool, T* object) noexcept : pool_(&pool), object_(object) {}

  From* pool_;
  T* object_;
};

// Whether an object is cleared as it is put: `true`, `false`, or a function that does it.
template <class Arg>
class ClearOption {
 public:
  ClearOption() noexcept = default;
  ClearOption(std::nullptr_t) noexcept {}
  template <std::same_as<bool> Bool>  // no other type converts to it
  ClearOption(Bool on) noexcept : on_(on) {}
  template <class F>
  requires(!std::is_same_v<std::decay_t<F>, ClearOption> &&
           std::is_invocable_v<std::decay_t<F>&, Arg>) ClearOption(F&& how)
      : on_(true), how_(std::forward<F>(how)) {}

  explicit operator bool() const noexcept { return on_; }
  bool is_function() const noexcept { return how_ != nullptr; }
  void operator()(Arg object) const { how_(object); }

 private:
  bool on_ = false;
  std::function<void(Arg)> how_;
};

namespace detail {

template <class T>
inline constexpr bool kClearable =
    !std::is_const_v<T> && std::is_default_constructible_v<T> &&
    (std::is_nothrow_default_constructible_v<T> || std::is_move_assignable_v<T>);

// Makes `object` what T() is.
template <class T>
void clear_object(T& object) {
  if constexpr (std::is_nothrow_default_constructible_v<T>) {
    std::destroy_at(&object);
    std::construct_at(&object);
  } else if constexpr (kClearable<T>) {
    object = T();
  }
}

template <class T>
void clear_with(const ClearOption<T&>& clear, T& object) {
  if (!clear) return;
  if (clear.is_function()) {
    clear(object);
  } else {
    clear_object(object);
  }
}

}  // namespace detail

// What a pool may be told beyond how to make an object. All members are optional, and called
// without any lock, on the thread that gets or puts.
template <class T>
struct PoolOptions {
  // Makes an object when the pool has none to give.
  std::function<T*()> new_fn = {};
  // Run on an object before it is handed out again: no user can forget to clear what the last one
  // left in it. Fresh objects are not reset.
  std::function<void(T&)> reset = {};
  // Makes an object what T() is, or runs the function on it, as it is put: the pool keeps nothing
  // alive that the object referred to, and nobody sees it. std::invalid_argument from the pool's
  // constructor for `true` where T() is not possible.
  ClearOption<T&> clear = {};
  // Whether an object that is put should be kept.
  std::function<bool(const T&)> keep = {};
  // The bytes an object holds on to, itself included; sizeof(T) if not given.
  std::function<std::size_t(const T&)> size_of = {};
  // An object that is put and holds more is discarded: one huge request does not pin a huge buffer.
  std::size_t max_retained_bytes = SIZE_MAX;
  // How many objects a thread keeps beyond the one in its private slot.
  std::uint32_t max_shared_per_thread = UINT32_MAX;
};

namespace detail {

template <class T>
void check_clearable(const PoolOptions<T>& options) {
  if (options.clear && !options.clear.is_function() && !kClearable<T>) {
    TRICOLOR_THROW(std::invalid_argument(
        "sync::PoolOptions: clear = true asks for T() of a type without it; give a function"));
  }
}

template <class T>
bool accepts(const PoolOptions<T>& options, const T& object) {
  if (options.max_retained_bytes != SIZE_MAX &&
      (options.size_of ? options.size_of(object) : sizeof(T)) > options.max_retained_bytes) {
    return false;
  }
  return !options.keep || options.keep(object);
}

}  // namespace detail

// Objects that are used for a while and then again by somebody else: buffers, parsers, requests.
// A cache, not a store: which object a get() returns, and whether a put() is ever seen again, is
// not promised. What is not used survives one collection and is gone after the second.
//
//     sync::Pool<Buffer> buffers([] { return gc::make<Buffer>(); });
//     auto buffer = buffers.lease();
//
// Every thread has a private slot, reached without an atomic instruction, and a deque from which
// the others steal. An object is collected memory (gc::make); the pool refers to it as a gc::ptr.
// The structure is that of Go's sync.Pool. put() may discard what does not fit or when memory is
// short; it never throws but for what the options' functions throw. get() may throw std::bad_alloc
// and what new_fn throws. Any thread may use a pool; construction and destruction are for one. A
// pool costs memory from its first use on, and the collector time only in cycles after a use.
template <class T>
class Pool {
 public:
  static_assert(std::is_object_v<T> && !std::is_array_v<T>,
                "a pool of objects: of T* from gc::make");
  using element_type = T;
  using Options = PoolOptions<T>;
  using Lease = sync::Lease<T, Pool>;

  // Without new_fn: get() returns nullptr when the pool is empty.
  Pool() : Pool(Options{}) {}
  // new_fn: any callable that returns a T*; may run on several threads at once.
  template <class NewFn>
  requires std::is_invocable_r_v < T*, std::decay_t<NewFn>
  & > explicit(false) Pool(NewFn&& new_fn)
      : Pool(Options{.new_fn = wrap(std::forward<NewFn>(new_fn))}) {}
  explicit Pool(Options options)
      : limited_(options.keep != nullptr || options.max_retained_bytes != SIZE_MAX),
        options_(std::move(options)),
        head_{.owner = {},
              .inlined = TRICOLOR_CHECKS == 0 && !limited_ && !options_.reset && !options_.clear} {
    detail::check_clearable(options_);
  }
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;
  ~Pool() {
#if TRICOLOR_CHECKS
    detail::check_no_leases(head_, this, type());
#endif
    detail::close_pool(head_);
  }

  // An object that was put before, or a new one. nullptr when there is none and no new_fn. Looks in
  // the thread's private slot and deque, then in the other threads' deques, then among the victims.
  [[nodiscard]] TRICOLOR_ALWAYS_INLINE T* get() {
    void* const object = detail::take_private(head_, head_.inlined_epoch);
    if (__builtin_expect(object != nullptr, 1)) return static_cast<T*>(object);
    return get_slow(detail::Reach::kEverywhere);
  }

  // The same, but never takes from another thread.
  [[nodiscard]] T* get_local() {
    void* const object = detail::take_private(head_, head_.inlined_epoch);
    if (__builtin_expect(object != nullptr, 1)) return static_cast<T*>(object);
    return get_slow(detail::Reach::kLocal);
  }

  // Gives an object to whoever gets next; nullptr is ignored. The caller must not use it
  // afterwards.
  TRICOLOR_ALWAYS_INLINE void put(T* object, CallSite where = CallSite::current()) {
    if (object == nullptr) return;
    if (__builtin_expect(!detail::put_private(head_, head_.inlined_epoch, erase(object)), 0)) {
      put_slow(object, where);
    }
  }

  // get() until the end of the scope.
  Lease lease([[maybe_unused]] CallSite where = CallSite::current()) {
    T* const object = get();
#if TRICOLOR_CHECKS
    if (object != nullptr) detail::check_lease_taken(head_, where);
#endif
    return Lease(*this, object);
  }

  // Forgets all objects; what is put meanwhile by other threads may be forgotten with them.
  void drain() noexcept { detail::drain_pool(head_); }

  PoolStats stats() const noexcept { return detail::pool_stats(head_); }

 private:
  friend Lease;

  static void* erase(T* object) noexcept {
    return const_cast<void*>(static_cast<const volatile void*>(object));
  }

  template <class NewFn>
  static std::function<T*()> wrap(NewFn&& new_fn) {
    using Function = std::decay_t<NewFn>;
    if constexpr (std::is_copy_constructible_v<Function>) {
      return std::forward<NewFn>(new_fn);
    } else {
      auto shared = std::make_shared<Function>(std::forward<NewFn>(new_fn));
      return [shared]() -> T* { return (*shared)(); };
    }
  }

  TRICOLOR_NOINLINE T* get_slow(detail::Reach reach) {
    void* object = head_.inlined ? nullptr : detail::take_private(head_, head_.epoch);
    if (object == nullptr) object = detail::take_slow(head_, reach);
    if (object == nullptr) return options_.new_fn ? options_.new_fn() : nullptr;
#if TRICOLOR_CHECKS
    detail::check_taken(object);
#endif
    T* const reused = static_cast<T*>(object);
    if (options_.reset) options_.reset(*reused);
    return reused;
  }

  TRICOLOR_NOINLINE void put_slow(T* object, [[maybe_unused]] CallSite where) {
    if (limited_ && !detail::accepts(options_, *object)) return detail::count_discarded(head_);
    detail::clear_with(options_.clear, *object);
#if TRICOLOR_CHECKS
    detail::check_put(head_, erase(object), type(), where);
#endif
    if (!head_.inlined && detail::put_private(head_, head_.epoch, erase(object))) return;
    detail::put_slow(head_, erase(object), options_.max_shared_per_thread);
  }

  void end_lease(T* object, bool back) {
#if TRICOLOR_CHECKS
    detail::check_lease_ended(head_);
#endif
    if (back) put(object);
  }

  static constexpr const char* type() noexcept { return gc::detail::kTypeName<T>.data(); }

  const bool limited_;
  const Options options_;
  detail::PoolHead head_;
};

template <class NewFn>
requires std::is_invocable_v < std::decay_t<NewFn>
& > Pool(NewFn&&)->Pool<std::remove_pointer_t<std::invoke_result_t<std::decay_t<NewFn>&>>>;

}  // namespace tricolor::sync
