#include "gc/types.h"

#include <link.h>

#include <cstddef>
#include <cstring>

#include "runtime/base/check.h"
#include "runtime/base/immortal.h"
#include "runtime/os/os.h"

namespace tricolor::gc {

using detail::TypeInfo;

namespace {

constinit runtime::Immortal<Types> g_the_types;

struct Search {
  uintptr_t address;
  bool first = true;  // the program itself comes first
  bool found = false;
  bool in_program = false;
};

int look_into(dl_phdr_info* object, size_t, void* argument) noexcept {
  auto& search = *static_cast<Search*>(argument);
  for (int i = 0; i < object->dlpi_phnum && !search.found; ++i) {
    const auto& segment = object->dlpi_phdr[i];
    if (segment.p_type != PT_LOAD) continue;
    search.found = search.address - (object->dlpi_addr + segment.p_vaddr) < segment.p_memsz;
  }
  search.in_program = search.found && search.first;
  search.first = false;
  return search.found ? 1 : 0;
}

Search search_objects(const void* address) noexcept {
  Search search{reinterpret_cast<uintptr_t>(address)};
  dl_iterate_phdr(look_into, &search);
  return search;
}

int read_unloads(dl_phdr_info* object, size_t size, void* argument) noexcept {
  if (size >= offsetof(dl_phdr_info, dlpi_subs) + sizeof(object->dlpi_subs)) {
    *static_cast<uint64_t*>(argument) = object->dlpi_subs;
  }
  return 1;
}

// What lies in no loaded object may be code that the program has made itself.
bool is_there(const void* address, bool in_object) noexcept {
  return in_object ||
         runtime::os::is_readable(reinterpret_cast<uintptr_t>(address) & ~uintptr_t{7});
}

// Whether the function is a mere return. Whoever instruments or patches it puts something else at
// its beginning, and then it is called.
bool only_returns(void (*function)(void*, size_t)) noexcept {
  unsigned char code[8];
  std::memcpy(code, reinterpret_cast<const void*>(function), sizeof(code));
#if defined(__x86_64__)
  constexpr unsigned char kLandingPad[] = {0xf3, 0x0f, 0x1e, 0xfa};  // endbr64
  const bool padded = std::memcmp(code, kLandingPad, sizeof(kLandingPad)) == 0;
  return code[padded ? sizeof(kLandingPad) : 0] == 0xc3;
#elif defined(__aarch64__)
  uint32_t words[2];
  std::memcpy(words, code, sizeof(words));
  constexpr uint32_t kLandingPad = 0xd503245f;  // bti c
  return words[words[0] == kLandingPad ? 1 : 0] == 0xd65f03c0;
#else
  return false;
#endif
}

}  // namespace

Types& g_types = g_the_types.value;

void Types::look_for_unloads() noexcept {
  uint64_t unloads = 0;
  dl_iterate_phdr(read_unloads, &unloads);
  if (unloads == unloads_.load(std::memory_order_relaxed)) return;
  unloads_.store(unloads, std::memory_order_relaxed);
  for (auto& type : checked_) type.store(nullptr, std::memory_order_relaxed);
}

bool Types::check(const TypeInfo* type) noexcept {
  const Search of_type = search_objects(type);
  if (!is_there(type, of_type.found) ||
      !is_there(reinterpret_cast<const void*>(type->destroy),
                search_objects(reinterpret_cast<const void*>(type->destroy)).found)) {
    if (reported_.exchange(type, std::memory_order_relaxed) != type) {
      runtime::report(
          "an object has died whose type (at %p) lay in a shared library that was unloaded: its "
          "destructor does not run. Before dlclose(), drop such objects, then call "
          "runtime::collect() and runtime::wait_for_finalizers()",
          static_cast<const void*>(type));
    }
    return false;
  }
  const size_t first = place(type);
  const bool taken = checked_[first].load(std::memory_order_relaxed) != nullptr;
  checked_[taken ? first ^ 1 : first].store(type, std::memory_order_relaxed);
  if (of_type.in_program && only_returns(type->destroy)) {
    nothing_[place(type)].store(type, std::memory_order_relaxed);
  }
  return true;
}

}  // namespace tricolor::gc
