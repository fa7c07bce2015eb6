#pragma once

// What the fuzz tests of the trace reader share: a trace in memory taken apart and put together
// again with right checksums, so that damage reaches the code behind them. Any thread.

#include <zstd.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "bench/replay/program.h"
#include "bench/trace/error.h"
#include "bench/trace/format.h"
#include "bench/trace/graph.h"
#include "bench/trace/reader.h"
#include "bench/trace/summary.h"

namespace bench::trace {

using Bytes = std::vector<std::byte>;

struct FuzzChunk {
  ChunkHeader header;
  Bytes payload;  // unpacked
};

struct FuzzTrace {
  uint32_t flags = 0;
  std::string text;
  std::vector<FuzzChunk> chunks;
  Footer footer;
};

// Of a trace that is sound.
inline FuzzTrace take_apart(const Bytes& file) {
  FuzzTrace trace;
  trace.flags = get_fixed<uint32_t>(file.data() + 12);
  const auto text_bytes = get_fixed<uint32_t>(file.data() + 16);
  trace.text.assign(reinterpret_cast<const char*>(file.data()) + kFileHeaderBytes, text_bytes);
  const std::byte* at = file.data() + kFileHeaderBytes + text_bytes + 4;
  while (get_fixed<uint32_t>(at) == kChunkMagic) {
    FuzzChunk chunk;
    chunk.header.thread = get_fixed<uint32_t>(at + 4);
    chunk.header.first_ticket = get_fixed<uint64_t>(at + 8);
    chunk.header.events = get_fixed<uint32_t>(at + 16);
    chunk.header.order_bytes = get_fixed<uint32_t>(at + 20);
    chunk.header.raw_bytes = get_fixed<uint32_t>(at + 24);
    chunk.header.packed_bytes = get_fixed<uint32_t>(at + 28);
    chunk.payload.resize(chunk.header.raw_bytes);
    ZSTD_decompress(chunk.payload.data(), chunk.payload.size(), at + kChunkHeaderBytes,
                    chunk.header.packed_bytes);
    at += kChunkHeaderBytes + chunk.header.packed_bytes;
    trace.chunks.push_back(std::move(chunk));
  }
  trace.footer.chunks = get_fixed<uint32_t>(at + 4);
  trace.footer.events = get_fixed<uint64_t>(at + 8);
  trace.footer.objects = get_fixed<uint64_t>(at + 16);
  trace.footer.unplaced = get_fixed<uint64_t>(at + 24);
  return trace;
}

inline Bytes put_together(FuzzTrace& trace) {
  Bytes file(kFileHeaderBytes + trace.text.size() + 4);
  encode_file_header(trace.flags, trace.text.data(), static_cast<uint32_t>(trace.text.size()),
                     file.data());
  for (FuzzChunk& chunk : trace.chunks) {
    Bytes packed(ZSTD_compressBound(chunk.payload.size()));
    packed.resize(
        ZSTD_compress(packed.data(), packed.size(), chunk.payload.data(), chunk.payload.size(), 1));
    chunk.header.packed_bytes = static_cast<uint32_t>(packed.size());
    chunk.header.payload_crc = crc32c(packed.data(), packed.size());
    const size_t at = file.size();
    file.resize(at + kChunkHeaderBytes);
    encode_chunk_header(chunk.header, file.data() + at);
    file.insert(file.end(), packed.begin(), packed.end());
  }
  const size_t at = file.size();
  file.resize(at + kFooterBytes);
  encode_footer(trace.footer, file.data() + at);
  return file;
}

// Everything that reads traces, over this one: the first error, empty when there is none. Whatever
// the file is, it throws nothing but TraceError.
inline std::string consume(const Bytes& file) {
  try {
    Reader summarized(open_memory("test.trace", file));
    summarize(summarized);
    Reader compiled(open_memory("test.trace", file));
    replay::compile(compiled, replay::Threads::kRecorded);
    if ((compiled.flags() & kHasStores) != 0) {
      Reader one(open_memory("test.trace", file));
      replay::compile(one, replay::Threads::kOne);
    }
  } catch (const TraceError& error) {
    return error.what();
  }
  return {};
}

}  // namespace bench::trace
