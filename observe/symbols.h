#pragma once

// Symbols: function, file and line of code addresses, from the files that the process has loaded.
//
// Functions come from .symtab, or .dynsym where that was stripped (also of /usr/lib/debug by
// build-id), lines from .debug_line. Code that came and went, or that a program has generated, has
// none.
// Threads: any; each its own object. Takes the loader's lock: outside of runtime sections. std::bad_alloc.

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace tricolor::observe {

struct Module {
  std::string path;
  std::string build_id;  // in hex
  uintptr_t base = 0;    // what is added to addresses as linked
  // Its code.
  uintptr_t lo = 0;
  uintptr_t hi = 0;
  uint64_t offset = 0;  // of lo in the file
};

struct Place {
  std::string function;  // demangled; empty: not known
  std::string system_name;
  std::string file;
  int line = 0;
  int module = -1;  // of modules()
};

class Symbols {
 public:
  Symbols();

  // Looks all of them up at once, for that is quicker.
  void resolve(std::vector<uintptr_t> addresses);
  // Of a resolved address.
  const Place& at(uintptr_t address) const;

  const std::vector<Module>& modules() const noexcept { return modules_; }

 private:
  void resolve_in(int number, const std::vector<uintptr_t>& addresses);

  std::vector<Module> modules_;
  std::map<uintptr_t, Place> places_;
};

// Of the program's file.
std::string own_path();
// The name as a program writes it.
std::string demangled(const char* name);

// "function file:line", or the address and its module.
std::string describe_place(const Symbols& symbols, uintptr_t address);

}  // namespace tricolor::observe
