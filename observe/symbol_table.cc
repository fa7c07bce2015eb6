#include "observe/symbol_table.h"

#include <link.h>

#include <utility>
#include <vector>

#include "observe/elf_file.h"
#include "observe/symbols.h"
#include "runtime/base/check.h"

namespace tricolor::observe {

namespace {

struct Loaded {
  uintptr_t address = 0;
  bool found = false;
  uintptr_t bias = 0;
  const char* path = nullptr;  // the loader's; empty: the program's
};

int look_into(dl_phdr_info* object, size_t, void* argument) noexcept {
  auto& loaded = *static_cast<Loaded*>(argument);
  for (int i = 0; i < object->dlpi_phnum; ++i) {
    const auto& segment = object->dlpi_phdr[i];
    if (segment.p_type != PT_LOAD) continue;
    if (loaded.address - (object->dlpi_addr + segment.p_vaddr) >= segment.p_memsz) continue;
    loaded.found = true;
    loaded.bias = object->dlpi_addr;
    loaded.path = object->dlpi_name;
    return 1;
  }
  return 0;
}

}  // namespace

class SymbolTables::File {
 public:
  explicit File(std::string path)
      : path_(std::move(path)),
        elf_(path_),
        code_(elf_.symbols(ElfFile::Of::kCode)),
        data_(elf_.symbols(ElfFile::Of::kData)) {}

  const std::string& path() const noexcept { return path_; }
  const ElfFile::Symbol* find(uintptr_t address, bool code) const noexcept {
    const ElfFile::Symbol* const symbol = find_symbol(code ? code_ : data_, address);
    return symbol != nullptr && (code || symbol->size != 0) ? symbol : nullptr;
  }

 private:
  const std::string path_;
  const ElfFile elf_;
  const std::vector<ElfFile::Symbol> code_;
  const std::vector<ElfFile::Symbol> data_;
};

SymbolTables::SymbolTables() = default;
SymbolTables::~SymbolTables() = default;

Symbol SymbolTables::find(uintptr_t address, bool code) {
  Loaded loaded;
  loaded.address = address;
  dl_iterate_phdr(look_into, &loaded);
  Symbol symbol;
  if (!loaded.found) return symbol;
  std::string path =
      loaded.path == nullptr || loaded.path[0] == '\0' ? own_path() : std::string(loaded.path);
  symbol.file = path.substr(path.rfind('/') + 1);
  symbol.offset = symbol.offset_in_file = address - loaded.bias;
  const File* file = nullptr;
  for (const auto& known : files_) {
    if (known->path() == path) file = known.get();
  }
  if (file == nullptr) file = files_.emplace_back(std::make_unique<File>(std::move(path))).get();
  if (const auto* const found = file->find(symbol.offset_in_file, code)) {
    symbol.name = demangled(found->name);
    symbol.offset = symbol.offset_in_file - found->address;
  }
  return symbol;
}

std::string Symbol::with_offset() const {
  std::string text = name.empty() ? file : name;
  if (text.empty() || offset == 0) return text;
  char digits[32];
  runtime::format_to(digits, sizeof digits, "+0x%zx", static_cast<size_t>(offset));
  return text + digits;
}

std::string SymbolTables::describe_code(uintptr_t pc) {
  const Symbol symbol = function_at(pc);
  char text[32];
  if (symbol.file.empty()) {
    runtime::format_to(text, sizeof text, "0x%zx", static_cast<size_t>(pc));
    return text;
  }
  runtime::format_to(text, sizeof text, "+0x%zx", static_cast<size_t>(symbol.offset));
  return (symbol.name.empty() ? symbol.file : symbol.name) + text;
}

}  // namespace tricolor::observe
