// Finalizers and cleanups: work to do when an object has become unreachable.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <stdexcept>
#include <type_traits>
#include <utility>

#include <tricolor/detail/config.hpp>
#include <tricolor/detail/exceptions.hpp>

namespace tricolor::gc {

namespace detail {
struct CleanupId {
  std::uint64_t number = 0;   // from 1 on, never used twice
  std::uintptr_t hidden = 0;  // ~address of the object
};
TRICOLOR_API void set_finalizer(void* object, std::function<void()> run, bool for_cycles);
TRICOLOR_API void clear_finalizer(void* object) noexcept;
[[nodiscard]] TRICOLOR_API CleanupId add_cleanup(void* object, std::function<void()> run);
TRICOLOR_API bool cancel_cleanup(const CleanupId& id) noexcept;
template <class T>
void* erase_address(T* object) noexcept {
  return const_cast<void*>(static_cast<const volatile void*>(object));
}
}  // namespace detail

// Calls `f(object)` once, on the finalizer thread, some time after `object` became unreachable. The
// object is alive during the call and may be made reachable again; it is collected after a later
// cycle finds it unreachable. If A refers to B, A's finalizer runs first; objects in a cycle with
// finalizers are not collected (both as in Go), but an object that refers to itself is no cycle. A
// second call replaces the finalizer. An object's
// destructor runs after its finalizer. `object` is what gc::make returned (else
// std::invalid_argument); std::bad_alloc. Any thread; attaches it.
template <class T, class F>
requires std::is_invocable_v<F&, T*>
void set_finalizer(T* object, F f) {
  // The address is kept disguised: the record must not look like a reference to the object.
  const std::uintptr_t hidden = ~reinterpret_cast<std::uintptr_t>(object);
  detail::set_finalizer(
      detail::erase_address(object),
      [hidden, f = std::move(f)]() mutable { f(reinterpret_cast<T*>(~hidden)); }, false);
}

struct in_cycles_t {
  explicit in_cycles_t() = default;
};
inline constexpr in_cycles_t in_cycles{};

// The same, also for objects in cycles: those that become unreachable together have their
// finalizers called in no order, each with all that it refers to alive.
template <class T, class F>
requires std::is_invocable_v<F&, T*>
void set_finalizer(T* object, F f, in_cycles_t) {
  const std::uintptr_t hidden = ~reinterpret_cast<std::uintptr_t>(object);
  detail::set_finalizer(
      detail::erase_address(object),
      [hidden, f = std::move(f)]() mutable { f(reinterpret_cast<T*>(~hidden)); }, true);
}

// Removes the finalizer of `object`, if it has one. Any thread.
template <class T>
void clear_finalizer(T* object) noexcept {
  detail::clear_finalizer(detail::erase_address(object));
}

// Names one cleanup. cancel() prevents it; true if it had neither run nor been queued. Any thread.
class cleanup_handle {
 public:
  constexpr cleanup_handle() noexcept = default;
  explicit constexpr cleanup_handle(detail::CleanupId id) noexcept : id_(id) {}
  bool cancel() noexcept {
    return id_.number != 0 && detail::cancel_cleanup(std::exchange(id_, {}));
  }

 private:
  detail::CleanupId id_;
};

// Calls `f(arg)` on the finalizer thread after `object` is gone; there may be many for one object,
// and they cannot bring it back. `arg` is kept in memory that the collector does not trace: a
// collected object in it is held by a gc::root. `object` may be an interior pointer;
// std::invalid_argument if it is not a collected object or `arg` is the object itself;
// std::bad_alloc. Any thread; attaches it.
template <class T, class F, class Arg>
requires std::is_invocable_v < F&, std::decay_t<Arg>
& > cleanup_handle add_cleanup(T* object, F f, Arg&& arg) {
  if constexpr (std::is_pointer_v<std::decay_t<Arg>>) {
    if (static_cast<const volatile void*>(object) == static_cast<const volatile void*>(arg)) {
      TRICOLOR_THROW(std::invalid_argument(
          "gc::add_cleanup: the argument is the object itself, which is gone by then"));
    }
  }
  return cleanup_handle(detail::add_cleanup(
      detail::erase_address(object),
      [f = std::move(f),
       arg = std::make_shared<std::decay_t<Arg>>(std::forward<Arg>(arg))]() mutable { f(*arg); }));
}

inline bool cancel(cleanup_handle& handle) noexcept { return handle.cancel(); }

}  // namespace tricolor::gc
