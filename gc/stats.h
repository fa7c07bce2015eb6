#pragma once

// The counts behind runtime::MemStats, summed up over the heap, its threads and the collector.
//
// [stats.add-up]  heap_objects and heap_alloc are what a walk over the alloc bits would find, less the cells that
//                 threads hold and have not used, when no other thread allocates meanwhile.

#include <cstddef>

#include <tricolor/runtime.hpp>

namespace tricolor::gc {

// A large object was allocated. Any thread.
void count_large(size_t bytes) noexcept;

// Any thread; attaches it.
void fill_mem_stats(runtime::MemStats& stats);

}  // namespace tricolor::gc
