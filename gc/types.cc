#include "gc/types.h"

#include <link.h>

#include <algorithm>
#include <cstring>
#include <exception>
#include <mutex>

#include "gc/collector.h"
#include "gc/exit_watch.h"
#include "gc/finalizer_thread.h"
#include "runtime/base/check.h"
#include "runtime/base/immortal.h"
#include "runtime/finding.h"
#include "runtime/thread.h"

namespace tricolor::gc {

using detail::TypeInfo;

namespace {

constinit runtime::Immortal<Types> g_the_types;

constexpr int64_t kUnloadWaitNs = 1'000'000'000;

struct Search {
  uintptr_t address;
  bool first = true;  // the program itself comes first
  bool found = false;
  bool in_program = false;
  uintptr_t lo = UINTPTR_MAX;  // of all its segments
  uintptr_t hi = 0;
};

int look_into(dl_phdr_info* object, size_t, void* argument) noexcept {
  auto& search = *static_cast<Search*>(argument);
  search.lo = UINTPTR_MAX;
  search.hi = 0;
  for (int i = 0; i < object->dlpi_phnum; ++i) {
    const auto& segment = object->dlpi_phdr[i];
    if (segment.p_type != PT_LOAD) continue;
    const uintptr_t lo = object->dlpi_addr + segment.p_vaddr;
    search.lo = std::min(search.lo, lo);
    search.hi = std::max(search.hi, lo + segment.p_memsz);
    search.found = search.found || search.address - lo < segment.p_memsz;
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

bool Types::check(const TypeInfo* type) noexcept {
  // Not in a runtime section: whoever holds the loader's lock may be stopped.
  const Search of_type = search_objects(type);
  {
    const runtime::RuntimeScope scope(*runtime::Thread::current());
    const std::lock_guard guard(lock_);
    bool gone = false;
    for (const Range& range : gone_) gone = gone || range.contains(type);
    if (!gone) {
      const size_t first = place(type);
      const bool taken = checked_[first].load(std::memory_order_relaxed) != nullptr;
      checked_[taken ? first ^ 1 : first].store(type, std::memory_order_relaxed);
      if (of_type.in_program && only_returns(type->destroy)) {
        nothing_[place(type)].store(type, std::memory_order_relaxed);
      }
      return true;
    }
  }
  if (reported_.exchange(type, std::memory_order_relaxed) != type) {
    runtime::report_found(
        "unloaded type", {},
        "an object has died whose type (at %p) lay in a shared library that was unloaded: its "
        "destructor does not run. Before dlclose(), drop such objects",
        static_cast<const void*>(type));
  }
  return false;
}

bool Types::is_gone(const void* type) noexcept {
  if (unloaded_.load(std::memory_order_acquire) == 0) return false;
  const runtime::RuntimeScope scope(*runtime::Thread::current());
  const std::lock_guard guard(lock_);
  return std::any_of(gone_.begin(), gone_.end(),
                     [type](const Range& range) { return range.contains(type); });
}

void Types::forget_locked(Range range) noexcept {
  for (auto& type : checked_) {
    if (range.contains(type.load(std::memory_order_relaxed))) {
      type.store(nullptr, std::memory_order_relaxed);
    }
  }
}

void Types::loaded(const void* inside) {
  if (unloaded_.load(std::memory_order_acquire) == 0) return;
  const Search library = search_objects(inside);
  const runtime::RuntimeScope scope(runtime::Thread::attached());
  const std::lock_guard guard(lock_);
  for (Range& range : gone_) {
    if (range.lo < library.hi && library.lo < range.hi) range = {};
  }
}

void Types::unloads(const void* inside) noexcept {
  const Search library = search_objects(inside);
  if (!library.found) return;
  const runtime::RuntimeScope scope(runtime::Thread::attached());
  const std::lock_guard guard(lock_);
  gone_[unloaded_.fetch_add(1, std::memory_order_release) % kGone] = {library.lo, library.hi};
  forget_locked({library.lo, library.hi});
}

namespace detail {

void module_loaded(const void* inside) noexcept {
  try {
    g_types.loaded(inside);
  } catch (const std::exception&) {
    // The thread cannot attach, so it makes no object.
  }
}

// [types.unload] At exit nothing is unloaded.
void module_unloads(const void* inside) noexcept {
  FinalizerThread& finalizers = finalizer_thread();
  if (finalizers.is_stopping() || is_in_exit()) return;
  try {
    runtime::Thread::attached();
  } catch (const std::exception&) {
    return;  // it can have made no object
  }
  if (!finalizers.on_this_thread() && !g_collector.on_this_thread()) {
    g_collector.collect();
    finalizers.wait_until_idle(kUnloadWaitNs);
  }
  g_types.unloads(inside);
  finalizers.wait_for_turn(kUnloadWaitNs);
}

}  // namespace detail
}  // namespace tricolor::gc
