// Thousands of damaged traces, always the same ones: the reader and everything behind it report an
// error with its place, or read a trace; never anything else.

#include <doctest/doctest.h>

#include <algorithm>
#include <functional>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include "bench/trace/writer.h"
#include "tests/bench/trace_fuzz.h"

namespace {

using namespace bench::trace;

// Every kind of event, many times, in several chunks of three threads.
Bytes sample(uint32_t flags) {
  std::ostringstream out;
  Writer::Options options;
  options.flags = flags;
  options.text = "program=fuzz\n";
  options.chunk_bytes = 1024;
  Writer writer(out, options);
  std::mt19937 random(11);
  TypeInfo type;
  type.number = 3;
  type.bytes = 24;
  type.mask = {true, false, true};
  type.name = "Node";
  writer.define_type(0, type);
  const bool has_stores = (flags & kHasStores) != 0;
  std::vector<uint64_t> live;
  for (uint32_t i = 0; i < 900; ++i) {
    const uint32_t thread = random() % 3;
    switch (live.size() < 8 ? random() % 4 : random() % 12) {
      case 0:
        live.push_back(writer.alloc(thread, 16 + random() % 100));
        break;
      case 1:
        live.push_back(writer.alloc_zeroed(thread, 16 + random() % 5000));
        break;
      case 2:
        live.push_back(writer.alloc_aligned(thread, 64, 6));
        break;
      case 3:
        live.push_back(writer.alloc_typed(thread, 3, 1 + random() % 9));
        break;
      case 4:
        live.back() = writer.realloc(thread, live.back(), 16 + random() % 300);
        break;
      case 5:
      case 6:
        writer.free(thread, live.front());
        live.erase(live.begin());
        break;
      case 7:
      case 8:
        if (has_stores) writer.store(thread, live[random() % 8], random() % 2, live[random() % 8]);
        break;
      case 9:
        if (has_stores) writer.root_set(thread, random() % 4, live[random() % 8]);
        break;
      case 10:
        if (has_stores) writer.root_clear(thread, random() % 4);
        writer.request_begin(thread, i);
        break;
      default:
        writer.mark(thread, "here");
        writer.request_end(thread, i);
        writer.thread_start(thread, 0);
    }
  }
  writer.finish();
  const std::string text = out.str();
  const auto* data = reinterpret_cast<const std::byte*>(text.data());
  return {data, data + text.size()};
}

constexpr uint32_t kGraph = kHasStores | kHasRoots | kHasTypes;

class Mutator {
 public:
  explicit Mutator(uint32_t seed) : random_(seed) {}

  uint64_t below(uint64_t limit) { return limit == 0 ? 0 : random_() % limit; }

  // One to four changes.
  void mutate(Bytes& bytes) {
    for (uint64_t left = 1 + below(4); left > 0 && !bytes.empty(); --left) {
      const size_t at = below(bytes.size());
      const size_t length = std::min(bytes.size() - at, size_t{1} + below(12));
      const auto begin = bytes.begin() + static_cast<ptrdiff_t>(at);
      switch (below(6)) {
        case 0:
          bytes[at] ^= static_cast<std::byte>(1 << below(8));
          break;
        case 1:
          bytes[at] = static_cast<std::byte>(below(256));
          break;
        case 2:
          bytes[at] = kEdges[below(std::size(kEdges))];
          break;
        case 3:
          bytes.erase(begin, begin + static_cast<ptrdiff_t>(length));
          break;
        case 4: {
          const Bytes copy(begin, begin + static_cast<ptrdiff_t>(length));
          const auto where = static_cast<ptrdiff_t>(below(bytes.size()));
          bytes.insert(bytes.begin() + where, copy.begin(), copy.end());
          break;
        }
        default:
          std::fill_n(begin, length, std::byte{0xff});
      }
    }
  }

 private:
  static constexpr std::byte kEdges[] = {std::byte{0}, std::byte{1}, std::byte{0x7f},
                                         std::byte{0x80}, std::byte{0xff}};
  std::mt19937_64 random_;
};

struct Outcome {
  int errors = 0;
  int sound = 0;
};

void note(const std::string& message, Outcome& outcome) {
  ++(message.empty() ? outcome.sound : outcome.errors);
  if (message.empty()) return;
  INFO(message);
  REQUIRE(message.find("test.trace: ") == 0);
  REQUIRE(message.find("expected ") != std::string::npos);
}

}  // namespace

TEST_CASE("fuzz: the samples are sound") {
  CHECK(consume(sample(kHasFrees | kHasTypes)) == "");
  CHECK(consume(sample(kGraph)) == "");
  FuzzTrace trace = take_apart(sample(kGraph));
  CHECK(trace.chunks.size() > 4);
  CHECK(consume(put_together(trace)) == "");
}

TEST_CASE("fuzz: bytes changed anywhere are found by the checksums") {
  const Bytes good = sample(kGraph);
  Mutator mutator(1);
  Outcome outcome;
  for (int round = 0; round < 5000; ++round) {
    Bytes bad = good;
    mutator.mutate(bad);
    if (bad != good) note(consume(bad), outcome);
  }
  CHECK(outcome.sound == 0);
}

TEST_CASE("fuzz: events changed under right checksums") {
  for (const uint32_t flags : {uint32_t{kHasFrees | kHasTypes}, uint32_t{kGraph}}) {
    const FuzzTrace good = take_apart(sample(flags));
    Mutator mutator(2);
    Outcome outcome;
    for (int round = 0; round < 5000; ++round) {
      FuzzTrace bad = good;
      FuzzChunk& chunk = bad.chunks[mutator.below(bad.chunks.size())];
      mutator.mutate(chunk.payload);
      if (mutator.below(2) == 0)
        chunk.header.raw_bytes = static_cast<uint32_t>(chunk.payload.size());
      note(consume(put_together(bad)), outcome);
    }
    CHECK(outcome.errors > 3000);
    CHECK(outcome.sound > 10);
  }
}

TEST_CASE("fuzz: records changed, repeated, left out and exchanged under right checksums") {
  const FuzzTrace good = take_apart(sample(kGraph));
  Mutator mutator(3);
  Outcome outcome;
  for (int round = 0; round < 5000; ++round) {
    FuzzTrace bad = good;
    const size_t at = mutator.below(bad.chunks.size());
    const auto place = bad.chunks.begin() + static_cast<ptrdiff_t>(at);
    ChunkHeader& header = place->header;
    const uint64_t value = mutator.below(2) == 0 ? mutator.below(2000) : ~mutator.below(2000);
    switch (mutator.below(9)) {
      case 0:
        header.thread = static_cast<uint32_t>(value);
        break;
      case 1:
        header.first_ticket = value;
        break;
      case 2:
        header.events = static_cast<uint32_t>(value);
        break;
      case 3:
        header.order_bytes = static_cast<uint32_t>(value);
        break;
      case 4:
        header.raw_bytes = static_cast<uint32_t>(value);
        break;
      case 5:
        bad.chunks.erase(place);
        break;
      case 6: {
        const FuzzChunk copy = *place;
        bad.chunks.push_back(copy);
        break;
      }
      case 7:
        bad.flags = static_cast<uint32_t>(mutator.below(64));
        break;
      default:
        (mutator.below(2) == 0 ? bad.footer.events : bad.footer.objects) = value;
    }
    if (mutator.below(4) == 0) bad.footer.chunks = static_cast<uint32_t>(bad.chunks.size());
    if (mutator.below(4) == 0) {
      bad.footer.events = 0;
      for (const FuzzChunk& chunk : bad.chunks) bad.footer.events += chunk.header.events;
    }
    note(consume(put_together(bad)), outcome);
  }
  CHECK(outcome.errors > 3000);
}

TEST_CASE("fuzz: files of nothing but noise") {
  Mutator mutator(4);
  Outcome outcome;
  for (int round = 0; round < 2000; ++round) {
    Bytes noise(mutator.below(400));
    for (std::byte& byte : noise) byte = static_cast<std::byte>(mutator.below(256));
    if (mutator.below(2) == 0 && noise.size() > 8) std::memcpy(noise.data(), kFileMagic, 8);
    note(consume(noise), outcome);
  }
  CHECK(outcome.sound == 0);
}

// Each class of damage, with the message and the place that it gives.
TEST_CASE("fuzz: every class of damage has its message and its place") {
  const FuzzTrace good = take_apart(sample(kHasFrees | kHasTypes));
  const size_t header = kFileHeaderBytes + good.text.size() + 4;
  struct Damage {
    const char* message;
    uint64_t offset;
    std::function<void(FuzzTrace&)> change;
    std::function<void(Bytes&)> change_bytes;
  };
  const auto set = [](size_t at, int value) {
    return [=](Bytes& bytes) { bytes[at] = static_cast<std::byte>(value); };
  };
  const auto first = [](std::function<void(FuzzChunk&)> change) {
    return [=](FuzzTrace& trace) { change(trace.chunks.front()); };
  };
  const Damage damages[] = {
      {"expected the magic bytes", 0, {}, set(1, 'X')},
      {"expected version 1, found 9", 8, {}, set(8, 9)},
      {"expected at most 65536 bytes of text", 16, {}, set(18, 2)},
      {"expected the header's checksum", header - 4, {}, set(20, 'X')},
      {"expected known flags", 12, [](FuzzTrace& trace) { trace.flags = 64; }, {}},
      {"expected 'CHNK' or 'TEND'", header, {}, set(header, 'X')},
      {"expected a record with checksum", header, {}, set(header + 4, 77)},
      {" bytes with checksum ",
       header + kChunkHeaderBytes,
       {},
       set(header + kChunkHeaderBytes + 5, 0xaa)},
      {"expected a chunk of at most", header, first([](FuzzChunk& c) { c.header.events = 0; }), {}},
      {"expected a frame of",
       header + kChunkHeaderBytes,
       first([](FuzzChunk& c) { c.header.raw_bytes += 5; }),
       {}},
      {"expected one zstd frame",
       header + kChunkHeaderBytes,
       first([](FuzzChunk& c) { c.header.raw_bytes -= 5; }),
       {}},
      {"expected an event kind of 1 to 16, found 99",
       header,
       first([](FuzzChunk& c) { c.payload[0] = std::byte{99}; }),
       {}},
      {"expected a run of tickets, the order section ends",
       header,
       first([](FuzzChunk& c) { c.header.order_bytes = 0; }),
       {}},
      {"expected runs that rise",
       header,
       first(
           [](FuzzChunk& c) { c.payload[c.payload.size() - c.header.order_bytes] = std::byte{7}; }),
       {}},
  };
  for (const Damage& damage : damages) {
    FuzzTrace trace = good;
    if (damage.change) damage.change(trace);
    Bytes bytes = put_together(trace);
    if (damage.change_bytes) damage.change_bytes(bytes);
    const std::string message = consume(bytes);
    INFO(damage.message, " / ", message);
    CHECK(message.find("test.trace: byte " + std::to_string(damage.offset) + ": ") == 0);
    CHECK(message.find(damage.message) != std::string::npos);
  }
}
