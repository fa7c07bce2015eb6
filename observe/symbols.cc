#include "observe/symbols.h"

#include <cxxabi.h>
#include <link.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "observe/debug_line.h"
#include "observe/elf_file.h"
#include "runtime/base/check.h"

namespace tricolor::observe {

namespace {

std::string build_id_of(const char* note, size_t size) {
  std::string hex;
  for (size_t at = 0; at + sizeof(ElfW(Nhdr)) <= size;) {
    ElfW(Nhdr) header;
    std::memcpy(&header, note + at, sizeof header);
    const size_t name = at + sizeof header;
    const size_t contents = name + (header.n_namesz + 3) / 4 * 4;
    if (contents + header.n_descsz > size) break;
    if (header.n_type == NT_GNU_BUILD_ID && header.n_namesz == 4) {
      for (size_t i = 0; i < header.n_descsz; ++i) {
        char digits[3];
        runtime::format_to(digits, sizeof digits, "%02x",
                           static_cast<unsigned char>(note[contents + i]));
        hex += digits;
      }
      break;
    }
    at = contents + (header.n_descsz + 3) / 4 * 4;
  }
  return hex;
}

// By the loader, under its lock: nothing may be thrown through it.
int add_module(dl_phdr_info* object, size_t, void* argument) noexcept {
  auto& modules = *static_cast<std::vector<Module>*>(argument);
  try {
    Module module;
    module.path = modules.empty() ? own_path() : object->dlpi_name;
    module.base = object->dlpi_addr;
    for (int i = 0; i < object->dlpi_phnum; ++i) {
      const auto& segment = object->dlpi_phdr[i];
      const uintptr_t lo = object->dlpi_addr + segment.p_vaddr;
      if (segment.p_type == PT_NOTE && module.build_id.empty()) {
        module.build_id = build_id_of(reinterpret_cast<const char*>(lo), segment.p_memsz);
      }
      if (segment.p_type != PT_LOAD || (segment.p_flags & PF_X) == 0) continue;
      constexpr uintptr_t kPage = 4096;
      if (module.hi == 0) {
        module.lo = lo / kPage * kPage;
        module.offset = segment.p_offset / kPage * kPage;
      }
      module.hi = (lo + segment.p_memsz + kPage - 1) / kPage * kPage;
    }
    modules.push_back(std::move(module));
  } catch (const std::bad_alloc&) {
    return 1;
  }
  return 0;
}

// Where distributions keep what they stripped.
std::string debug_path(const Module& module) {
  if (module.build_id.size() < 4) return {};
  return "/usr/lib/debug/.build-id/" + module.build_id.substr(0, 2) + "/" +
         module.build_id.substr(2) + ".debug";
}

}  // namespace

std::string own_path() {
  char path[PATH_MAX];
  const ssize_t length = ::readlink("/proc/self/exe", path, sizeof path);
  return {path, static_cast<size_t>(std::max<ssize_t>(length, 0))};
}

std::string demangled(const char* name) {
  int status = 0;
  const std::unique_ptr<char, void (*)(void*)> text(
      abi::__cxa_demangle(name, nullptr, nullptr, &status), std::free);
  return status == 0 && text != nullptr ? text.get() : name;
}

Symbols::Symbols() { dl_iterate_phdr(add_module, &modules_); }

void Symbols::resolve(std::vector<uintptr_t> addresses) {
  std::sort(addresses.begin(), addresses.end());
  addresses.erase(std::unique(addresses.begin(), addresses.end()), addresses.end());
  for (const uintptr_t address : addresses) places_[address];
  for (size_t i = 0; i < modules_.size(); ++i) {
    std::vector<uintptr_t> inside;
    for (const uintptr_t address : addresses) {
      if (address >= modules_[i].lo && address < modules_[i].hi) inside.push_back(address);
    }
    if (!inside.empty()) resolve_in(static_cast<int>(i), inside);
  }
}

// `addresses`: sorted.
void Symbols::resolve_in(int number, const std::vector<uintptr_t>& addresses) {
  const Module& module = modules_[static_cast<size_t>(number)];
  const ElfFile itself(module.path);
  const ElfFile apart(itself.section(".symtab").empty() ? debug_path(module) : std::string());
  const ElfFile& elf = apart.ok() ? apart : itself;
  const std::vector<ElfFile::Symbol> functions = elf.symbols(ElfFile::Of::kCode);
  // Of the functions' beginnings too.
  std::vector<SourceLine> lines;
  for (const uintptr_t address : addresses) {
    lines.push_back({address - module.base, {}, 0});
    if (const auto* const f = find_symbol(functions, address - module.base))
      lines.push_back({f->address, {}, 0});
  }
  const auto before = [](const SourceLine& a, const SourceLine& b) {
    return a.address < b.address;
  };
  std::sort(lines.begin(), lines.end(), before);
  find_lines(elf, lines);
  const auto line_of = [&](uint64_t address) -> const SourceLine& {
    return *std::lower_bound(lines.begin(), lines.end(), SourceLine{address, {}, 0}, before);
  };
  for (const uintptr_t address : addresses) {
    Place& place = places_[address];
    place.module = number;
    const SourceLine& line = line_of(address - module.base);
    place.file = line.file;
    place.line = line.line;
    const ElfFile::Symbol* const function = find_symbol(functions, address - module.base);
    if (function == nullptr) continue;
    place.system_name = function->name;
    place.function = demangled(function->name);
    // A line of another file is one of something inlined: the function begins in its own.
    const SourceLine& entry = line_of(function->address);
    if (!entry.file.empty() && entry.file != place.file) {
      place.file = entry.file;
      place.line = entry.line;
    }
  }
}

const Place& Symbols::at(uintptr_t address) const {
  static const Place kUnknown;
  const auto found = places_.find(address);
  return found == places_.end() ? kUnknown : found->second;
}

std::string describe_place(const Symbols& symbols, uintptr_t address) {
  const Place& place = symbols.at(address);
  char text[40];
  if (place.function.empty()) {
    runtime::format_to(text, sizeof text, "0x%zx", static_cast<size_t>(address));
    std::string described = text;
    if (place.module >= 0)
      described += " in " + symbols.modules()[static_cast<size_t>(place.module)].path;
    return described;
  }
  std::string described = place.function;
  if (!place.file.empty()) {
    runtime::format_to(text, sizeof text, ":%d", place.line);
    described += " " + place.file + text;
  }
  return described;
}

}  // namespace tricolor::observe
