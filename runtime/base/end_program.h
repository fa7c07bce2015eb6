#pragma once

// Threads: any.

namespace tricolor::runtime {

// What fatal() does after its message: runs the failure hook, aborts.
[[noreturn]] void end_program() noexcept;

}  // namespace tricolor::runtime
