#pragma once

// GODEBUG=findlost=1; see gc/verify.h.

namespace tricolor::gc {

// Reports the places in untraced memory that point to objects about to be reclaimed. All threads
// are stopped.
void find_lost() noexcept;

// Clears the stack below the caller. The C library keeps the stacks of threads that have ended, and
// what a thread left on its own would look like references.
void forget_old_frames() noexcept;

}  // namespace tricolor::gc
