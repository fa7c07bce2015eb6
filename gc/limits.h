#pragma once

// Limits a program sets on the heap at run time, and memory it wants returned.

#include <cstddef>

namespace tricolor::gc {

// Gives the previous cap; 0 is none. Any thread.
size_t set_max_heap(size_t bytes) noexcept;

// Returns all free pages to the system. In a runtime section.
void return_free_pages() noexcept;

}  // namespace tricolor::gc
