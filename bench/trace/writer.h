#pragma once

// Writer: writes a trace event by event. The order of the calls is the order of the trace; every
// call names the thread that the event belongs to.
//
// Objects are named by what the allocating call returned (the event's ticket). A call that the
// format forbids (an object unknown or ended is the reader's to find; a size beyond the limits is
// found here) throws TraceError, and so does a stream that fails.
//
// Threads: one. The preloaded recorder has its own multithreaded front on the same ChunkEncoder.

#include <cstdint>
#include <map>
#include <memory>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

#include "bench/trace/encode.h"
#include "bench/trace/event.h"

struct ZSTD_CCtx_s;

namespace bench::trace {

class Writer {
 public:
  struct Options {
    uint32_t flags = kHasFrees;
    std::string text;                 // "key=value" lines
    size_t chunk_bytes = 256 * 1024;  // unpacked, at most kMaxRawBytes
    int level = 3;                    // of zstd, 1 to 22
  };

  Writer(std::ostream& out, const Options& options);
  ~Writer();
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  void define_type(uint32_t thread, const TypeInfo& type);
  uint64_t alloc(uint32_t thread, uint64_t bytes);
  uint64_t alloc_zeroed(uint32_t thread, uint64_t bytes);
  uint64_t alloc_aligned(uint32_t thread, uint64_t bytes, uint32_t align_log2);
  uint64_t alloc_typed(uint32_t thread, uint64_t type, uint64_t length);
  uint64_t realloc(uint32_t thread, uint64_t object, uint64_t bytes);
  void free(uint32_t thread, uint64_t object);
  void death(uint32_t thread, uint64_t object);
  void store(uint32_t thread, uint64_t object, uint64_t slot, uint64_t target);  // or kNullObject
  void root_set(uint32_t thread, uint64_t root, uint64_t target);                // or kNullObject
  void root_clear(uint32_t thread, uint64_t root);
  void thread_start(uint32_t thread, uint32_t parent_plus_one);
  void thread_end(uint32_t thread);
  void request_begin(uint32_t thread, uint64_t request);
  void request_end(uint32_t thread, uint64_t request);
  void mark(uint32_t thread, std::string_view text);

  // Writes what is buffered and the closing record; nothing may be written afterwards. A trace
  // without it is reported as cut off.
  void finish();

 private:
  struct Lane;

  uint64_t add(uint32_t thread, Kind kind, std::initializer_list<uint64_t> operands,
               size_t extra = 0);
  uint64_t age_of(uint64_t object) const;
  uint64_t allocated(uint64_t ticket);
  void add_text(ChunkEncoder& encoder, std::string_view text);
  ChunkEncoder& encoder_of(uint32_t thread);
  void flush(uint32_t thread, Lane& lane);
  void write(const std::byte* data, size_t size);

  std::ostream& out_;
  Options options_;
  std::map<uint32_t, std::unique_ptr<Lane>> lanes_;
  std::vector<std::byte> packed_;
  ZSTD_CCtx_s* context_;
  uint64_t next_ticket_ = 0;
  Footer footer_;
};

}  // namespace bench::trace
