#include "traced/globals.h"

#include <link.h>

#include <algorithm>
#include <mutex>

#include "runtime/arch/cpu.h"
#include "runtime/base/check.h"
#include "runtime/os/os.h"
#include "traced/chunks.h"
#include "traced/open.h"

#include <tricolor/traced.hpp>

// Absent from a program without a loader, whose modules never change.
extern r_debug _r_debug __attribute__((weak));

namespace tricolor::traced {

namespace os = runtime::os;

constinit Globals g_globals;

// A walk over a list whose links are single words, changed by threads that stand.
uint64_t Globals::signature() noexcept {
  uint64_t hash = 1;
  if (&_r_debug == nullptr) return hash;
  for (const link_map* map = _r_debug.r_map; map != nullptr; map = map->l_next) {
    hash = (hash ^ reinterpret_cast<uintptr_t>(map) ^ map->l_addr) * 0x9e3779b97f4a7c15u;
  }
  return hash;
}

void Globals::add_segment(const char* lo, const char* hi) noexcept {
  // The table of regions holds no reference, and most of it no memory.
  const auto* const skip = reinterpret_cast<const char*>(g_regions);
  const char* const skip_end = skip + sizeof(g_regions);
  if (lo < skip_end && skip < hi) {
    if (lo < skip) add_segment(lo, skip);
    if (skip_end < hi) add_segment(skip_end, hi);
    return;
  }
  if (segment_count_ == kMost) return;
  segments_[segment_count_++] = {lo, hi};
}

int Globals::note(dl_phdr_info* info, size_t, void* globals) noexcept {
  auto& self = *static_cast<Globals*>(globals);
  for (int i = 0; i < info->dlpi_phnum; ++i) {
    const ElfW(Phdr)& header = info->dlpi_phdr[i];
    if (header.p_type == PT_LOAD && (header.p_flags & PF_W) != 0) {
      // NOLINTNEXTLINE(performance-no-int-to-ptr)
      const auto* const lo = reinterpret_cast<const char*>(info->dlpi_addr + header.p_vaddr);
      self.add_segment(lo, lo + header.p_memsz);
    } else if (header.p_type == PT_TLS && info->dlpi_tls_modid != 0 && self.module_count_ < kMost) {
      self.modules_[self.module_count_++] = {info->dlpi_tls_modid, header.p_memsz};
    }
  }
  return 0;
}

void Globals::refresh() noexcept {
  const std::lock_guard guard(lock_);
  refresh_locked();
}

// The lists' memory is taken now: a cycle may be what finds out that there is none left.
void Globals::want(bool wanted) noexcept {
  const std::lock_guard guard(lock_);
  if (wanted && segments_ == nullptr) {
    segments_ = static_cast<Segment*>(os::map(kMost * sizeof(Segment)));
    modules_ = static_cast<Module*>(os::map(kMost * sizeof(Module)));
    if (segments_ == nullptr || modules_ == nullptr)
      runtime::fatal("no memory for the list of globals that are roots");
  }
  wanted_.store(wanted, std::memory_order_relaxed);
}

void Globals::refresh_locked() noexcept {
  // Before the list is read: what changes meanwhile is noticed in the stop.
  signature_ = signature();
  segment_count_ = 0;
  module_count_ = 0;
  dl_iterate_phdr(note, this);
}

bool Globals::is_fresh() const noexcept { return signature_ == signature(); }

bool Globals::contains_locked(const void* address) const noexcept {
  bool found = false;
  const auto look = [&](const char* lo, const char* hi) { found |= address >= lo && address < hi; };
  for_each_segment(look);
  for_each_thread_block(*runtime::Thread::current(), look);
  return found;
}

bool Globals::contains(const void* address) noexcept {
  const std::lock_guard guard(lock_);
  if (contains_locked(address)) return true;
  refresh_locked();  // it may have been loaded since
  return contains_locked(address);
}

// Through the C library's table of a thread's blocks (dtv): in front of it the number of its
// entries, then an entry of two words a module, -1 in the first where the thread has not used the
// module yet.
const char* Globals::block_of(const runtime::Thread& thread, const Module& module) noexcept {
  constexpr ptrdiff_t kNear = ptrdiff_t{1} << 20;
  const ptrdiff_t offset =
      reinterpret_cast<char*>(&gc::detail::tls) - runtime::arch::thread_pointer();
  const char* const pointer = reinterpret_cast<const char*>(thread.local) - offset;
  const auto* const table =
      reinterpret_cast<const uintptr_t* const*>(pointer)[runtime::arch::kThreadTableWord];
  if (table == nullptr || module.id > table[-2]) return nullptr;
  const uintptr_t block = table[2 * module.id];
  if (block == 0 || block == UINTPTR_MAX || block % sizeof(void*) != 0) return nullptr;
  // NOLINTNEXTLINE(performance-no-int-to-ptr)
  const auto* const start = reinterpret_cast<const char*>(block);
  // Beside the thread pointer it is there as long as the thread. One elsewhere may have been given
  // back half: the thread may stand in the loader.
  const ptrdiff_t distance = start - pointer;
  if (distance > -kNear && distance < kNear) return start;
  const uintptr_t page = os::page_size();
  for (uintptr_t at = block; at < block + module.bytes; at = (at / page + 1) * page) {
    if (!os::is_readable(at)) return nullptr;
  }
  return start;
}

}  // namespace tricolor::traced

namespace tricolor::runtime {

void scan_globals(bool wanted) noexcept {
  traced::g_globals.want(wanted);
  if (wanted) traced::open_process();
}

}  // namespace tricolor::runtime
