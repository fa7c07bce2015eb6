#pragma once

// RootNames: what a held root (gc/held.h) is called: the global's symbol, the thread and the function whose frame
// holds the word.
//
// Threads: the one that inspects.

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "gc/held.h"
#include "observe/symbol_table.h"

#include <tricolor/debug_heap.hpp>

namespace tricolor::observe {

class RootNames {
 public:
  debug::Root name(const gc::HeldRoot& root);

  // The frame of thread `number` that holds the word at `place`: its place in frames, or as many as
  // there are.
  static size_t frame_of(const gc::HeldThread& thread, uintptr_t place) noexcept;
  // Whether the word is a register's: of what a signal interrupted, or as it was saved by one who
  // waits.
  static bool is_register(const gc::HeldThread& thread, const gc::HeldRoot& root) noexcept;

  std::string thread_name(int tid);
  std::string function(uintptr_t pc);
  SymbolTables& symbols() noexcept { return symbols_; }

 private:
  void name_stack_word(const gc::HeldRoot& root, debug::Root& out);

  SymbolTables symbols_;
};

}  // namespace tricolor::observe
