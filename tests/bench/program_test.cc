#include <doctest/doctest.h>

#include <algorithm>
#include <optional>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include "bench/replay/code.h"
#include "bench/replay/program.h"
#include "bench/trace/error.h"
#include "bench/trace/writer.h"

namespace {

using namespace bench::replay;
using bench::trace::TraceError;
using bench::trace::Writer;

CompiledProgram compile_bytes(const std::string& text, Threads threads) {
  const auto* data = reinterpret_cast<const std::byte*>(text.data());
  bench::trace::Reader reader(bench::trace::open_memory("test.trace", {data, data + text.size()}));
  return compile(reader, threads);
}

template <typename Fill>
CompiledProgram compiled(Fill fill, uint32_t flags = bench::trace::kHasFrees,
                         Threads threads = Threads::kAuto) {
  std::ostringstream out;
  Writer::Options options;
  options.flags = flags;
  Writer writer(out, options);
  fill(writer);
  writer.finish();
  return compile_bytes(out.str(), threads);
}

// One operation, taken apart.
struct Decoded {
  Op op;
  uint32_t name;
  uint32_t link = kNone;
  uint32_t bytes = 0;
};

std::vector<Decoded> decode(const CompiledProgram& program, size_t lane = 0) {
  std::vector<Decoded> operations;
  const std::vector<uint32_t> code = operations_of(program, lane);
  for (size_t at = 0; at < code.size(); at += words_of(op_of(code[at]))) {
    Decoded decoded{op_of(code[at]), number_of(code[at])};
    if (words_of(decoded.op) >= 3) {
      decoded.link = code[at + 1];
      decoded.bytes = code[at + 2];
    } else if (words_of(decoded.op) == 2) {
      decoded.bytes = code[at + 1];
    }
    operations.push_back(decoded);
  }
  return operations;
}

}  // namespace

TEST_CASE("program: a slot is free again at the recorded end, and not before") {
  const auto operations = decode(compiled([](Writer& writer) {
    const uint64_t a = writer.alloc(0, 24);
    writer.alloc_zeroed(0, 32);
    writer.free(0, a);
    writer.alloc(0, 40);
  }));
  REQUIRE(operations.size() == 6);
  CHECK(operations[0].op == Op::kAlloc);
  CHECK(operations[0].name == 0);
  CHECK(operations[1].op == Op::kAllocZeroed);
  CHECK(operations[1].name == 1);
  CHECK(operations[2].op == Op::kFree);
  CHECK(operations[2].name == 0);
  CHECK(operations[3].name == 0);
  CHECK(operations[3].bytes == 40);
}

TEST_CASE("program: what never ends is freed at the end, the youngest first") {
  const auto operations = decode(compiled([](Writer& writer) {
    for (int i = 0; i < 3; ++i) writer.alloc(0, 16);
  }));
  REQUIRE(operations.size() == 6);
  for (size_t i = 0; i < 3; ++i) {
    CHECK(operations[3 + i].op == Op::kFree);
    CHECK(operations[3 + i].name == 2 - i);
  }
}

TEST_CASE("program: a reallocation keeps the slot") {
  const auto operations = decode(compiled([](Writer& writer) {
    writer.alloc(0, 16);
    const uint64_t b = writer.alloc(0, 24);
    writer.free(0, writer.realloc(0, b, 100));
  }));
  CHECK(operations[2].op == Op::kRealloc);
  CHECK(operations[2].name == operations[1].name);
  CHECK(operations[2].bytes == 100);
  CHECK(operations[3].name == operations[1].name);
}

TEST_CASE("program: the counts") {
  const auto program = compiled([](Writer& writer) {
    const uint64_t a = writer.alloc(0, 100);
    const uint64_t b = writer.alloc(0, 50);
    writer.free(0, a);
    writer.free(0, writer.realloc(0, b, 70));
  });
  CHECK(program.info.operations == 5);
  CHECK(program.info.allocations == 3);
  CHECK(program.info.allocated_bytes == 220);
  CHECK(program.info.peak_bytes == 150);
  CHECK(program.info.names == 2);
  CHECK(program.info.words == program.code.at(0).size());
}

// A reference may only lead to an object that ends later than the one that holds it, or the replay
// would keep alive what the recorded program had freed.
TEST_CASE("program: no reference outlives its target") {
  const auto program = compiled([](Writer& writer) {
    std::mt19937_64 random(3);
    std::vector<uint64_t> live;
    for (int i = 0; i < 20000; ++i) {
      const uint64_t choice = random() % 10;
      if (live.size() < 200 || choice < 5) {
        live.push_back(writer.alloc(0, random() % 200));
        continue;
      }
      const size_t victim = random() % live.size();
      if (choice < 6) {
        live[victim] = writer.realloc(0, live[victim], random() % 300);
      } else {
        writer.free(0, live[victim]);
        live.erase(live.begin() + static_cast<ptrdiff_t>(victim));
      }
    }
  });
  CHECK(program.info.links > 5000);

  // For each slot the number of its object, and for each object whom it refers to.
  std::vector<std::optional<size_t>> object_in(program.info.names);
  std::vector<std::optional<size_t>> link_of;
  std::vector<bool> has_ended;
  const auto end = [&](uint32_t slot) {
    const size_t object = object_in[slot].value();
    const bool link_is_alive = !link_of[object] || !has_ended[*link_of[object]];
    REQUIRE(link_is_alive);
    has_ended[object] = true;
    object_in[slot].reset();
  };
  for (const Decoded& operation : decode(program)) {
    std::optional<size_t> link;
    if (operation.link != kNone) {
      REQUIRE(operation.bytes >= kMinLinking);
      link = object_in[operation.link].value();
    }
    if (operation.op == Op::kFree || operation.op == Op::kRealloc) end(operation.name);
    if (operation.op == Op::kFree) continue;
    REQUIRE(!object_in[operation.name]);
    object_in[operation.name] = link_of.size();
    link_of.push_back(link);
    has_ended.push_back(false);
  }
  CHECK(std::count(has_ended.begin(), has_ended.end(), false) == 0);
}

TEST_CASE("program: a trace that cannot be replayed from its frees is refused") {
  const auto nothing = [](Writer& writer) { writer.mark(0, "x"); };
  CHECK_THROWS_WITH_AS(compiled(nothing, 0), doctest::Contains("the ends of objects"), TraceError);
  CHECK_THROWS_WITH_AS(compiled(nothing, bench::trace::kHasFrees | bench::trace::kHasStores),
                       doctest::Contains("reference stores and roots"), TraceError);
}

TEST_CASE("program: an object too large to replay is refused with its place") {
  CHECK_THROWS_WITH_AS(compiled([](Writer& writer) { writer.alloc(0, uint64_t{1} << 32); }),
                       doctest::Contains("event 1 of 1"), TraceError);
}

TEST_CASE("program: threads that are alive at once get lanes, others share one") {
  const auto program = compiled([](Writer& writer) {
    writer.free(0, writer.alloc(0, 16));
    const uint64_t a = writer.alloc(1, 16);
    const uint64_t b = writer.alloc(2, 16);
    writer.free(1, a);
    writer.free(2, b);
    writer.free(3, writer.alloc(3, 16));
  });
  CHECK(program.info.lanes == 2);
  CHECK(program.info.waits == 0);
}

TEST_CASE("program: an object that crosses threads is waited for, once") {
  const auto program = compiled([](Writer& writer) {
    const uint64_t a = writer.alloc(0, 100);
    const uint64_t b = writer.alloc(0, 200);
    const uint64_t c = writer.alloc(1, 300);
    writer.free(1, b);
    writer.free(1, a);
    writer.free(0, c);
  });
  REQUIRE(program.info.lanes == 2);
  const auto first = decode(program, 0);
  REQUIRE(first.size() == 5);
  CHECK(first[1].bytes == 200);
  CHECK(first[2].op == Op::kSignal);
  CHECK(first[3].op == Op::kWait);
  CHECK(first[4].op == Op::kFree);
  const auto second = decode(program, 1);
  REQUIRE(second.size() == 5);
  CHECK(second[0].op == Op::kAlloc);
  CHECK(second[1].op == Op::kSignal);
  CHECK(second[2].op == Op::kWait);
  CHECK(second[2].bytes == 1);
  CHECK(second[3].op == Op::kFree);
  CHECK(second[4].op == Op::kFree);
}

TEST_CASE("program: one thread replays all when asked to") {
  const auto program = compiled(
      [](Writer& writer) {
        writer.free(1, writer.alloc(0, 100));
        writer.free(0, writer.alloc(1, 100));
      },
      bench::trace::kHasFrees, Threads::kOne);
  CHECK(program.info.lanes == 1);
  CHECK(decode(program).size() == 4);
}
