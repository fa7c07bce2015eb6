#pragma once

// LoadedProgram: a program mapped read-only into a process whose heap has not been used for
// anything else.
//
// Compiling needs memory of the trace's size. Done in this process, it would leave the allocator
// under test with pages to reuse and thresholds moved; so a child compiles and hands the code over
// in a memory file.
//
// Threads: made before any other thread exists (it forks); afterwards any may read it.

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "bench/replay/program.h"

namespace bench::replay {

class LoadedProgram {
 public:
  // Compiles the trace; every page of the code is resident afterwards. Throws std::runtime_error
  // with the message of compile(), or when the system refuses the child or its memory.
  LoadedProgram(const std::string& trace, Threads threads);
  ~LoadedProgram();
  LoadedProgram(const LoadedProgram&) = delete;
  LoadedProgram& operator=(const LoadedProgram&) = delete;

  const Program& program() const { return program_; }

 private:
  Program program_;
  void* pages_ = nullptr;
  size_t page_bytes_ = 0;
};

}  // namespace bench::replay
