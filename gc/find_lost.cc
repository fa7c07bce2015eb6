#include "gc/find_lost.h"

#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include "gc/open_roots.h"
#include "gc/thread_data.h"
#include "gc/told.h"
#include "gc/workers.h"
#include "runtime/base/check.h"
#include "runtime/base/no_cancellation.h"
#include "runtime/finding.h"
#include "runtime/heap/allocation_watch.h"
#include "runtime/heap/spans.h"
#include "runtime/os/os.h"
#include "runtime/thread.h"

#include <tricolor/detail/layout.hpp>

namespace tricolor::gc {

using runtime::Cell;
using runtime::g_heap;
namespace os = runtime::os;

namespace {

constexpr size_t kMapsBytes = size_t{1} << 20;
constexpr size_t kChunkWords = 8192;
constexpr int kMostReports = 20;
// A larger mapping is address space that somebody has set aside: a sanitizer's shadow, for one.
constexpr uintptr_t kMostMappingBytes = uintptr_t{64} << 30;

constinit Told g_told;

struct Mapping {
  uintptr_t lo;
  uintptr_t hi;
  std::string_view name;
};

// Stacks of attached threads were scanned; the library's own memory holds addresses of the dead by
// right.
bool is_searched(const Mapping& mapping) noexcept {
  const auto inside = [&mapping](const void* address) {
    const auto value = reinterpret_cast<uintptr_t>(address);
    return value >= mapping.lo && value < mapping.hi;
  };
  if (mapping.hi - mapping.lo > kMostMappingBytes) return false;
  if (inside(g_heap.base()) || g_heap.is_own_memory(mapping.lo)) return false;
  if (g_workers.has_stack_in(mapping.lo, mapping.hi)) return false;
  for (const runtime::Thread* t = runtime::g_threads.first(); t != nullptr; t = t->next) {
    if (mapping.lo < reinterpret_cast<uintptr_t>(t->stack_hi) &&
        mapping.hi > reinterpret_cast<uintptr_t>(t->stack_lo)) {
      return false;
    }
  }
  return true;
}

// The library's own words: where the heap begins, where threads take cells from, and what its
// handler has left on a signal stack.
bool is_runtime_word(uintptr_t place) noexcept {
  // A free cell keeps what was in it; what lies in one in use was found.
  // NOLINTNEXTLINE(performance-no-int-to-ptr)
  const auto* const address = reinterpret_cast<const void*>(place);
  if (OpenRoots* const open = open_roots(); open != nullptr && open->is_traced(address))
    return true;
  const auto within = [place](const void* object, size_t bytes) {
    return place - reinterpret_cast<uintptr_t>(object) < bytes;
  };
  if (within(&g_heap, sizeof(g_heap)) || within(&runtime::g_spans, sizeof(runtime::g_spans))) {
    return true;
  }
  for (const runtime::Thread* t = runtime::g_threads.first(); t != nullptr; t = t->next) {
    if (within(t, sizeof(*t)) || within(t->data, sizeof(*t->data))) return true;
    const char* const signal_lo = t->signal_lo.load(std::memory_order_relaxed);
    if (within(signal_lo,
               static_cast<size_t>(t->signal_hi.load(std::memory_order_relaxed) - signal_lo))) {
      return true;
    }
  }
  return false;
}

// Which pages have contents of their own: reading one of the others would only give it some.
class Pagemap {
 public:
  Pagemap() noexcept
      : file_(open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC)), page_size_(os::page_size()) {}
  ~Pagemap() {
    if (file_ >= 0) close(file_);
  }
  Pagemap(const Pagemap&) = delete;
  Pagemap& operator=(const Pagemap&) = delete;

  // Whether any page of [lo, hi) has; true where the system does not tell.
  bool has_contents(uintptr_t lo, uintptr_t hi) noexcept {
    for (uintptr_t page = lo / page_size_; page < (hi + page_size_ - 1) / page_size_; ++page) {
      if (page - first_ >= known_ && !read_from(page)) return true;
      if ((entries_[page - first_] >> 62) != 0) return true;  // present, or swapped out
    }
    return false;
  }

 private:
  bool read_from(uintptr_t page) noexcept {
    known_ = 0;
    if (file_ < 0) return false;
    const ssize_t got = pread(file_, entries_.data(), sizeof(entries_),
                              static_cast<off_t>(page * sizeof(uint64_t)));
    if (got < static_cast<ssize_t>(sizeof(uint64_t))) return false;
    first_ = page;
    known_ = static_cast<size_t>(got) / sizeof(uint64_t);
    return true;
  }

  int file_;
  size_t page_size_;
  uintptr_t first_ = 0;  // page number of entries_[0]
  size_t known_ = 0;
  std::array<uint64_t, 1024> entries_;
};

// "the Job" where types are recorded.
void report_lost(Cell cell, uintptr_t place, const Mapping& mapping) noexcept {
  const void* const object = g_heap.cell_address(cell);
  const detail::TypeInfo* const type = runtime::g_allocation_watch->noted_type(object);
  const std::string_view name = type == nullptr ? "object" : type->name;
  runtime::report_found(
      // NOLINTNEXTLINE(performance-no-int-to-ptr)
      "findlost", {object, reinterpret_cast<const void*>(place)},
      "findlost: the %.*s%s at %p (%zu bytes) is about to be reclaimed, but the word at 0x%zx "
      "(%.*s) points to it: a reference in memory that is not collected is a gc::root",
      static_cast<int>(name.size()), name.data(), type != nullptr && type->array ? "[]" : "",
      object, cell.span->cell_size, static_cast<size_t>(place),
      static_cast<int>(mapping.name.size()), mapping.name.data());
}

void search(const Mapping& mapping, Pagemap& pagemap, uintptr_t* chunk, int& reports) noexcept {
  for (uintptr_t at = mapping.lo; at < mapping.hi && reports < kMostReports;
       at += kChunkWords * sizeof(uintptr_t)) {
    const size_t wanted = std::min(mapping.hi - at, kChunkWords * sizeof(uintptr_t));
    if (!pagemap.has_contents(at, at + wanted)) continue;
    const iovec local{chunk, wanted};
    const iovec remote{reinterpret_cast<void*>(at), wanted};  // NOLINT(performance-no-int-to-ptr)
    const ssize_t got = process_vm_readv(os::pid(), &local, 1, &remote, 1, 0);
    if (got <= 0) continue;
    for (size_t i = 0; i < static_cast<size_t>(got) / sizeof(uintptr_t) && reports < kMostReports;
         ++i) {
      const auto* const target =
          reinterpret_cast<const void*>(chunk[i]);  // NOLINT(performance-no-int-to-ptr)
      const Cell cell = g_heap.find_allocated(target);
      if (!cell || g_heap.is_marked(cell)) continue;
      const uintptr_t place = at + i * sizeof(uintptr_t);
      if (is_runtime_word(place) || !g_told.add(place)) continue;
      ++reports;
      report_lost(cell, place, mapping);
    }
  }
}

size_t read_maps(char* text) noexcept {
  const int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
  if (fd < 0) return 0;
  size_t length = 0;
  for (ssize_t got;
       length < kMapsBytes - 1 && (got = read(fd, text + length, kMapsBytes - 1 - length)) > 0;) {
    length += static_cast<size_t>(got);
  }
  close(fd);
  text[length] = '\0';
  return length;
}

}  // namespace

void find_lost() noexcept {
  const runtime::NoCancellation whole;
  auto* const text = static_cast<char*>(os::map(kMapsBytes));
  auto* const chunk = static_cast<uintptr_t*>(os::map(kChunkWords * sizeof(uintptr_t)));
  if (text == nullptr || chunk == nullptr) {
    runtime::report("findlost: no memory to search with");
    return;
  }
  const size_t length = read_maps(text);
  Pagemap pagemap;
  int reports = 0;
  for (size_t line = 0; line < length;) {
    const size_t end = std::string_view(text + line, length - line).find('\n') + line;
    const std::string_view entry(text + line, std::min(end, length) - line);
    line = std::min(end, length) + 1;
    char* cursor = nullptr;
    Mapping mapping{};
    mapping.lo = std::strtoul(entry.data(), &cursor, 16);
    if (*cursor != '-') continue;
    mapping.hi = std::strtoul(cursor + 1, &cursor, 16);
    const std::string_view access(cursor + 1, 4);
    if (access[0] != 'r' || access[1] != 'w') continue;
    const size_t name = entry.find_first_of("/[");
    mapping.name =
        name == std::string_view::npos ? std::string_view("anonymous memory") : entry.substr(name);
    const uintptr_t own = reinterpret_cast<uintptr_t>(text);
    const uintptr_t own_chunk = reinterpret_cast<uintptr_t>(chunk);
    if ((own >= mapping.lo && own < mapping.hi) ||
        (own_chunk >= mapping.lo && own_chunk < mapping.hi)) {
      // Our buffers may have been merged with a neighbour: search around them.
      const uintptr_t lo = std::min(own, own_chunk);
      const uintptr_t hi = std::max(own + kMapsBytes, own_chunk + kChunkWords * sizeof(uintptr_t));
      if (is_searched(mapping)) {
        search({mapping.lo, std::min(lo, mapping.hi), mapping.name}, pagemap, chunk, reports);
        if (hi < mapping.hi) search({hi, mapping.hi, mapping.name}, pagemap, chunk, reports);
      }
      continue;
    }
    if (is_searched(mapping)) search(mapping, pagemap, chunk, reports);
  }
  os::unmap(text, kMapsBytes);
  os::unmap(chunk, kChunkWords * sizeof(uintptr_t));
}

}  // namespace tricolor::gc
