#pragma once

// Chunk: 4 MiB of traced memory, aligned to its size, in blocks of 16 KiB. The first 16 blocks describe it.
//
//   live     a byte for each 16 bytes of the chunk: 1 where a cell that is in use begins
//   blocks   for each block: what it is part of, and how far back that begins
//   spans    for each block that begins one: a span of equal cells, or a large cell of whole blocks
//
// Memory of a chunk goes back to the system, its addresses never: whoever has one may look.
//
// [traced.live]    a cell is scanned only while its live byte is set: set (then a fence for stores) before the program
//                  gets the cell, cleared before the cell is on a list. Whoever stores a reference in the cell
//                  has passed the fence, so a scan that must see the reference sees the byte.
// [traced.stable]  while a live byte is set, the block's entry and the span's bounds are what they were when it was
//                  set: they are written before and change only when no cell of the span is in use.

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "runtime/arch/cpu.h"
#include "traced/size_classes.h"

namespace tricolor::traced {

inline constexpr size_t kChunkShift = 22;
inline constexpr size_t kChunkBytes = size_t{1} << kChunkShift;
inline constexpr unsigned kBlocks = kChunkBytes / kBlockBytes;
inline constexpr unsigned kHeaderBlocks = 16;

// What a block is part of: 0 nothing, 1 + class a span of cells, or one of these.
inline constexpr uint8_t kFreeBlock = 0;
inline constexpr uint8_t kLargeBlock = 254;
inline constexpr uint8_t kHeaderBlock = 255;

struct BlockInfo {
  uint8_t kind;
  uint8_t back;  // blocks back to the first one of the span
};

struct Chunk;

// A span of cells, guarded by the lock of its class; or a large cell: constant while that is in
// use.
struct Span {
  Span* next;
  Span* previous;
  void* free;           // cells given back
  char* start;          // large: the cell; else the first cell
  size_t bytes;         // large: of the cell
  uint32_t free_count;  // cells that nobody has, fresh ones included
  uint16_t fresh;       // the first cell that was never handed out
  uint8_t blocks;
  uint8_t cls;
};

struct Chunk {
  // In the part of the live map that would describe the header itself.
  std::array<BlockInfo, kBlocks> blocks;
  // Guarded by the lock of g_chunks: a bit for each free block; those of them that may hold memory.
  std::array<uint64_t, kBlocks / 64> free_blocks;
  std::array<uint64_t, kBlocks / 64> resident_blocks;
  uint32_t number;
  std::array<Span, kBlocks> spans;

  static Chunk* of(const void* address) noexcept {
    return reinterpret_cast<Chunk*>(reinterpret_cast<uintptr_t>(address) & ~(kChunkBytes - 1));
  }
  static size_t offset_of(const void* address) noexcept {
    return reinterpret_cast<uintptr_t>(address) & (kChunkBytes - 1);
  }
  // For an address behind the header.
  static uint8_t* live_byte(const void* address) noexcept {
    return reinterpret_cast<uint8_t*>(of(address)) + offset_of(address) / kGranule;
  }

  const char* base() const noexcept { return reinterpret_cast<const char*>(this); }
  char* base() noexcept { return reinterpret_cast<char*>(this); }
  char* block_address(unsigned block) noexcept { return base() + block * kBlockBytes; }
  unsigned number_of(const Span& span) const noexcept {
    return static_cast<unsigned>(&span - spans.data());
  }
  BlockInfo info(unsigned block) const noexcept {
    return {__atomic_load_n(&blocks[block].kind, __ATOMIC_RELAXED),
            __atomic_load_n(&blocks[block].back, __ATOMIC_RELAXED)};
  }
  void set_info(unsigned block, BlockInfo info) noexcept {
    __atomic_store_n(&blocks[block].back, info.back, __ATOMIC_RELAXED);
    __atomic_store_n(&blocks[block].kind, info.kind, __ATOMIC_RELAXED);
  }
};
static_assert(sizeof(Chunk) <= kHeaderBlocks * kBlockBytes / kGranule);

// [traced.live]
inline void set_live(void* cell) noexcept {
  __atomic_store_n(Chunk::live_byte(cell), uint8_t{1}, __ATOMIC_RELEASE);
  runtime::arch::order_stores();
}
inline bool is_live(const void* cell) noexcept {
  return __atomic_load_n(Chunk::live_byte(cell), __ATOMIC_ACQUIRE) != 0;
}
inline void clear_live(void* cell) noexcept {
  __atomic_store_n(Chunk::live_byte(cell), uint8_t{0}, __ATOMIC_RELAXED);
}

}  // namespace tricolor::traced
