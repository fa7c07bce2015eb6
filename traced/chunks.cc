#include "traced/chunks.h"

#include <algorithm>
#include <bit>
#include <mutex>
#include <utility>

#include "runtime/base/bits.h"
#include "runtime/os/os.h"
#include "traced/open.h"

namespace tricolor::traced {

namespace os = runtime::os;

constinit Chunks g_chunks;
constinit uint8_t g_regions[kGranules] = {};

namespace {

constexpr size_t kBit = 64;
// Free memory that is kept: so much, or a quarter of what is in use.
constexpr size_t kKeptBlocks = (size_t{32} << 20) / kBlockBytes;

bool test(const std::array<uint64_t, kBlocks / 64>& bits, unsigned i) noexcept {
  return (bits[i / kBit] >> (i % kBit) & 1) != 0;
}
void set(std::array<uint64_t, kBlocks / 64>& bits, unsigned i) noexcept {
  bits[i / kBit] |= uint64_t{1} << (i % kBit);
}
void clear(std::array<uint64_t, kBlocks / 64>& bits, unsigned i) noexcept {
  bits[i / kBit] &= ~(uint64_t{1} << (i % kBit));
}

// The first of `blocks` free blocks in a row, or kBlocks and in `longest` what there is.
unsigned find_run(const Chunk& chunk, unsigned blocks, unsigned& longest) noexcept {
  unsigned length = 0;
  longest = 0;
  for (unsigned i = kHeaderBlocks; i < kBlocks; ++i) {
    if (!test(chunk.free_blocks, i)) {
      length = 0;
      continue;
    }
    if (++length == blocks) return i + 1 - blocks;
    longest = std::max(longest, length);
  }
  return kBlocks;
}

}  // namespace

void Chunks::set_region(const void* address, Region region) noexcept {
  __atomic_store_n(&g_regions[reinterpret_cast<uintptr_t>(address) >> kChunkShift],
                   static_cast<uint8_t>(region), __ATOMIC_RELAXED);
}

Chunk* Chunks::add_chunk_locked() noexcept {
  const size_t number = count_.load(std::memory_order_relaxed);
  if (list_ == nullptr) {
    list_ = static_cast<Chunk**>(os::reserve(kMostChunks * sizeof(Chunk*)));
    longest_run_ = static_cast<uint8_t*>(os::reserve(kMostChunks));
    if (list_ == nullptr || longest_run_ == nullptr) return nullptr;
  }
  const size_t page = os::page_size();
  if (number == kMostChunks) return nullptr;
  // A page of each table at a time.
  if (number % (page / sizeof(Chunk*)) == 0 && !os::commit(list_ + number, page)) return nullptr;
  if (number % page == 0 && !os::commit(longest_run_ + number, page)) return nullptr;
  auto* const chunk = static_cast<Chunk*>(os::reserve_aligned(kChunkBytes, kChunkBytes));
  if (chunk == nullptr) return nullptr;
  if (!os::commit(chunk, kChunkBytes)) {
    os::unmap(chunk, kChunkBytes);
    return nullptr;
  }
  chunk->number = static_cast<uint32_t>(number);
  for (unsigned i = 0; i < kHeaderBlocks; ++i) chunk->blocks[i].kind = kHeaderBlock;
  for (unsigned i = kHeaderBlocks; i < kBlocks; ++i) set(chunk->free_blocks, i);
  longest_run_[number] = kBlocks - kHeaderBlocks;
  list_[number] = chunk;
  set_region(chunk, Region::kChunk);
  count_.store(number + 1, std::memory_order_release);
  mapped_.fetch_add(kChunkBytes, std::memory_order_relaxed);
  open_process();
  return chunk;
}

Span* Chunks::take_run_locked(unsigned blocks, uint8_t kind) noexcept {
  const size_t count = count_.load(std::memory_order_relaxed);
  Chunk* chunk = nullptr;
  unsigned first = kBlocks;
  for (size_t i = 0; i < count && chunk == nullptr; ++i) {
    const size_t number =
        first_with_room_ + i < count ? first_with_room_ + i : first_with_room_ + i - count;
    if (longest_run_[number] < blocks) continue;
    unsigned longest;
    first = find_run(*list_[number], blocks, longest);
    if (first == kBlocks) {
      longest_run_[number] = static_cast<uint8_t>(longest);
    } else {
      chunk = list_[number];
      first_with_room_ = number;
    }
  }
  if (chunk == nullptr) {
    chunk = add_chunk_locked();
    if (chunk == nullptr) return nullptr;
    first = kHeaderBlocks;
    first_with_room_ = chunk->number;
  }
  for (unsigned i = first; i < first + blocks; ++i) {
    clear(chunk->free_blocks, i);
    if (test(chunk->resident_blocks, i)) --resident_free_;
    clear(chunk->resident_blocks, i);
    chunk->set_info(i, {kind, static_cast<uint8_t>(i - first)});
  }
  in_use_.fetch_add(blocks * kBlockBytes, std::memory_order_relaxed);
  Span& span = chunk->spans[first];
  span.free = nullptr;
  span.fresh = 0;
  span.blocks = static_cast<uint8_t>(blocks);
  __atomic_store_n(&span.start, chunk->block_address(first), __ATOMIC_RELAXED);
  return &span;
}

void Chunks::give_run_locked(Chunk& chunk, Span& span) noexcept {
  const unsigned first = chunk.number_of(span);
  const unsigned end = first + span.blocks;
  for (unsigned i = first; i < end; ++i) {
    chunk.set_info(i, {kFreeBlock, 0});
    set(chunk.free_blocks, i);
    set(chunk.resident_blocks, i);
  }
  resident_free_ += span.blocks;
  // A bound: what lies beside it may be free as well.
  longest_run_[chunk.number] = kBlocks - kHeaderBlocks;
  first_with_room_ = std::min<size_t>(first_with_room_, chunk.number);
  in_use_.fetch_sub(span.blocks * kBlockBytes, std::memory_order_relaxed);
  if (resident_free_ >
      std::max(kKeptBlocks, in_use_.load(std::memory_order_relaxed) / kBlockBytes / 4))
    release_free_locked();
}

void Chunks::release_free_locked() noexcept {
  for (size_t number = 0; number < count_.load(std::memory_order_relaxed); ++number) {
    Chunk& chunk = *list_[number];
    for (unsigned i = kHeaderBlocks; i < kBlocks; ++i) {
      unsigned end = i;
      while (end < kBlocks && test(chunk.resident_blocks, end)) clear(chunk.resident_blocks, end++);
      if (end == i) continue;
      os::release(chunk.block_address(i), (end - i) * kBlockBytes);
      i = end;
    }
  }
  resident_free_ = 0;
}

void Chunks::release_free() noexcept {
  const std::lock_guard guard(lock_);
  release_free_locked();
}

Span* Chunks::take_span(unsigned cls) noexcept {
  const CellClass& of = kCellClasses[cls];
  const std::lock_guard guard(lock_);
  Span* const span = take_run_locked(of.blocks, static_cast<uint8_t>(cls + 1));
  if (span == nullptr) return nullptr;
  span->cls = static_cast<uint8_t>(cls);
  span->free_count = of.cells;
  return span;
}

void Chunks::give_span(Span& span) noexcept {
  const std::lock_guard guard(lock_);
  give_run_locked(*Chunk::of(&span), span);
}

void* Chunks::take_large(size_t bytes, size_t alignment) noexcept {
  const size_t room = alignment > kBlockBytes ? bytes + alignment : bytes;
  if (room > kLargestRun || room < bytes) return take_mapping(bytes, alignment);
  char* cell;
  {
    const std::lock_guard guard(lock_);
    const auto blocks = static_cast<unsigned>((room + kBlockBytes - 1) / kBlockBytes);
    Span* const span = take_run_locked(blocks, kLargeBlock);
    if (span == nullptr) return nullptr;
    cell = runtime::align_up(span->start, alignment);
    __atomic_store_n(&span->bytes, bytes, __ATOMIC_RELAXED);
    __atomic_store_n(&span->start, cell, __ATOMIC_RELAXED);
  }
  set_live(cell);
  return cell;
}

void Chunks::give_large(void* cell) noexcept {
  Chunk& chunk = *Chunk::of(cell);
  const auto block = static_cast<unsigned>(Chunk::offset_of(cell) / kBlockBytes);
  const std::lock_guard guard(lock_);
  give_run_locked(chunk, chunk.spans[block - chunk.info(block).back]);
}

void Chunks::begin_reading() noexcept {
  const std::lock_guard guard(lock_);
  reading_ = true;
}

void Chunks::end_reading() noexcept {
  Unmapped* list;
  {
    const std::lock_guard guard(lock_);
    reading_ = false;
    list = std::exchange(unmapped_, nullptr);
  }
  while (Unmapped* const mapping = list) {
    list = mapping->next;
    os::unmap(mapping, mapping->bytes);
  }
}

}  // namespace tricolor::traced
