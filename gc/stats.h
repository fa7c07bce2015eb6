#pragma once

// The counts behind runtime::MemStats.

#include <cstddef>

#include <tricolor/runtime.hpp>

namespace tricolor::gc {

// A large object was allocated. Any thread.
void count_large(size_t bytes) noexcept;

// Any thread; attaches it.
void fill_mem_stats(runtime::MemStats& stats);

}  // namespace tricolor::gc
