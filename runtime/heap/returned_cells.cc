// The part of Spans that returns memory between cells in use to the system.
//
// One object that lives on keeps a span of 64 to 128 KiB. [span.returned] Whatever else lies on it
// can go page by page: free cells hold nothing, their bits lie elsewhere, and `make` clears a cell
// as it takes it.

#include <algorithm>
#include <bit>
#include <iterator>
#include <mutex>

#include "runtime/base/bits.h"
#include "runtime/heap/spans.h"
#include "runtime/os/os.h"

namespace tricolor::runtime {
namespace {

constexpr unsigned kPartShift = 12;
constexpr size_t kPartSize = size_t{1} << kPartShift;
constexpr unsigned kPartsPerPage = kPageSize / kPartSize;
static_assert(std::all_of(std::begin(gc::detail::kSizeClasses), std::end(gc::detail::kSizeClasses),
                          [](const gc::detail::SizeClass& c) {
                            return c.pages * kPartsPerPage <= 32;
                          }),
              "Span::returned has 32 bits");

// The parts that bytes [from, to) of a span lie on.
uint32_t parts(size_t from, size_t to) noexcept {
  const auto first = static_cast<unsigned>(from >> kPartShift);
  const auto last = static_cast<unsigned>((to - 1) >> kPartShift);
  return static_cast<uint32_t>(bit_range(first, last - first + 1));
}

uint32_t parts_in_use_locked(const Span& span) noexcept {
  const uint64_t* const alloc = g_heap.alloc_words(span);
  uint32_t used = 0;
  for (uint32_t w = 0; w < span.words(); ++w) {
    uint64_t cells = __atomic_load_n(alloc + w, __ATOMIC_RELAXED) & ~span.tail_mask(w);
    for (; cells != 0; cells &= cells - 1) {
      const size_t from = (w * 64 + lowest_bit(cells)) * span.cell_size;
      used |= parts(from, from + span.cell_size);
    }
  }
  return used;
}

// Calls act(first, count) for runs of parts that hold no cell in use and are not returned, cut to
// whole pages of the system.
template <class Act>
void for_each_unused_locked(const Span& span, Act act) noexcept {
  if (span.is_large()) return;
  const uint32_t all = parts(0, size_t{span.pages} << kPageShift);
  if ((all & ~span.returned) == 0) return;
  const size_t unit = os::page_size();
  const size_t base = size_t{span.first_page} << kPageShift;
  for (uint32_t rest = all & ~span.returned & ~parts_in_use_locked(span); rest != 0;) {
    const auto first = static_cast<unsigned>(std::countr_zero(rest));
    const auto count = static_cast<unsigned>(std::countr_one(rest >> first));
    rest &= ~static_cast<uint32_t>(bit_range(first, count));
    const size_t from = align_up(base + first * kPartSize, unit);
    const size_t to = align_down(base + (first + count) * kPartSize, unit);
    if (from < to) {
      act(static_cast<unsigned>((from - base) >> kPartShift),
          static_cast<unsigned>((to - from) >> kPartShift));
    }
  }
}

}  // namespace

size_t Spans::unused_bytes(uint32_t& page, unsigned most) noexcept {
  size_t bytes = 0;
  const auto count = [&](Span& span) noexcept {
    for_each_unused_locked(span, [&](unsigned, unsigned parts) { bytes += parts * kPartSize; });
  };
  while (most-- > 0 && next(page, count) != nullptr) continue;
  return bytes;
}

size_t Spans::return_unused(uint32_t& page, unsigned most) noexcept {
  size_t bytes = 0;
  const auto give = [&](Span& span) noexcept {
    for_each_unused_locked(span, [&](unsigned first, unsigned parts) {
      char* const from = g_heap.page_address(span.first_page) + first * kPartSize;
      if (!os::release(from, parts * kPartSize)) return;
      span.returned |= static_cast<uint32_t>(bit_range(first, parts));
      returned_bytes_.fetch_add(parts * kPartSize, std::memory_order_relaxed);
      bytes += parts * kPartSize;
    });
  };
  while (most-- > 0 && next(page, give) != nullptr) continue;
  return bytes;
}

void Spans::note_resident(Span& span, uint32_t w, uint64_t cells) noexcept {
  const size_t from = (w * 64 + lowest_bit(cells)) * span.cell_size;
  const size_t to = (w * 64 + highest_bit(cells) + 1) * span.cell_size;
  const uint32_t back = span.returned & parts(from, to);
  span.returned &= ~back;
  returned_bytes_.fetch_sub(popcount(back) * kPartSize, std::memory_order_relaxed);
}

// The pages of a span that is no more, `returned` of its parts. Those that went whole read as zero.
void Spans::free_pages(PageRun run, uint32_t returned) noexcept {
  returned_bytes_.fetch_sub(popcount(returned) * kPartSize, std::memory_order_relaxed);
  constexpr uint32_t kWhole = (uint32_t{1} << kPartsPerPage) - 1;
  const auto is_clean = [&](uint32_t page) {
    return returned != 0 && (returned >> page * kPartsPerPage & kWhole) == kWhole;
  };
  for (uint32_t page = 0; page < run.count;) {
    const bool clean = is_clean(page);
    uint32_t count = returned == 0 ? run.count : 1;
    while (page + count < run.count && is_clean(page + count) == clean) ++count;
    pages_.free(PageRun{run.first + page, count, 0, clean});
    page += count;
  }
}

}  // namespace tricolor::runtime
