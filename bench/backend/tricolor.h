#pragma once

// The collected heap of this repository, as the benchmarks see a heap.
//
// Every header in this folder defines the same names in bench::backend, and a benchmark is compiled
// once with each (the macro BENCH_BACKEND names the header):
//   kName, kCollects
//   Field<T>       a reference inside an object
//   Global<T>      a reference in static storage that keeps its object
//   start()        once, first thing in main()
//   make<T>()      a zeroed object
//   release(T*)    the object is no longer used; collectors do nothing
//   collect()      a full collection now; nothing where kCollects is false
//   pause_collections(bool)  none on its own account while true
//   collections()  how many so far

#include <cstdint>
#include <tricolor/tricolor.hpp>

namespace bench::backend {

inline constexpr const char* kName = "tricolor";
inline constexpr bool kCollects = true;

template <typename T>
using Field = tricolor::gc::ptr<T>;
template <typename T>
using Global = tricolor::gc::root<T>;

inline void start() { tricolor::runtime::attach_thread(); }

template <typename T>
inline T* make() {
  return tricolor::gc::make<T>();
}

template <typename T>
inline void release(T*) {}

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
