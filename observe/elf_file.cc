#include "observe/elf_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

namespace tricolor::observe {

ElfFile::ElfFile(const std::string& path) noexcept {
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return;
  struct stat status {};
  if (::fstat(file, &status) == 0 && static_cast<size_t>(status.st_size) > sizeof(Elf64_Ehdr)) {
    const auto size = static_cast<size_t>(status.st_size);
    void* const data = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file, 0);
    if (data != MAP_FAILED) {
      data_ = static_cast<const char*>(data);
      size_ = size;
    }
  }
  ::close(file);
  if (data_ == nullptr) return;
  const auto& header = *reinterpret_cast<const Elf64_Ehdr*>(data_);
  if (std::memcmp(header.e_ident, ELFMAG, SELFMAG) == 0 && header.e_ident[EI_CLASS] == ELFCLASS64 &&
      header.e_shentsize == sizeof(Elf64_Shdr)) {
    return;
  }
  ::munmap(const_cast<char*>(data_), size_);
  data_ = nullptr;
}

ElfFile::~ElfFile() {
  if (data_ != nullptr) ::munmap(const_cast<char*>(data_), size_);
}

const Elf64_Shdr* ElfFile::section_header(size_t index) const noexcept {
  if (data_ == nullptr) return nullptr;
  const auto& header = *reinterpret_cast<const Elf64_Ehdr*>(data_);
  if (index >= header.e_shnum || header.e_shoff > size_ || header.e_shoff % 8 != 0) return nullptr;
  if ((size_ - header.e_shoff) / sizeof(Elf64_Shdr) <= index) return nullptr;
  return reinterpret_cast<const Elf64_Shdr*>(data_ + header.e_shoff) + index;
}

std::string_view ElfFile::contents(const Elf64_Shdr& header) const noexcept {
  if (header.sh_type == SHT_NOBITS || (header.sh_flags & SHF_COMPRESSED) != 0) return {};
  if (header.sh_offset > size_ || header.sh_size > size_ - header.sh_offset) return {};
  return {data_ + header.sh_offset, header.sh_size};
}

const char* ElfFile::string_at(std::string_view strings, size_t offset) const noexcept {
  if (offset >= strings.size()) return nullptr;
  if (std::memchr(strings.data() + offset, 0, strings.size() - offset) == nullptr) return nullptr;
  return strings.data() + offset;
}

std::string_view ElfFile::section(std::string_view name) const noexcept {
  if (data_ == nullptr) return {};
  const auto& header = *reinterpret_cast<const Elf64_Ehdr*>(data_);
  const Elf64_Shdr* const names = section_header(header.e_shstrndx);
  if (names == nullptr) return {};
  for (size_t i = 0; const Elf64_Shdr* const s = section_header(i); ++i) {
    const char* const found = string_at(contents(*names), s->sh_name);
    if (found != nullptr && name == found) return contents(*s);
  }
  return {};
}

std::vector<ElfFile::Symbol> ElfFile::symbols(Of what) const {
  const Elf64_Shdr* table = nullptr;
  for (size_t i = 0; const Elf64_Shdr* const s = section_header(i); ++i) {
    if (s->sh_type == SHT_SYMTAB || (s->sh_type == SHT_DYNSYM && table == nullptr)) table = s;
  }
  std::vector<Symbol> found;
  const Elf64_Shdr* const names = table == nullptr ? nullptr : section_header(table->sh_link);
  if (names == nullptr) return found;
  const std::string_view entries = contents(*table);
  const std::string_view strings = contents(*names);
  for (size_t at = 0; at + sizeof(Elf64_Sym) <= entries.size(); at += sizeof(Elf64_Sym)) {
    Elf64_Sym symbol;
    std::memcpy(&symbol, entries.data() + at, sizeof symbol);
    const unsigned type = ELF64_ST_TYPE(symbol.st_info);
    const bool wanted =
        what == Of::kCode ? type == STT_FUNC || type == STT_GNU_IFUNC : type == STT_OBJECT;
    if (!wanted || symbol.st_shndx == SHN_UNDEF) continue;
    if (const char* const name = string_at(strings, symbol.st_name))
      found.push_back({symbol.st_value, symbol.st_size, name});
  }
  std::stable_sort(found.begin(), found.end(),
                   [](const Symbol& a, const Symbol& b) { return a.address < b.address; });
  return found;
}

const ElfFile::Symbol* find_symbol(const std::vector<ElfFile::Symbol>& symbols,
                                   uint64_t address) noexcept {
  auto after = std::upper_bound(
      symbols.begin(), symbols.end(), address,
      [](uint64_t wanted, const ElfFile::Symbol& symbol) { return wanted < symbol.address; });
  if (after == symbols.begin()) return nullptr;
  const ElfFile::Symbol& symbol = *--after;
  return symbol.size != 0 && address >= symbol.address + symbol.size ? nullptr : &symbol;
}

}  // namespace tricolor::observe
