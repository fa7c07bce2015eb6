// The marking loop of Marker: where a collection spends its time.
//
// What matters, measured on graphs of 8 and 34 million objects: the test of the mark bit must stay
// a branch (every second edge of a real graph finds its target marked, and the processor runs on
// into the next edge); the stack pointer must advance under control dependence only (computing it
// from comparisons makes every later pop wait for the object's line); mark ring 16, object ring 32
// deep; one bit per object in a dense table.

#include <array>

#include "gc/boxed.h"
#include "gc/marker.h"

#include <tricolor/detail/size_class.hpp>

namespace tricolor::gc {

using runtime::g_heap;

namespace {

using detail::kClassCount;
using detail::kLargeClass;
using detail::kPageShift;

constexpr uint32_t kMarkRing = 16;
constexpr uint32_t kObjectRing = 32;
constexpr uint64_t kNear =
    256;  // bytes either way of the object last scanned that count as "beside"
constexpr uint64_t kAhead =
    1024;  // how far a run in allocation order prefetches in front of itself
constexpr uint32_t kRunScore =
    2200;  // of 4096: the share of recent edges that must be near for the bypass
constexpr uint32_t kLineWords = 8;
constexpr uint32_t kPrefetchWords = 128;  // of an object, before it is scanned
constexpr uint32_t kShareEvery = 64;      // objects between looks at whether others want work
constexpr uint64_t kShareAbove = 64;      // edges

// A class and the leaf bit, as page_info has them.
struct ClassInfo {
  uint64_t magic;
  uint32_t size;
  uint32_t count;  // cells per span; 0: no small object here
  uint32_t words;  // to scan
};

constexpr std::array<ClassInfo, 256> make_class_infos() {
  std::array<ClassInfo, 256> infos{};
  for (unsigned cls = 1; cls < kClassCount; ++cls) {
    const detail::SizeClass& c = detail::kSizeClasses[cls];
    infos[cls] = {c.magic, c.size, c.cells, c.size / 8};
    infos[cls | 0x80] = {c.magic, c.size, c.cells, 0};
  }
  return infos;
}

constexpr std::array<ClassInfo, 256> kClassInfos = make_class_infos();

struct View {
  const char* base;
  uint64_t limit;
  const uint16_t* page_info;
  uint64_t* marks;
  bool boxed;  // [boxed.announced]
};

struct Object {
  uint64_t offset;
  uint64_t mark;  // bit number in the whole table
  uint32_t words;
  uint32_t index;
  uint32_t size;
  uint32_t cells;  // of its span
};

enum class Found { kSmall, kLarge, kNothing };

constexpr unsigned kMarkBitsShift = 9;  // mark bits per page

__attribute__((always_inline)) inline Found resolve(const View& v, uint64_t offset,
                                                    Object& o) noexcept {
  const uint64_t page = offset >> kPageShift;
  const uint32_t info = __atomic_load_n(v.page_info + page, __ATOMIC_RELAXED);
  const uint64_t first = page - (info >> 8);
  const ClassInfo& cls = kClassInfos[info & 0xff];
  const uint64_t index = ((offset - (first << kPageShift)) * cls.magic) >> detail::kMagicShift;
  if (__builtin_expect(index >= cls.count, 0)) {
    return (info & 0x7f) == kLargeClass ? Found::kLarge : Found::kNothing;
  }
  o.offset = (first << kPageShift) + index * cls.size;
  o.mark = (first << kMarkBitsShift) + index;
  o.words = cls.words;
  o.index = static_cast<uint32_t>(index);
  o.size = cls.size;
  o.cells = cls.count;
  return Found::kSmall;
}

// [marker.once] Relaxed: the bit publishes nothing here; the object's words are racy data anyway.
__attribute__((always_inline)) inline bool try_mark(const View& v, uint64_t mark) noexcept {
  uint64_t* const word = v.marks + (mark >> 6);
  const uint64_t bit = uint64_t{1} << (mark & 63);
  if ((__atomic_load_n(word, __ATOMIC_RELAXED) & bit) != 0) return false;
  __atomic_fetch_or(word, bit, __ATOMIC_RELAXED);
  return true;
}

// Fetches an object that is to be scanned: all of a small one, of a larger one its beginning and
// what the scan begins with, as it goes from the last word to the first. Left to the processor's
// own foresight a graph of 1 KiB objects takes half as long again.
__attribute__((always_inline)) inline void prefetch(const char* object, uint32_t words) noexcept {
  __builtin_prefetch(object, 0, 3);
  if (__builtin_expect(words <= kLineWords, 1)) return;
  const uint32_t first = words > kPrefetchWords ? words - kPrefetchWords : kLineWords;
  for (uint32_t i = first; i < words; i += kLineWords) __builtin_prefetch(object + i * 8, 0, 3);
}

// From the last word to the first, so that the first word's edge is popped first: for nodes
// allocated in preorder that is the neighbour.
__attribute__((always_inline, no_sanitize("address", "thread", "undefined"))) inline uint64_t* scan(
    const View& v, uint64_t offset, uint32_t words, uint64_t* sp) noexcept {
  const auto* const p = reinterpret_cast<const volatile uint64_t*>(v.base + offset);
  const auto base = reinterpret_cast<uint64_t>(v.base);
  if (__builtin_expect(v.boxed, 0)) {
    for (uint32_t i = words; i-- > 0;) {
      const uint64_t edge = referred_address(p[i], true) - base;
      if (edge < v.limit) *sp++ = edge;
    }
    return sp;
  }
  for (uint32_t i = words; i-- > 0;) {
    const uint64_t edge = p[i] - base;
    if (edge < v.limit) *sp++ = edge;
  }
  return sp;
}

}  // namespace

__attribute__((no_sanitize("address", "thread", "undefined"))) void Marker::run(
    int64_t work) noexcept {
  const View v{g_heap.base(), g_heap.limit(), g_heap.page_info(), g_heap.mark_words(0),
               boxed_words_in_use()};
  uint64_t* const lo = stack_->edges;
  uint64_t* const spill_at = lo + MarkStack::kSpillAt;
  uint64_t* sp = lo + stack_->size;
  Object marks[kMarkRing];
  struct Ready {
    uint64_t offset;
    uint32_t words;
  } ready[kObjectRing];
  uint32_t mark_head = 0;
  uint32_t mark_count = 0;
  uint32_t ready_head = 0;
  uint32_t ready_count = 0;

  uint64_t last = ~uint64_t{0} >> 1;  // the object scanned last; far from everything at first
  uint32_t score = 0;                 // share of near edges among about the last 32, 0 to 4096
  Object next{};                      // the cell behind that of the last bypass, if next_size != 0
  uint64_t next_size = 0;
  int64_t words_left = work / 8 + 1;
  uint32_t until_share = kShareEvery;
  MarkCounts counts;

  for (;;) {
    Ready r;
    if (__builtin_expect(sp != lo && words_left > 0, 1)) {
      const uint64_t offset = *--sp;
      uint32_t near = (offset - last + kNear) < 2 * kNear ? 1 : 0;
      asm("" : "+r"(near));  // keep it arithmetic: a branch here is mispredicted on mixed graphs
      score = score - (score >> 5) + (near << 7);
      Object o;
      if (score > kRunScore && near != 0) {
        // A run in allocation order. The guess that this is the next cell of the same span replaces
        // a chain of two loads and two multiplications by a predicted branch.
        if (__builtin_expect(offset - next.offset < next_size, 1)) {
          o = next;
        } else {
          const Found found = resolve(v, offset, o);
          if (__builtin_expect(found != Found::kSmall, 0)) {
            if (found == Found::kLarge) add_large(offset);
            continue;
          }
        }
        next = o;
        next.offset += o.size;
        next.mark += 1;
        next.index += 1;
        next_size = next.index < o.cells ? o.size : 0;
        if (!try_mark(v, o.mark)) continue;
        ++counts.objects;
        counts.marked_bytes += o.size;
        last = o.offset;
        if (__builtin_expect(o.words == 0, 0)) continue;
        __builtin_prefetch(v.base + o.offset + kAhead, 0, 3);
        r = {o.offset, o.words};
      } else {
        const Found found = resolve(v, offset, o);
        if (__builtin_expect(found != Found::kSmall, 0)) {
          if (found == Found::kLarge) add_large(offset);
          continue;
        }
        __builtin_prefetch(v.marks + (o.mark >> 6), 1, 3);
        marks[(mark_head + mark_count) & (kMarkRing - 1)] = o;
        if (++mark_count < kMarkRing) continue;
        goto pop_mark;
      }
    } else if (mark_count != 0) {
    pop_mark:
      const Object m = marks[mark_head++ & (kMarkRing - 1)];
      --mark_count;
      if (!try_mark(v, m.mark)) continue;
      ++counts.objects;
      counts.marked_bytes += m.size;
      if (m.words == 0) continue;  // a leaf's line is never fetched
      prefetch(v.base + m.offset, m.words);
      ready[(ready_head + ready_count) & (kObjectRing - 1)] = {m.offset, m.words};
      if (++ready_count < kObjectRing) continue;
      r = ready[ready_head++ & (kObjectRing - 1)];
      --ready_count;
      last = r.offset;
    } else {
      if (ready_count == 0) break;  // [marker.active] the rings are empty
      r = ready[ready_head++ & (kObjectRing - 1)];
      --ready_count;
      last = r.offset;
    }
    sp = scan(v, r.offset, r.words, sp);
    words_left -= r.words;
    counts.scan_work += int64_t{8} * r.words;
    const bool full = sp >= spill_at;
    if (__builtin_expect(full || --until_share == 0, 0)) {
      until_share = kShareEvery;
      const auto size = static_cast<uint64_t>(sp - lo);
      if (full || (size > kShareAbove && g_worklist.is_hungry())) {
        stack_->size = size;
        spill(size / 2);
        sp = lo + stack_->size;
      }
    }
  }
  stack_->size = static_cast<uint64_t>(sp - lo);
  counts_.scan_work += counts.scan_work;
  counts_.marked_bytes += counts.marked_bytes;
  counts_.marked_scan_bytes += counts.scan_work;
  counts_.objects += counts.objects;
}

}  // namespace tricolor::gc
