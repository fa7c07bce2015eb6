// Knobs that a running program may turn.
#pragma once

#include <cstddef>
#include <cstdint>

#include <tricolor/detail/config.hpp>

namespace tricolor::debug {

// Sets GOGC: the heap may grow by this percentage over what the last cycle found live (plus stacks
// and roots) before the next cycle ends. Negative switches the collector off, but for a memory
// limit and for collect(). Returns the previous value (-1 when off). Any thread.
TRICOLOR_API int set_gc_percent(int percent);

// Sets GOMEMLIMIT: a soft limit in bytes on all memory of the runtime. A negative argument only
// reads. Returns the previous limit; INT64_MAX means none. Any thread.
TRICOLOR_API std::int64_t set_memory_limit(std::int64_t bytes);

// Sets a hard cap on the bytes of heap spans: an allocation that would pass it collects first, and
// throws std::bad_alloc if that was not enough. 0 removes the cap. Returns the previous one. Any
// thread.
TRICOLOR_API std::size_t set_max_heap(std::size_t bytes);

// Collects and returns all free pages to the system, also those of 4 KiB between objects. Any
// thread; attaches it.
TRICOLOR_API void free_os_memory();

}  // namespace tricolor::debug
