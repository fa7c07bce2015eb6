#pragma once

// Format: the numbers of the trace format, version 1, as bench/traces/FORMAT.md specifies them.
//
// Shared by the writer, the reader and the preloaded recorder: no function here allocates, throws
// or keeps state, so all of it may be used inside an allocator.

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "bench/trace/crc32c.h"

namespace bench::trace {

inline constexpr unsigned char kFileMagic[8] = {0x89, 'T', 'C', 'T', '\r', '\n', 0x1a, '\n'};
inline constexpr uint32_t kVersion = 1;
inline constexpr uint32_t kChunkMagic = 0x4b4e4843;   // "CHNK" in little endian
inline constexpr uint32_t kFooterMagic = 0x444e4554;  // "TEND"

inline constexpr size_t kFileHeaderBytes = 20;  // before the text and its checksum
inline constexpr size_t kChunkHeaderBytes = 40;
inline constexpr size_t kFooterBytes = 40;

// Limits that bound what a damaged file can make a reader allocate.
inline constexpr uint32_t kMaxText = 64 * 1024;
inline constexpr uint32_t kMaxRawBytes = 4 * 1024 * 1024;
inline constexpr uint64_t kMaxType = 1 << 20;
inline constexpr uint64_t kMaxObjectBytes = uint64_t{1} << 47;
inline constexpr uint64_t kMaxMaskWords = 1 << 16;
inline constexpr uint64_t kMaxName = 4096;

// What the recorder could see; a consumer refuses a trace that lacks what it needs.
enum FileFlags : uint32_t {
  kHasFrees = 1,   // every end of an object that the program asked for is in the trace
  kHasStores = 2,  // reference stores are in the trace
  kHasRoots = 4,
  kHasDeaths = 8,  // deaths were computed from reachability
  kHasTypes = 16,
  kAllFlags = 31,
};

// Operands in the order in which they are written; all are varints unless said otherwise.
// "age" is this event's ticket minus the ticket of the object's allocation.
enum class Kind : uint8_t {
  kTypeDef = 1,       // number, bytes, mask words, mask bytes, name length, name bytes
  kAlloc = 2,         // bytes
  kAllocZeroed = 3,   // bytes
  kAllocAligned = 4,  // bytes, log2 of the alignment
  kAllocTyped = 5,    // type number, array length
  kRealloc =
      6,      // age of the old object, bytes; the old object ends here, the new one has this ticket
  kFree = 7,  // age
  kStore = 8,          // age of the object, word slot, age of the target (0 is null)
  kRootSet = 9,        // root number, age of the target (0 is null)
  kRootClear = 10,     // root number
  kThreadStart = 11,   // number of the parent + 1, 0 when unknown
  kThreadEnd = 12,     // nothing
  kDeath = 13,         // age: the object was last reachable just before this event
  kRequestBegin = 14,  // request number
  kRequestEnd = 15,    // request number
  kMark = 16,          // length, bytes of UTF-8
};
inline constexpr uint8_t kLastKind = 16;

constexpr bool makes_object(Kind kind) { return kind >= Kind::kAlloc && kind <= Kind::kRealloc; }

struct ChunkHeader {
  uint32_t thread = 0;
  uint64_t first_ticket = 0;
  uint32_t events = 0;
  uint32_t order_bytes = 0;
  uint32_t raw_bytes = 0;
  uint32_t packed_bytes = 0;
  uint32_t payload_crc = 0;
};

struct Footer {
  uint32_t chunks = 0;
  uint64_t events = 0;
  uint64_t objects = 0;
  uint64_t unplaced = 0;  // frees and reallocs of blocks that were allocated before recording began
};

// Fixed fields are little endian; the machines this runs on are, and a big-endian one fails to
// compile.
static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__);

template <typename T>
inline std::byte* put_fixed(std::byte* out, T value) {
  std::memcpy(out, &value, sizeof(T));
  return out + sizeof(T);
}

template <typename T>
inline T get_fixed(const std::byte* in) {
  T value;
  std::memcpy(&value, in, sizeof(T));
  return value;
}

inline void encode_chunk_header(const ChunkHeader& header, std::byte* out) {
  std::byte* p = put_fixed(out, kChunkMagic);
  p = put_fixed(p, header.thread);
  p = put_fixed(p, header.first_ticket);
  p = put_fixed(p, header.events);
  p = put_fixed(p, header.order_bytes);
  p = put_fixed(p, header.raw_bytes);
  p = put_fixed(p, header.packed_bytes);
  p = put_fixed(p, header.payload_crc);
  put_fixed(p, crc32c(out, kChunkHeaderBytes - 4));
}

inline void encode_footer(const Footer& footer, std::byte* out) {
  std::byte* p = put_fixed(out, kFooterMagic);
  p = put_fixed(p, footer.chunks);
  p = put_fixed(p, footer.events);
  p = put_fixed(p, footer.objects);
  p = put_fixed(p, footer.unplaced);
  p = put_fixed(p, uint32_t{0});
  put_fixed(p, crc32c(out, kFooterBytes - 4));
}

// `out` has room for kFileHeaderBytes + text_bytes + 4, which is what is written.
inline void encode_file_header(uint32_t flags, const char* text, uint32_t text_bytes,
                               std::byte* out) {
  std::memcpy(out, kFileMagic, sizeof kFileMagic);
  std::byte* p = put_fixed(out + sizeof kFileMagic, kVersion);
  p = put_fixed(p, flags);
  p = put_fixed(p, text_bytes);
  std::memcpy(p, text, text_bytes);
  put_fixed(p + text_bytes, crc32c(out, kFileHeaderBytes + text_bytes));
}

}  // namespace bench::trace
