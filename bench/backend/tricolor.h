#pragma once

// The collected heap of this repository, as the benchmarks see a heap.
//
// Every header in this folder defines the same names in bench::backend, and a benchmark is compiled
// once with each (the macro BENCH_BACKEND names the header). Names in brackets are there only where
// the backend has such a thing.
//   kName, kCollects (unreachable objects are found), kByHand (release() is what ends an object)
//   Ref<T>         what make() returns; keeps its object alive as a local
//   Field<T>       a reference inside an object
//   Link<T>        one to an object that another reference keeps as well (back links)
//   Global<T>      a reference in static storage that keeps its object
//   ArrayRef<T>, ArrayField<T>, GlobalArray<T>   the same for arrays
//   raw(r)         any of these as a T*, which borrows
//   start()        once, first thing in main()
//   ThreadScope    first thing in any other thread that uses the heap
//   blocking(f)    calls f, which waits long and touches no object
//   make<T>()      a zeroed object; not zeroed if T says `static constexpr bool kLeaf = true`, which
//                  promises that it holds no reference
//   make_array<T>(n)  zeroed; not zeroed if T is arithmetic
//   release(r), release_array(r)  no longer used; nothing happens where kByHand is false
//   [Weak<T>]      set(T*), lock(); lives in malloc's memory and stays where it is
//   make_finalized<T, f>()  f(T*) is called once when the object has died
//   release_finalized<f>(r), finish_finalizers()
//   make_destroyed<T>()  its destructor is called once when the object has died
//   release_destroyed(r)
//   collect()      a full collection now; nothing where kCollects is false
//   pause_collections(bool)  none on its own account while true
//   collections()  how many so far

#include <cstdint>
#include <tricolor/tricolor.hpp>

template <typename T>
requires(T::kLeaf) struct tricolor::gc::is_leaf<T> : std::true_type {
};

namespace bench::backend {

inline constexpr const char* kName = "tricolor";
inline constexpr bool kCollects = true;
inline constexpr bool kByHand = false;

template <typename T>
using Ref = T*;
template <typename T>
using Field = tricolor::gc::ptr<T>;
template <typename T>
using Link = tricolor::gc::ptr<T>;
template <typename T>
using Global = tricolor::gc::root<T>;
template <typename T>
using ArrayRef = T*;
template <typename T>
using ArrayField = tricolor::gc::ptr<T>;
template <typename T>
using GlobalArray = tricolor::gc::root<T>;
using ThreadScope = tricolor::runtime::ThreadScope;

template <typename T>
inline T* raw(T* r) {
  return r;
}
template <typename T>
inline T* raw(const tricolor::gc::ptr<T>& r) {
  return r.get();
}
template <typename T>
inline T* raw(const tricolor::gc::root<T>& r) {
  return r.get();
}

inline void start() { tricolor::runtime::attach_thread(); }

template <typename F>
inline void blocking(F f) {
  const tricolor::runtime::BlockingScope scope;
  f();
}

template <typename T>
inline T* make() {
  return tricolor::gc::make<T>();
}
template <typename T>
inline T* make_array(std::size_t count) {
  return tricolor::gc::make_array<T>(count);
}

template <typename T>
inline void release(const T&) {}
template <typename T>
inline void release_array(const T&) {}

template <typename T>
class Weak {
 public:
  void set(T* object) { weak_ = object; }
  T* lock() const { return weak_.lock(); }

 private:
  tricolor::gc::weak<T> weak_;
};

template <typename T, void (*F)(T*)>
inline T* make_finalized() {
  T* const object = make<T>();
  tricolor::gc::set_finalizer(object, F);
  return object;
}
template <auto F, typename T>
inline void release_finalized(const T&) {}
template <typename T>
inline T* make_destroyed() {
  return make<T>();
}
template <typename T>
inline void release_destroyed(const T&) {}
inline void finish_finalizers() {
  tricolor::runtime::collect();
  tricolor::runtime::wait_for_finalizers();
}

inline void collect() { tricolor::runtime::collect(); }

inline void pause_collections(bool pause) {
  static int percent = 100;
  if (pause) {
    percent = tricolor::debug::set_gc_percent(-1);
  } else {
    tricolor::debug::set_gc_percent(percent);
  }
}

inline std::uint64_t collections() {
  static tricolor::runtime::MemStats stats;
  tricolor::runtime::read_mem_stats(stats);
  return stats.num_gc;
}

}  // namespace bench::backend
