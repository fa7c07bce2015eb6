#pragma once

// Fork: the child keeps the heap and the forking thread, and goes on collecting.
//
// Before fork() no cycle runs, and the runtime is closed: every attached thread has been asked to
// come out, and none goes in, so the child finds all structures whole and all locks free. A first
// use of the heap that another thread is in the middle of is waited for, and none begins.

namespace tricolor::gc {

// Once, before the program's first thread starts another: handlers registered while a fork() is
// under way are not run for it. False when there is no memory for them.
[[nodiscard]] bool install_fork_handlers() noexcept;

}  // namespace tricolor::gc
