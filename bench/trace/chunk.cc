#include "bench/trace/chunk.h"

#include <fmt/format.h>
#include <zstd.h>

#include <algorithm>

#include "bench/trace/error.h"
#include "bench/trace/varint.h"

namespace bench::trace {

const char* kind_name(Kind kind) {
  static constexpr const char* kNames[] = {
      "nothing",    "type-def", "alloc",         "alloc-zeroed", "alloc-aligned", "alloc-typed",
      "realloc",    "free",     "store",         "root-set",     "root-clear",    "thread-start",
      "thread-end", "death",    "request-begin", "request-end",  "mark"};
  static_assert(std::size(kNames) == kLastKind + 1);
  return kNames[static_cast<uint8_t>(kind)];
}

ChunkCursor::ChunkCursor(Source& source, const ChunkPlace& place)
    : source_(source.name()), place_(place) {
  const ChunkHeader& header = place.header;
  std::vector<std::byte> packed(header.packed_bytes);
  const uint64_t payload_at = place.offset + kChunkHeaderBytes;
  if (!source.read_at(payload_at, packed)) {
    throw TraceError(source_, payload_at,
                     fmt::format("expected {} bytes of packed events, the file ends before",
                                 header.packed_bytes));
  }
  const uint32_t crc = crc32c(packed.data(), packed.size());
  if (crc != header.payload_crc) {
    throw TraceError(source_, payload_at,
                     fmt::format("expected a chunk of {} bytes with checksum {:08x}, found {:08x}: "
                                 "the file is damaged",
                                 header.packed_bytes, header.payload_crc, crc));
  }
  raw_.resize(header.raw_bytes);
  const size_t got = ZSTD_decompress(raw_.data(), raw_.size(), packed.data(), packed.size());
  if (ZSTD_isError(got) != 0) {
    throw TraceError(source_, payload_at,
                     fmt::format("expected one zstd frame: {}", ZSTD_getErrorName(got)));
  }
  if (got != raw_.size()) {
    throw TraceError(
        source_, payload_at,
        fmt::format("expected a frame of {} bytes unpacked, found {}", raw_.size(), got));
  }
  at_ = event_start_ = raw_.data();
  events_end_ = order_at_ = raw_.data() + (header.raw_bytes - header.order_bytes);
  order_end_ = raw_.data() + raw_.size();
  left_ = header.events;
  ticket_ = header.first_ticket;
  next_run();
}

void ChunkCursor::fail(const std::string& problem) const {
  throw TraceError(source_, place_.offset,
                   fmt::format("in this chunk (thread {}), event {} of {} at unpacked byte {}: {}",
                               place_.header.thread, place_.header.events - left_,
                               place_.header.events, event_start_ - raw_.data(), problem));
}

// The order section is a list of (gap, length); the first gap is 0, every other at least 1, no run
// is empty.
void ChunkCursor::next_run() {
  const bool first = order_at_ == events_end_;
  uint64_t gap = 0;
  uint64_t length = 0;
  order_at_ = get_varint(order_at_, order_end_, gap);
  if (order_at_ != nullptr) order_at_ = get_varint(order_at_, order_end_, length);
  if (order_at_ == nullptr) fail("expected a run of tickets, the order section ends");
  if ((gap == 0) != first) fail(fmt::format("expected runs that rise, found a gap of {}", gap));
  if (length == 0 || length > left_) {
    fail(fmt::format("expected a run of 1 to {} events, found {}", left_, length));
  }
  if (ticket_ + gap < ticket_ || ticket_ + gap + length < length) {
    fail("expected a ticket of 64 bits, found a larger one");
  }
  ticket_ += gap;
  run_left_ = length;
}

uint64_t ChunkCursor::operand(const char* what, uint64_t limit) {
  uint64_t value = 0;
  const std::byte* next = get_varint(at_, events_end_, value);
  if (next == nullptr) fail(fmt::format("expected {}, found the end or a number too long", what));
  at_ = next;
  if (value > limit) fail(fmt::format("expected {} of at most {}, found {}", what, limit, value));
  return value;
}

uint64_t ChunkCursor::age(const char* what) {
  const uint64_t value = operand(what, ticket_);
  if (value == 0) fail(fmt::format("expected {} of at least 1, found 0", what));
  return value;
}

std::string ChunkCursor::bytes(const char* what, uint64_t length) {
  if (length > static_cast<uint64_t>(events_end_ - at_)) {
    fail(fmt::format("expected {} of {} bytes, {} are left", what, length, events_end_ - at_));
  }
  std::string text(reinterpret_cast<const char*>(at_), length);
  at_ += length;
  return text;
}

void ChunkCursor::type_definition(TypeInfo& type) {
  type.number = operand("a type number", kMaxType);
  if (type.number == 0) fail("expected a type number of at least 1, found 0");
  type.bytes = operand("the bytes of a type", kMaxObjectBytes);
  const uint64_t words = operand("the words of a type's mask", kMaxMaskWords);
  if (words > (type.bytes + 7) / 8) fail("expected a mask no longer than its type");
  const std::string bits = bytes("a type's mask", (words + 7) / 8);
  type.mask.resize(words);
  for (uint64_t i = 0; i < words; ++i) {
    type.mask[i] = (static_cast<uint8_t>(bits[i / 8]) >> (i % 8) & 1) != 0;
  }
  type.name = bytes("a type's name", operand("the length of a type's name", kMaxName));
}

void ChunkCursor::next(Event& event, Ages& ages) {
  event_start_ = at_;
  if (at_ == events_end_) fail("expected an event, found the end of the chunk's events");
  const uint8_t kind = static_cast<uint8_t>(*at_++);
  if (kind == 0 || kind > kLastKind) {
    fail(fmt::format("expected an event kind of 1 to {}, found {}", kLastKind, kind));
  }
  event.kind = static_cast<Kind>(kind);
  event.thread = place_.header.thread;
  event.ticket = ticket_;
  event.object = event.target = kNullObject;
  ages = Ages{};

  switch (event.kind) {
    case Kind::kTypeDef:
      type_definition(event.type);
      break;
    case Kind::kAlloc:
    case Kind::kAllocZeroed:
      event.amount = operand("a size", kMaxObjectBytes);
      break;
    case Kind::kAllocAligned:
      event.amount = operand("a size", kMaxObjectBytes);
      event.align_log2 = static_cast<uint32_t>(operand("the log2 of an alignment", 47));
      break;
    case Kind::kAllocTyped:
      event.number = operand("a type number", kMaxType);
      event.amount = operand("an array length", kMaxObjectBytes);
      break;
    case Kind::kRealloc:
      ages.target = age("the age of an object");
      event.amount = operand("a size", kMaxObjectBytes);
      break;
    case Kind::kFree:
    case Kind::kDeath:
      ages.object = age("the age of an object");
      break;
    case Kind::kStore:
      ages.object = age("the age of an object");
      event.number = operand("a slot", kMaxObjectBytes / 8);
      ages.target = operand("the age of a target", ticket_);
      break;
    case Kind::kRootSet:
      event.number = operand("a root number");
      ages.target = operand("the age of a target", ticket_);
      break;
    case Kind::kRootClear:
      event.number = operand("a root number");
      break;
    case Kind::kThreadStart:
      event.number = operand("a parent thread", ~uint32_t{0});
      break;
    case Kind::kThreadEnd:
      break;
    case Kind::kRequestBegin:
    case Kind::kRequestEnd:
      event.number = operand("a request number");
      break;
    case Kind::kMark:
      event.text = bytes("a mark", operand("a mark's length", kMaxName));
      break;
  }
  ++ticket_;
  --run_left_;
  --left_;
  if (left_ == 0 && (at_ != events_end_ || order_at_ != order_end_ || run_left_ != 0)) {
    fail("expected the chunk to end here, found bytes behind its last event");
  }
  if (left_ != 0 && run_left_ == 0) next_run();
}

}  // namespace bench::trace
