#pragma once

// Cells: traced memory as a program asks for it, through a cache of free cells that each thread has.
//
//   allocate --> thread's list of the class --> Central --> Chunks          more than 32 KiB: Chunks at once
//   free     --> list of the thread that frees, whoever has allocated; half of a long list goes to Central
//
// [cells.wrong]  what is freed twice, is not from here, or points into a cell, ends the program with a message that
//                says which: a cell's live byte is set exactly while the program has it.
// Threads: any, attached or not, at any time: before main, while the thread exits, after exit has begun.

#include <cstddef>

namespace tricolor::traced {

// nullptr when memory is gone. `alignment`: a power of two.
void* allocate(size_t bytes) noexcept;
void* allocate_aligned(size_t bytes, size_t alignment) noexcept;
void free(void* cell) noexcept;

}  // namespace tricolor::traced
