#pragma once

// Fork: the child keeps the heap and the forking thread, and goes on collecting.
//
// Before fork() no cycle runs and every attached thread is stopped outside the runtime, so the
// child finds all structures whole and all locks free. In the child the other threads are forgotten
// (their stacks are no roots any more), and the library's own threads are started anew.

namespace tricolor::gc {

void install_fork_handlers() noexcept;

}  // namespace tricolor::gc
