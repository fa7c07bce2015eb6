#pragma once

// Fork: the child keeps the heap and the forking thread, and goes on collecting.
//
// Before fork() no cycle runs, and the runtime is closed: every attached thread has been asked to
// come out, and none goes in, so the child finds all structures whole and all locks free.

namespace tricolor::gc {

// Once; false when there is no memory for them.
[[nodiscard]] bool install_fork_handlers() noexcept;

}  // namespace tricolor::gc
