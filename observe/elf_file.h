#pragma once

// ElfFile: an executable or shared library as it lies on disk, mapped.
//
// Nothing in the file is believed: every offset is checked against its length.
// Threads: one object, one thread. std::bad_alloc is left to the caller.

#include <elf.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tricolor::observe {

class ElfFile {
 public:
  ElfFile() noexcept = default;
  explicit ElfFile(const std::string& path) noexcept;
  ~ElfFile();
  ElfFile(const ElfFile&) = delete;
  ElfFile& operator=(const ElfFile&) = delete;

  bool ok() const noexcept { return data_ != nullptr; }
  // Contents of a section; empty where there is none, or it is compressed.
  std::string_view section(std::string_view name) const noexcept;

  struct Symbol {
    uint64_t address;  // as linked
    uint64_t size;     // 0: not known, as of functions written in assembly
    const char* name;
  };
  enum class Of { kCode, kData };
  // Of .symtab, or .dynsym where that was stripped; sorted by address.
  std::vector<Symbol> symbols(Of what) const;

 private:
  const Elf64_Shdr* section_header(size_t index) const noexcept;
  std::string_view contents(const Elf64_Shdr& header) const noexcept;
  const char* string_at(std::string_view strings, size_t offset) const noexcept;

  const char* data_ = nullptr;
  size_t size_ = 0;
};

// The one that the address lies in, of symbols as above; nullptr: none.
const ElfFile::Symbol* find_symbol(const std::vector<ElfFile::Symbol>& symbols,
                                   uint64_t address) noexcept;

}  // namespace tricolor::observe
