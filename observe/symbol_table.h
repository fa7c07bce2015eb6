#pragma once

// SymbolTables: names of functions and globals, static ones included, from the symbol tables of the files that are
// loaded. Files are read as they are asked for.
//
// Threads: one at a time, in no runtime section: memory is allocated, and the loader's lock taken.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace tricolor::observe {

struct Symbol {
  std::string name;      // demangled; "" where there is none
  uintptr_t offset = 0;  // of the address in what has the name; without a name in the file
  std::string file;      // the last part of its path
  uintptr_t offset_in_file = 0;

  // "name+0x12", "name", without one "file+0x1234"; "" where nothing is known.
  std::string with_offset() const;
};

class SymbolTables {
 public:
  SymbolTables();
  ~SymbolTables();
  SymbolTables(const SymbolTables&) = delete;
  SymbolTables& operator=(const SymbolTables&) = delete;

  Symbol function_at(uintptr_t pc) { return find(pc, true); }
  Symbol data_at(uintptr_t address) { return find(address, false); }
  // "name+0x12", "file+0x1234", "0x7f..."
  std::string describe_code(uintptr_t pc);

 private:
  class File;

  Symbol find(uintptr_t address, bool code);

  std::vector<std::unique_ptr<File>> files_;
};

}  // namespace tricolor::observe
