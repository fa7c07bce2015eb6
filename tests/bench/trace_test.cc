#include <doctest/doctest.h>
#include <zstd.h>

#include <algorithm>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include "bench/trace/encode.h"
#include "bench/trace/error.h"
#include "bench/trace/reader.h"
#include "bench/trace/writer.h"

namespace {

using namespace bench::trace;

std::vector<std::byte> bytes_of(const std::string& text) {
  const auto* data = reinterpret_cast<const std::byte*>(text.data());
  return {data, data + text.size()};
}

std::vector<Event> read_all(std::vector<std::byte> bytes) {
  Reader reader(open_memory("test.trace", std::move(bytes)));
  std::vector<Event> events;
  for (Event event; reader.next(event);) events.push_back(event);
  return events;
}

// Every kind once or more, on two threads whose chunks overlap.
std::string sample_trace(size_t chunk_bytes = 64 * 1024) {
  std::ostringstream out;
  Writer::Options options;
  options.flags = kAllFlags;
  options.text = "program=sample\nrecorder=test\n";
  options.chunk_bytes = chunk_bytes;
  Writer writer(out, options);
  writer.thread_start(0, 0);
  writer.mark(0, "begin");
  TypeInfo node;
  node.number = 1;
  node.bytes = 24;
  node.mask = {true, false, true};
  node.name = "Node";
  writer.define_type(0, node);
  writer.thread_start(1, 1);
  const uint64_t a = writer.alloc_typed(0, 1, 1);
  writer.root_set(0, 7, a);
  const uint64_t b = writer.alloc(1, 100);
  const uint64_t c = writer.alloc_zeroed(1, 0);
  writer.request_begin(1, 3);
  writer.store(0, a, 2, b);
  const uint64_t d = writer.alloc_aligned(0, 4096, 12);
  writer.store(1, a, 2, kNullObject);
  const uint64_t e = writer.realloc(0, b, 300);
  writer.free(1, c);
  writer.free(1, d);
  writer.request_end(1, 3);
  writer.free(1, e);
  writer.root_set(0, 7, kNullObject);
  writer.root_clear(0, 7);
  writer.death(0, a);
  writer.thread_end(1);
  writer.finish();
  return out.str();
}

// A trace of one chunk with the payload given, every checksum right.
std::vector<std::byte> frame(const std::vector<std::byte>& payload, ChunkHeader header,
                             Footer footer) {
  std::vector<std::byte> packed(ZSTD_compressBound(payload.size()));
  packed.resize(ZSTD_compress(packed.data(), packed.size(), payload.data(), payload.size(), 1));
  header.raw_bytes = static_cast<uint32_t>(payload.size());
  header.packed_bytes = static_cast<uint32_t>(packed.size());
  header.payload_crc = crc32c(packed.data(), packed.size());
  constexpr size_t kBefore = kFileHeaderBytes + 4 + kChunkHeaderBytes;
  std::vector<std::byte> file(kBefore + packed.size() + kFooterBytes);
  encode_file_header(kHasFrees, "", 0, file.data());
  encode_chunk_header(header, file.data() + kFileHeaderBytes + 4);
  std::copy(packed.begin(), packed.end(), file.begin() + kBefore);
  encode_footer(footer, file.data() + kBefore + packed.size());
  return file;
}

std::string message_of(std::vector<std::byte> bytes) {
  try {
    read_all(std::move(bytes));
  } catch (const TraceError& error) {
    return error.what();
  }
  return "no error";
}

// One chunk made of these bytes as events, all in one run of tickets.
std::vector<std::byte> one_chunk(std::vector<uint8_t> events, uint32_t count, uint64_t objects) {
  std::vector<std::byte> payload;
  for (const uint8_t byte : events) payload.push_back(static_cast<std::byte>(byte));
  payload.push_back(std::byte{0});
  payload.push_back(static_cast<std::byte>(count));
  ChunkHeader header;
  header.events = count;
  header.order_bytes = 2;
  return frame(payload, header, {.chunks = 1, .events = count, .objects = objects, .unplaced = 0});
}

}  // namespace

TEST_CASE("trace: what was written is read back, merged over threads") {
  const auto events = read_all(bytes_of(sample_trace()));
  REQUIRE(events.size() == 21);
  for (size_t i = 0; i < events.size(); ++i) CHECK(events[i].ticket == i);
  CHECK(events[1].kind == Kind::kMark);
  CHECK(events[1].text == "begin");
  CHECK(events[2].type.name == "Node");
  CHECK(events[2].type.bytes == 24);
  CHECK(events[2].type.mask == std::vector<bool>{true, false, true});
  CHECK(events[3].thread == 1);
  CHECK(events[3].number == 1);
  CHECK(events[4].kind == Kind::kAllocTyped);
  CHECK(events[4].object == 0);
  CHECK(events[5].kind == Kind::kRootSet);
  CHECK(events[5].number == 7);
  CHECK(events[5].target == 0);
  CHECK(events[6].object == 1);
  CHECK(events[6].amount == 100);
  CHECK(events[7].kind == Kind::kAllocZeroed);
  CHECK(events[7].amount == 0);
  CHECK(events[9].kind == Kind::kStore);
  CHECK(events[9].object == 0);
  CHECK(events[9].number == 2);
  CHECK(events[9].target == 1);
  CHECK(events[10].align_log2 == 12);
  CHECK(events[11].target == kNullObject);
  CHECK(events[12].kind == Kind::kRealloc);
  CHECK(events[12].target == 1);
  CHECK(events[12].object == 4);
  CHECK(events[12].amount == 300);
  CHECK(events[14].kind == Kind::kFree);
  CHECK(events[14].object == 3);
  CHECK(events[19].kind == Kind::kDeath);
  CHECK(events[20].kind == Kind::kThreadEnd);
}

TEST_CASE("trace: many small chunks give the same events as one") {
  std::ostringstream small_out;
  std::ostringstream large_out;
  Writer::Options options;
  options.chunk_bytes = 512;
  Writer small(small_out, options);
  options.chunk_bytes = 256 * 1024;
  Writer large(large_out, options);
  std::mt19937_64 random(1);
  std::vector<uint64_t> live;
  for (int i = 0; i < 5000; ++i) {
    const auto thread = static_cast<uint32_t>(random() % 3);
    if (live.size() > 10 && random() % 2 == 0) {
      const size_t victim = random() % live.size();
      small.free(thread, live[victim]);
      large.free(thread, live[victim]);
      live.erase(live.begin() + static_cast<ptrdiff_t>(victim));
    } else {
      const uint64_t bytes = random() % 100000;
      live.push_back(small.alloc(thread, bytes));
      CHECK(large.alloc(thread, bytes) == live.back());
    }
  }
  small.finish();
  large.finish();
  Reader a(open_memory("small", bytes_of(small_out.str())));
  Reader b(open_memory("large", bytes_of(large_out.str())));
  CHECK(a.footer().chunks > 10 * b.footer().chunks);
  Event ea;
  Event eb;
  while (a.next(ea)) {
    REQUIRE(b.next(eb));
    REQUIRE(ea.kind == eb.kind);
    REQUIRE(ea.thread == eb.thread);
    REQUIRE(ea.object == eb.object);
  }
  CHECK(!b.next(eb));
}

TEST_CASE("trace: the header's properties") {
  Reader reader(open_memory("test.trace", bytes_of(sample_trace())));
  CHECK(reader.property("program") == "sample");
  CHECK(reader.property("recorder") == "test");
  CHECK(reader.property("prog") == "");
  CHECK(reader.flags() == kAllFlags);
}

TEST_CASE("trace: a flipped bit anywhere is an error") {
  const auto good = bytes_of(sample_trace(512));
  REQUIRE(message_of(good) == "no error");
  for (size_t offset = 0; offset < good.size(); ++offset) {
    for (int bit = 0; bit < 8; ++bit) {
      auto bad = good;
      bad[offset] ^= static_cast<std::byte>(1 << bit);
      INFO("offset ", offset, " bit ", bit);
      REQUIRE(message_of(std::move(bad)).find("test.trace: byte ") == 0);
    }
  }
}

TEST_CASE("trace: a file cut off anywhere is an error") {
  const auto good = bytes_of(sample_trace(512));
  for (size_t size = 0; size < good.size(); ++size) {
    auto bad = good;
    bad.resize(size);
    INFO("size ", size);
    REQUIRE(message_of(std::move(bad)).find("test.trace: byte ") == 0);
  }
}

TEST_CASE("trace: bytes behind the end are an error") {
  auto bad = bytes_of(sample_trace());
  const size_t end = bad.size();
  bad.push_back(std::byte{0});
  CHECK(message_of(bad) == "test.trace: byte " + std::to_string(end) +
                               ": expected the end of the file, found 1 more bytes");
}

// The checksums are right, so only the decoder's own checks stand between the damage and the
// reader.
TEST_CASE("trace: damaged events under right checksums are an error or a trace, never a crash") {
  std::vector<std::byte> payload_memory(4096);
  std::vector<std::byte> order(512);
  ChunkEncoder encoder(payload_memory, order);
  encoder.add(0, Kind::kAlloc, {1000});
  encoder.add(1, Kind::kAlloc, {5});
  encoder.add(2, Kind::kStore, {2, 3, 1});
  encoder.add(3, Kind::kRealloc, {2, 70000});
  encoder.add(4, Kind::kTypeDef, {1, 16, 2});
  encoder.add_bytes(std::as_bytes(std::span("\x03", 1)));
  encoder.add_operand(3);
  encoder.add_bytes(std::as_bytes(std::span("abc", 3)));
  encoder.add(5, Kind::kAllocTyped, {1, 10});
  encoder.add(6, Kind::kFree, {3});
  encoder.add(7, Kind::kMark, {2});
  encoder.add_bytes(std::as_bytes(std::span("hi", 2)));
  ChunkHeader header;
  const auto finished = encoder.finish(header);
  const std::vector<std::byte> payload(finished.begin(), finished.end());
  const Footer footer{.chunks = 1, .events = 8, .objects = 4, .unplaced = 0};
  REQUIRE(message_of(frame(payload, header, footer)) == "no error");

  size_t errors = 0;
  const auto probe = [&](const std::vector<std::byte>& bytes) {
    const std::string message = message_of(frame(bytes, header, footer));
    if (message != "no error") {
      ++errors;
      REQUIRE(message.find("test.trace: byte ") == 0);
    }
  };
  for (size_t offset = 0; offset < payload.size(); ++offset) {
    for (int value = 0; value < 256; ++value) {
      auto bad = payload;
      bad[offset] = static_cast<std::byte>(value);
      probe(bad);
    }
  }
  std::mt19937_64 random(7);
  for (int round = 0; round < 20000; ++round) {
    auto bad = payload;
    for (int i = 0; i < 4; ++i) bad[random() % bad.size()] = static_cast<std::byte>(random());
    probe(bad);
  }
  CHECK(errors > 20000);
}

TEST_CASE("trace: the message names the place and what was expected") {
  CHECK(message_of(bytes_of("GIF89a something else entirely"))
            .find("byte 0: expected the magic bytes") != std::string::npos);
  CHECK(message_of({}).find("byte 0: expected the header of a trace") != std::string::npos);
  CHECK(message_of(one_chunk({2, 8, 7, 2}, 2, 1)).find("event 1 of 2 at unpacked byte 2") !=
        std::string::npos);
  CHECK(
      message_of(one_chunk({2, 8, 99}, 2, 1)).find("expected an event kind of 1 to 16, found 99") !=
      std::string::npos);
  CHECK(message_of(one_chunk({2, 8, 7, 1, 7, 2}, 3, 1)).find("object 0 has ended before") !=
        std::string::npos);
  CHECK(message_of(one_chunk({2, 8}, 1, 2)).find("expected 2 objects as the closing record says") !=
        std::string::npos);
}

TEST_CASE("trace: missing tickets are an error") {
  std::vector<std::byte> payload{std::byte{2}, std::byte{8}, std::byte{0}, std::byte{1}};
  ChunkHeader header;
  header.first_ticket = 5;
  header.events = 1;
  header.order_bytes = 2;
  const auto message =
      message_of(frame(payload, header, {.chunks = 1, .events = 1, .objects = 1, .unplaced = 0}));
  CHECK(message.find("expected an event with ticket 0") != std::string::npos);
}

TEST_CASE("trace: files that cannot be opened are named") {
  CHECK_THROWS_WITH_AS(Reader("/nonexistent/x.trace"),
                       "/nonexistent/x.trace: cannot be opened: No such file or directory",
                       TraceError);
  CHECK_THROWS_WITH_AS(Reader("/"), "/: expected a regular file", TraceError);
}

TEST_CASE("trace: the writer refuses what the format cannot say") {
  std::ostringstream out;
  Writer writer(out, {});
  CHECK_THROWS_AS(writer.alloc(0, kMaxObjectBytes + 1), TraceError);
  CHECK_THROWS_AS(writer.mark(0, std::string(kMaxName + 1, 'x')), TraceError);
  CHECK_THROWS_AS(writer.free(0, 12), TraceError);
}

TEST_CASE("trace: a stream that fails is reported") {
  std::ostringstream out;
  Writer writer(out, {});
  writer.alloc(0, 8);
  out.setstate(std::ios::badbit);
  CHECK_THROWS_AS(writer.finish(), TraceError);
}
