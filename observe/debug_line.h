#pragma once

// Line numbers: the line programs of .debug_line (DWARF 2 to 5), read for a set of addresses.
//
// Threads: any. std::bad_alloc is left to the caller.

#include <cstdint>
#include <string>
#include <vector>

#include "observe/elf_file.h"

namespace tricolor::observe {

struct SourceLine {
  uint64_t address = 0;  // as linked
  std::string file;      // empty: not known
  int line = 0;
};

// Fills in what the file says of the addresses, which are sorted.
void find_lines(const ElfFile& elf, std::vector<SourceLine>& lines);

}  // namespace tricolor::observe
