// For libFuzzer: clang builds it as trace-fuzzer when it is asked for. Run it on a folder of small
// traces. The checksums are made right before reading, or nothing would get behind them.

#include <cstdint>

#include "tests/bench/trace_fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace bench::trace;
  const auto* bytes = reinterpret_cast<const std::byte*>(data);
  consume({bytes, bytes + size});

  // The input as the events of one chunk, its last byte as the number of events.
  if (size < 2 || size > 4096) return 0;
  FuzzTrace trace;
  FuzzChunk chunk;
  chunk.header.events = data[size - 1] % 127 + 1u;
  chunk.payload.assign(bytes, bytes + size - 1);
  chunk.payload.push_back(std::byte{0});
  chunk.payload.push_back(static_cast<std::byte>(chunk.header.events));
  chunk.header.order_bytes = 2;
  chunk.header.raw_bytes = static_cast<uint32_t>(chunk.payload.size());
  trace.chunks.push_back(chunk);
  trace.footer = {.chunks = 1, .events = chunk.header.events, .objects = 0, .unplaced = 0};
  for (const uint32_t flags : {kHasFrees, kAllFlags}) {
    trace.flags = flags;
    consume(put_together(trace));
  }
  return 0;
}
