#include "bench/trace/writer.h"

#include <fmt/format.h>
#include <zstd.h>

#include <algorithm>
#include <array>

#include "bench/trace/error.h"

namespace bench::trace {

struct Writer::Lane {
  explicit Lane(size_t chunk_bytes)
      : payload(chunk_bytes), order(chunk_bytes / 4), encoder(payload, order) {}
  std::vector<std::byte> payload;
  std::vector<std::byte> order;
  ChunkEncoder encoder;
};

namespace {

constexpr size_t kMinChunk = 512;
constexpr size_t kFixedOperands = 5;

void require(bool ok, const char* expected) {
  if (!ok) throw TraceError("trace being written", fmt::format("expected {}", expected));
}

}  // namespace

Writer::Writer(std::ostream& out, const Options& options)
    : out_(out), options_(options), context_(ZSTD_createCCtx()) {
  require(options.text.size() <= kMaxText, "a header text within the limit");
  options_.chunk_bytes = std::clamp(options.chunk_bytes, kMinChunk, size_t{kMaxRawBytes});
  packed_.resize(ZSTD_compressBound(kMaxRawBytes));
  std::vector<std::byte> header(kFileHeaderBytes + options.text.size() + 4);
  encode_file_header(options.flags, options.text.data(), static_cast<uint32_t>(options.text.size()),
                     header.data());
  write(header.data(), header.size());
}

Writer::~Writer() { ZSTD_freeCCtx(context_); }

void Writer::write(const std::byte* data, size_t size) {
  out_.write(reinterpret_cast<const char*>(data), static_cast<std::streamsize>(size));
  if (!out_) throw TraceError("trace being written", "the stream refused the data (disk full?)");
}

ChunkEncoder& Writer::encoder_of(uint32_t thread) {
  std::unique_ptr<Lane>& lane = lanes_[thread];
  if (lane == nullptr) lane = std::make_unique<Lane>(options_.chunk_bytes);
  return lane->encoder;
}

uint64_t Writer::add(uint32_t thread, Kind kind, std::initializer_list<uint64_t> operands,
                     size_t extra) {
  ChunkEncoder& encoder = encoder_of(thread);
  if (!encoder.has_room(kFixedOperands, extra)) {
    flush(thread, *lanes_[thread]);
    if (!encoder.has_room(kFixedOperands, extra)) {
      // An event larger than the chosen chunk: this lane gets larger ones from now on.
      lanes_[thread] = std::make_unique<Lane>(2 * options_.chunk_bytes + 2 * extra);
    }
  }
  const uint64_t ticket = next_ticket_++;
  encoder_of(thread).add(ticket, kind, operands);
  return ticket;
}

void Writer::flush(uint32_t thread, Lane& lane) {
  if (lane.encoder.empty()) return;
  ChunkHeader header;
  header.thread = thread;
  const auto raw = lane.encoder.finish(header);
  const size_t packed = ZSTD_compressCCtx(context_, packed_.data(), packed_.size(), raw.data(),
                                          raw.size(), options_.level);
  if (ZSTD_isError(packed) != 0) {
    throw TraceError("trace being written", ZSTD_getErrorName(packed));
  }
  header.packed_bytes = static_cast<uint32_t>(packed);
  header.payload_crc = crc32c(packed_.data(), packed);
  std::array<std::byte, kChunkHeaderBytes> bytes;
  encode_chunk_header(header, bytes.data());
  write(bytes.data(), bytes.size());
  write(packed_.data(), packed);
  ++footer_.chunks;
  footer_.events += header.events;
  lane.encoder.reset();
}

uint64_t Writer::allocated(uint64_t ticket) {
  ++footer_.objects;
  return ticket;
}

uint64_t Writer::age_of(uint64_t object) const {
  require(object < next_ticket_, "an object allocated before");
  return next_ticket_ - object;
}

void Writer::add_text(ChunkEncoder& encoder, std::string_view text) {
  encoder.add_operand(text.size());
  encoder.add_bytes(std::as_bytes(std::span(text.data(), text.size())));
}

void Writer::define_type(uint32_t thread, const TypeInfo& type) {
  require(type.number >= 1 && type.number <= kMaxType, "a type number within the limit");
  require(type.bytes <= kMaxObjectBytes && type.name.size() <= kMaxName,
          "a type within the limits");
  require(type.mask.size() <= kMaxMaskWords && type.mask.size() <= (type.bytes + 7) / 8,
          "a mask no longer than its type");
  std::vector<std::byte> bits((type.mask.size() + 7) / 8);
  for (size_t i = 0; i < type.mask.size(); ++i) {
    if (type.mask[i]) bits[i / 8] |= static_cast<std::byte>(1 << (i % 8));
  }
  add(thread, Kind::kTypeDef, {type.number, type.bytes, type.mask.size()},
      bits.size() + type.name.size());
  ChunkEncoder& encoder = encoder_of(thread);
  encoder.add_bytes(bits);
  add_text(encoder, type.name);
}

uint64_t Writer::alloc(uint32_t thread, uint64_t bytes) {
  require(bytes <= kMaxObjectBytes, "a size within the limit");
  return allocated(add(thread, Kind::kAlloc, {bytes}));
}

uint64_t Writer::alloc_zeroed(uint32_t thread, uint64_t bytes) {
  require(bytes <= kMaxObjectBytes, "a size within the limit");
  return allocated(add(thread, Kind::kAllocZeroed, {bytes}));
}

uint64_t Writer::alloc_aligned(uint32_t thread, uint64_t bytes, uint32_t align_log2) {
  require(bytes <= kMaxObjectBytes && align_log2 <= 47,
          "a size and an alignment within the limits");
  return allocated(add(thread, Kind::kAllocAligned, {bytes, align_log2}));
}

uint64_t Writer::alloc_typed(uint32_t thread, uint64_t type, uint64_t length) {
  require(type >= 1 && type <= kMaxType && length <= kMaxObjectBytes,
          "a type and a length within the limits");
  return allocated(add(thread, Kind::kAllocTyped, {type, length}));
}

uint64_t Writer::realloc(uint32_t thread, uint64_t object, uint64_t bytes) {
  require(bytes <= kMaxObjectBytes, "a size within the limit");
  return allocated(add(thread, Kind::kRealloc, {age_of(object), bytes}));
}

void Writer::free(uint32_t thread, uint64_t object) { add(thread, Kind::kFree, {age_of(object)}); }

void Writer::death(uint32_t thread, uint64_t object) {
  add(thread, Kind::kDeath, {age_of(object)});
}

void Writer::store(uint32_t thread, uint64_t object, uint64_t slot, uint64_t target) {
  add(thread, Kind::kStore, {age_of(object), slot, target == kNullObject ? 0 : age_of(target)});
}

void Writer::root_set(uint32_t thread, uint64_t root, uint64_t target) {
  add(thread, Kind::kRootSet, {root, target == kNullObject ? 0 : age_of(target)});
}

void Writer::root_clear(uint32_t thread, uint64_t root) { add(thread, Kind::kRootClear, {root}); }

void Writer::thread_start(uint32_t thread, uint32_t parent_plus_one) {
  add(thread, Kind::kThreadStart, {parent_plus_one});
}

void Writer::thread_end(uint32_t thread) { add(thread, Kind::kThreadEnd, {}); }

void Writer::request_begin(uint32_t thread, uint64_t request) {
  add(thread, Kind::kRequestBegin, {request});
}

void Writer::request_end(uint32_t thread, uint64_t request) {
  add(thread, Kind::kRequestEnd, {request});
}

void Writer::mark(uint32_t thread, std::string_view text) {
  require(text.size() <= kMaxName, "a mark within the limit");
  add(thread, Kind::kMark, {}, text.size());
  add_text(encoder_of(thread), text);
}

void Writer::finish() {
  for (auto& [thread, lane] : lanes_) flush(thread, *lane);
  std::array<std::byte, kFooterBytes> bytes;
  encode_footer(footer_, bytes.data());
  write(bytes.data(), bytes.size());
  out_.flush();
  if (!out_) throw TraceError("trace being written", "the stream refused the data (disk full?)");
}

}  // namespace bench::trace
