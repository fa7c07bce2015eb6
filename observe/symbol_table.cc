#include "observe/symbol_table.h"

#include <cxxabi.h>
#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace tricolor::observe {

namespace {

struct Loaded {
  uintptr_t address = 0;
  bool found = false;
  uintptr_t bias = 0;
  std::string path;
};

int look_into(dl_phdr_info* object, size_t, void* argument) {
  auto& loaded = *static_cast<Loaded*>(argument);
  for (int i = 0; i < object->dlpi_phnum; ++i) {
    const auto& segment = object->dlpi_phdr[i];
    if (segment.p_type != PT_LOAD) continue;
    if (loaded.address - (object->dlpi_addr + segment.p_vaddr) >= segment.p_memsz) continue;
    loaded.found = true;
    loaded.bias = object->dlpi_addr;
    loaded.path = object->dlpi_name == nullptr || object->dlpi_name[0] == '\0' ? "/proc/self/exe"
                                                                               : object->dlpi_name;
    return 1;
  }
  return 0;
}

std::string demangled(const char* name) {
  int status = 0;
  char* const text = abi::__cxa_demangle(name, nullptr, nullptr, &status);
  std::string result(text != nullptr ? text : name);
  std::free(text);
  return result;
}

}  // namespace

// One file that is loaded, mapped as it lies on disk.
class SymbolTables::File {
 public:
  explicit File(const std::string& path) : path_(path) {
    const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) return;
    struct stat status {};
    if (fstat(fd, &status) == 0 && status.st_size > static_cast<off_t>(sizeof(ElfW(Ehdr)))) {
      bytes_ = static_cast<size_t>(status.st_size);
      void* const memory = mmap(nullptr, bytes_, PROT_READ, MAP_PRIVATE, fd, 0);
      if (memory != MAP_FAILED) data_ = static_cast<const char*>(memory);
    }
    close(fd);
    if (data_ != nullptr) find_table();
  }
  ~File() {
    if (data_ != nullptr) munmap(const_cast<char*>(data_), bytes_);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  const std::string& path() const noexcept { return path_; }

  // `address` as in the file.
  bool find(uintptr_t address, bool code, Symbol& out) const {
    for (size_t i = 0; i < count_; ++i) {
      const ElfW(Sym)& symbol = symbols_[i];
      const unsigned type = symbol.st_info & 0xf;
      if (symbol.st_shndx == SHN_UNDEF || (type == STT_FUNC) != code) continue;
      if (type != STT_FUNC && type != STT_OBJECT) continue;
      if (address - symbol.st_value >= (symbol.st_size != 0 ? symbol.st_size : 1)) continue;
      if (symbol.st_name >= names_bytes_) continue;
      out.name = demangled(names_ + symbol.st_name);
      out.offset = address - symbol.st_value;
      return true;
    }
    return false;
  }

 private:
  template <class T>
  const T* at(size_t offset, size_t count = 1) const noexcept {
    if (offset > bytes_ || count > (bytes_ - offset) / sizeof(T)) return nullptr;
    return reinterpret_cast<const T*>(data_ + offset);
  }

  // The whole table, or what the loader has left of it.
  void find_table() noexcept {
    const auto* const header = at<ElfW(Ehdr)>(0);
    if (header == nullptr || std::memcmp(header->e_ident, ELFMAG, SELFMAG) != 0) return;
    const auto* const sections = at<ElfW(Shdr)>(header->e_shoff, header->e_shnum);
    if (sections == nullptr || header->e_shentsize != sizeof(ElfW(Shdr))) return;
    for (const unsigned wanted : {SHT_SYMTAB, SHT_DYNSYM}) {
      for (unsigned i = 0; i < header->e_shnum; ++i) {
        const auto& section = sections[i];
        if (section.sh_type != wanted || section.sh_link >= header->e_shnum) continue;
        const auto& strings = sections[section.sh_link];
        const size_t count = section.sh_size / sizeof(ElfW(Sym));
        const auto* const symbols = at<ElfW(Sym)>(section.sh_offset, count);
        const char* const names = at<char>(strings.sh_offset, strings.sh_size);
        if (symbols == nullptr || names == nullptr || strings.sh_size == 0) continue;
        if (names[strings.sh_size - 1] != '\0') continue;
        symbols_ = symbols;
        count_ = count;
        names_ = names;
        names_bytes_ = strings.sh_size;
        return;
      }
    }
  }

  std::string path_;
  const char* data_ = nullptr;
  size_t bytes_ = 0;
  const ElfW(Sym) * symbols_ = nullptr;
  size_t count_ = 0;
  const char* names_ = nullptr;
  size_t names_bytes_ = 0;
};

SymbolTables::SymbolTables() = default;
SymbolTables::~SymbolTables() = default;

Symbol SymbolTables::find(uintptr_t address, bool code) {
  Loaded loaded;
  loaded.address = address;
  dl_iterate_phdr(look_into, &loaded);
  Symbol symbol;
  if (!loaded.found) return symbol;
  const File* file = nullptr;
  for (const auto& known : files_) {
    if (known->path() == loaded.path) file = known.get();
  }
  if (file == nullptr) file = files_.emplace_back(std::make_unique<File>(loaded.path)).get();
  std::string path = loaded.path;
  char target[4096];
  const ssize_t length = readlink(path.c_str(), target, sizeof target);
  if (path == "/proc/self/exe" && length > 0) path.assign(target, static_cast<size_t>(length));
  symbol.file = path.substr(path.rfind('/') + 1);
  symbol.offset = symbol.offset_in_file = address - loaded.bias;
  file->find(address - loaded.bias, code, symbol);
  return symbol;
}

std::string SymbolTables::describe_code(uintptr_t pc) {
  const Symbol symbol = function_at(pc);
  char text[32];
  if (symbol.file.empty()) {
    std::snprintf(text, sizeof text, "0x%zx", static_cast<size_t>(pc));
    return text;
  }
  std::snprintf(text, sizeof text, "+0x%zx", static_cast<size_t>(symbol.offset));
  return (symbol.name.empty() ? symbol.file : symbol.name) + text;
}

}  // namespace tricolor::observe
