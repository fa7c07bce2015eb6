// debug::threads: what the attached threads do.
#pragma once

#include <string>
#include <vector>

#include <tricolor/detail/config.hpp>

namespace tricolor::debug {

struct StackFrame {
  const void* address = nullptr;  // inside the call
  std::string function;           // empty where nobody knows
  std::string file;
  int line = 0;
};

struct ThreadInfo {
  int id = 0;  // the system's
  std::string name;
  std::string state;  // "running", "blocked", "in the library": for the collector
  // What it waits for, as far as the system tells: "sleeping in system call 202 (futex)".
  std::string waits_for;
  std::vector<StackFrame> stack;  // innermost first; empty where the thread did not answer in time
};

// All threads that are attached to the heap, the library's own included. Each is asked by a signal
// to look at its own stack and goes on; system calls that no SA_RESTART begins anew return EINTR.
// Any thread; may throw std::bad_alloc.
[[nodiscard]] TRICOLOR_API std::vector<ThreadInfo> threads();

}  // namespace tricolor::debug
