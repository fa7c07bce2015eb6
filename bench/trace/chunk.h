#pragma once

// ChunkCursor: walks the events of one chunk in their order.
//
// It checks everything that one chunk can show to be wrong: the checksum, the decompressed length,
// the order section, operands that run over the end, values beyond the format's limits. What needs
// the rest of the trace
// (does this object exist?) is the reader's.
//
// Threads: belongs to one reader.

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "bench/trace/event.h"
#include "bench/trace/source.h"

namespace bench::trace {

// Where a chunk lies; taken from its header when the file is opened.
struct ChunkPlace {
  uint64_t offset = 0;
  ChunkHeader header;
};

// The objects that an event names, as they are stored; 0 where it names none.
struct Ages {
  uint64_t object = 0;
  uint64_t target = 0;
};

class ChunkCursor {
 public:
  // Reads and unpacks the chunk; throws TraceError.
  ChunkCursor(Source& source, const ChunkPlace& place);

  bool at_end() const { return left_ == 0; }
  // Ticket of the event that next() returns. Precondition: !at_end().
  uint64_t ticket() const { return ticket_; }
  // Leaves the objects of `event` to the caller, who knows what the ages mean.
  void next(Event& event, Ages& ages);

  // Throws TraceError about the event last returned by next().
  [[noreturn]] void fail(const std::string& problem) const;

 private:
  uint64_t operand(const char* what, uint64_t limit = ~uint64_t{0});
  uint64_t age(const char* what);
  std::string bytes(const char* what, uint64_t length);
  void type_definition(TypeInfo& type);
  void next_run();

  std::string source_;
  ChunkPlace place_;
  std::vector<std::byte> raw_;
  const std::byte* at_ = nullptr;
  const std::byte* events_end_ = nullptr;
  const std::byte* order_at_ = nullptr;
  const std::byte* order_end_ = nullptr;
  const std::byte* event_start_ = nullptr;
  uint64_t ticket_ = 0;
  uint64_t run_left_ = 0;
  uint32_t left_ = 0;
};

}  // namespace bench::trace
