#pragma once

// std::shared_ptr on malloc: objects die with their last reference; see bench/backend/tricolor.h
// for what the names mean.

#include <cstdint>
#include <memory>
#include <type_traits>

namespace bench::backend {

inline constexpr const char* kName = "shared";
inline constexpr bool kCollects = false;
inline constexpr bool kByHand = false;

template <typename T>
using Ref = std::shared_ptr<T>;
template <typename T>
using Field = std::shared_ptr<T>;
template <typename T>
using Link = T*;
template <typename T>
using Global = std::shared_ptr<T>;
template <typename T>
using ArrayRef = std::shared_ptr<T[]>;
template <typename T>
using ArrayField = std::shared_ptr<T[]>;
template <typename T>
using GlobalArray = std::shared_ptr<T[]>;
struct ThreadScope {
  ThreadScope() {}
};

template <typename T>
inline T* raw(T* r) {
  return r;
}
template <typename T>
inline auto raw(const std::shared_ptr<T>& r) {
  return r.get();
}

inline void start() {}

template <typename F>
inline void blocking(F f) {
  f();
}

template <typename T>
inline Ref<T> make() {
  if constexpr (requires { T::kLeaf; }) {
    return std::make_shared_for_overwrite<T>();
  } else {
    return std::make_shared<T>();
  }
}
template <typename T>
inline ArrayRef<T> make_array(std::size_t count) {
  if constexpr (std::is_arithmetic_v<T>) {
    return std::make_shared_for_overwrite<T[]>(count);
  } else {
    return std::make_shared<T[]>(count);
  }
}

template <typename T>
inline void release(const T&) {}
template <typename T>
inline void release_array(const T&) {}

template <typename T>
class Weak {
 public:
  void set(const std::shared_ptr<T>& object) { weak_ = object; }
  std::shared_ptr<T> lock() const { return weak_.lock(); }

 private:
  std::weak_ptr<T> weak_;
};

template <typename T, void (*F)(T*)>
inline Ref<T> make_finalized() {
  return Ref<T>(new T(), [](T* object) {
    F(object);
    delete object;
  });
}
template <auto F, typename T>
inline void release_finalized(const T&) {}
template <typename T>
inline Ref<T> make_destroyed() {
  return make<T>();
}
template <typename T>
inline void release_destroyed(const T&) {}
inline void finish_finalizers() {}

inline void collect() {}
inline void pause_collections(bool) {}
inline std::uint64_t collections() { return 0; }

}  // namespace bench::backend
