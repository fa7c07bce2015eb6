#pragma once

// Clears what a thread leaves on its stack.
//
// [stacks.left] Each thread does so as it detaches. The C library gives the stack to a thread that
// comes, and references left there would be found wherever that one's frames have a hole.

namespace tricolor::gc {

// Clears the stack below the caller's frame, as far down as it outlives the thread. The thread's
// own.
void forget_old_frames() noexcept;

}  // namespace tricolor::gc
