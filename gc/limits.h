#pragma once

// The cap that a program sets on the heap at run time.

#include <cstddef>

namespace tricolor::gc {

// Gives the previous cap; 0 is none. Any thread.
size_t set_max_heap(size_t bytes) noexcept;

}  // namespace tricolor::gc
