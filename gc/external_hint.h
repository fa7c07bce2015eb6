#pragma once

// A hint in the trace, once: that the process holds far more memory than the heap, none of which
// runtime::adjust_external_memory has told of. Objects that own memory outside are collected too
// late then. Threads: the collector.

#include <cstdint>

namespace tricolor::gc {

// heap: what the library has of the system; external: what it was told of.
void hint_at_external_memory(int64_t heap, int64_t external) noexcept;

}  // namespace tricolor::gc
