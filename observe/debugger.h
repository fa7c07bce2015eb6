#pragma once

// Debugger: what tools/gdb/tricolor.py calls in a program that stands. Each gives a text that lasts until the next
// call, an error's as well; a thread that stands inside the library is told from one that may be
// used.
//
// Threads: the one that the debugger has chosen, one at a time.

#include <tricolor/detail/config.hpp>

extern "C" {
TRICOLOR_API const char* tricolor_why(const void* address) noexcept;
TRICOLOR_API const char* tricolor_stacks() noexcept;
TRICOLOR_API const char* tricolor_histogram() noexcept;
TRICOLOR_API const char* tricolor_snapshot(const char* path) noexcept;
}
