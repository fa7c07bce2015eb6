// Traces with reference stores: ends by reachability, and programs whose objects hang from each
// other.

#include <doctest/doctest.h>

#include <algorithm>
#include <deque>
#include <map>
#include <random>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "bench/replay/code.h"
#include "bench/replay/program.h"
#include "bench/trace/deaths.h"
#include "bench/trace/error.h"
#include "bench/trace/graph.h"
#include "bench/trace/writer.h"

namespace {

using namespace bench::replay;
using bench::trace::Graph;
using bench::trace::kNever;
using bench::trace::kNullObject;
using bench::trace::Reader;
using bench::trace::TraceError;
using bench::trace::Writer;

constexpr uint32_t kFlags = bench::trace::kHasStores | bench::trace::kHasRoots;

template <typename Fill>
Reader reader_of(Fill fill, uint32_t flags = kFlags) {
  std::ostringstream out;
  Writer::Options options;
  options.flags = flags;
  Writer writer(out, options);
  fill(writer);
  writer.finish();
  const std::string text = out.str();
  const auto* data = reinterpret_cast<const std::byte*>(text.data());
  return Reader(bench::trace::open_memory("test.trace", {data, data + text.size()}));
}

template <typename Fill>
Graph graph_of(Fill fill) {
  Reader reader = reader_of(fill);
  return read_graph(reader);
}

// Objects that are linked, unlinked, rooted and forgotten at random; the program goes on using
// objects that only its stack knows.
void fill_at_random(Writer& writer, uint64_t seed, uint32_t threads) {
  std::mt19937_64 random(seed);
  std::vector<uint64_t> known;
  constexpr uint64_t kSlots = 3;
  for (int i = 0; i < 4000; ++i) {
    const auto thread = static_cast<uint32_t>(random() % threads);
    const uint64_t choice = random() % 20;
    if (known.size() < 4 || choice < 6) {
      known.push_back(writer.alloc(thread, kSlots * 8 + random() % 3 * 8));
      continue;
    }
    const uint64_t a = known[random() % known.size()];
    const uint64_t b = known[known.size() - 1 - random() % std::min<size_t>(known.size(), 6)];
    if (choice < 14) {
      writer.store(thread, a, random() % kSlots, random() % 5 == 0 ? kNullObject : b);
    } else if (choice < 16) {
      writer.root_set(thread, random() % 5, random() % 4 == 0 ? kNullObject : b);
    } else {
      known.erase(known.begin() + static_cast<ptrdiff_t>(random() % known.size()));
    }
  }
}

// The object graph as a replay of one lane makes it, and what of it is reachable.
class Simulation {
 public:
  explicit Simulation(const CompiledProgram& program) : code_(operations_of(program, 0)) {}

  void run() {
    for (size_t at = 0; at < code_.size(); at += words_of(op_of(code_[at]))) step(&code_[at]);
  }

  uint64_t live_after_ends = 0;
  uint64_t most_live = 0;
  std::map<uint32_t, uint64_t> registers;

 private:
  void step(const uint32_t* at) {
    const uint32_t number = number_of(*at);
    switch (op_of(*at)) {
      case Op::kNew:
      case Op::kNewLeaf:
        names_[number] = ++objects_;
        newest_.push_back(objects_);
        if (newest_.size() > kWindow) newest_.pop_front();
        alive_.insert(objects_);
        most_live = std::max(most_live, uint64_t{alive_.size()});
        break;
      case Op::kStore:
        require_reachable(number);
        if (at[2] != kNone) require_reachable(at[2]);
        fields_[names_.at(number)][at[1]] = at[2] == kNone ? 0 : names_.at(at[2]);
        break;
      case Op::kRoot:
        if (at[1] != kNone) require_reachable(at[1]);
        registers[number] = at[1] == kNone ? 0 : names_.at(at[1]);
        break;
      case Op::kEnd:
        require_reachable(number);
        alive_.erase(names_.at(number));
        ended_.insert(names_.at(number));
        names_.erase(number);
        is_after_end_ = true;
        return;
      default:
        FAIL("not an operation of this program");
    }
    // Once the step that killed them was done, what ended is reachable no more, but for the window.
    if (is_after_end_ && op_of(*at) == Op::kNew) {
      is_after_end_ = false;
      const std::set<uint64_t> reached = reachable(false);
      for (const uint64_t object : ended_) live_after_ends += reached.count(object);
      ended_.clear();
    }
  }

  std::set<uint64_t> reachable(bool with_window) const {
    std::vector<uint64_t> waiting;
    for (const auto& [number, object] : registers) waiting.push_back(object);
    if (with_window) waiting.insert(waiting.end(), newest_.begin(), newest_.end());
    std::set<uint64_t> reached;
    while (!waiting.empty()) {
      const uint64_t object = waiting.back();
      waiting.pop_back();
      if (object == 0 || !reached.insert(object).second) continue;
      const auto found = fields_.find(object);
      if (found == fields_.end()) continue;
      for (const auto& [slot, target] : found->second) waiting.push_back(target);
    }
    return reached;
  }

  void require_reachable(uint32_t name) {
    REQUIRE(names_.count(name) == 1);
    REQUIRE(reachable(true).count(names_.at(name)) == 1);
  }

  const std::vector<uint32_t> code_;
  uint64_t objects_ = 0;
  std::map<uint32_t, uint64_t> names_;
  std::map<uint64_t, std::map<uint32_t, uint64_t>> fields_;
  std::deque<uint64_t> newest_;
  std::set<uint64_t> alive_;
  std::set<uint64_t> ended_;
  bool is_after_end_ = false;
};

}  // namespace

TEST_CASE("graph: an object ends with the last reference to it") {
  const Graph graph = graph_of([](Writer& writer) {
    const uint64_t a = writer.alloc(0, 16);  // step 0
    const uint64_t b = writer.alloc(0, 16);  // 1
    writer.root_set(0, 9, a);                // 2
    writer.store(0, a, 1, b);                // 3
    writer.alloc(0, 8);                      // 4
    writer.store(0, a, 1, kNullObject);      // 5
    writer.root_clear(0, 9);                 // 6
  });
  CHECK(graph.objects[0].end == 6);
  CHECK(graph.objects[1].end == 5);
  CHECK(graph.objects[2].end == 4);
}

TEST_CASE("graph: what a dead object refers to lives as long as it did, cycles too") {
  const Graph graph = graph_of([](Writer& writer) {
    const uint64_t a = writer.alloc(0, 16);  // step 0
    const uint64_t b = writer.alloc(0, 16);  // 1
    const uint64_t c = writer.alloc(0, 16);  // 2
    writer.store(0, a, 0, b);                // 3
    writer.store(0, b, 0, a);                // 4
    writer.store(0, b, 1, c);                // 5
    writer.root_set(0, 0, b);                // 6
    writer.alloc(0, 8);                      // 7
    writer.root_set(0, 0, kNullObject);      // 8
  });
  for (size_t i = 0; i < 3; ++i) CHECK(graph.objects[i].end == 8);
}

TEST_CASE("graph: what a root leads to in the end never ends") {
  const Graph graph = graph_of([](Writer& writer) {
    const uint64_t a = writer.alloc(0, 16);
    const uint64_t b = writer.alloc(0, 16);
    writer.store(0, a, 0, b);
    writer.root_set(0, 0, a);
  });
  CHECK(graph.objects[0].end == kNever);
  CHECK(graph.objects[1].end == kNever);
}

TEST_CASE("graph: a reallocation takes the references along that fit") {
  const Graph graph = graph_of([](Writer& writer) {
    const uint64_t b = writer.alloc(0, 8);
    const uint64_t c = writer.alloc(0, 8);
    const uint64_t a = writer.alloc(0, 16);
    writer.store(0, a, 0, b);
    writer.store(0, a, 1, c);
    const uint64_t moved = writer.realloc(0, a, 8);
    writer.root_set(0, 0, moved);
  });
  CHECK(graph.objects[0].end == kNever);
  CHECK(graph.objects[1].end != kNever);
  CHECK(graph.objects[2].end != kNever);
  CHECK(graph.objects[3].end == kNever);
}

TEST_CASE("graph: a death while something leads to the object is refused") {
  Reader reader = reader_of(
      [](Writer& writer) {
        const uint64_t a = writer.alloc(0, 16);
        const uint64_t b = writer.alloc(0, 16);
        writer.root_set(0, 0, a);
        writer.store(0, a, 0, b);
        writer.death(0, b);
      },
      kFlags | bench::trace::kHasDeaths);
  CHECK_THROWS_WITH_AS(
      read_graph(reader),
      doctest::Contains("expected object 1 to be unreachable at its recorded death"), TraceError);
}

TEST_CASE("graph: a store outside the object is refused") {
  CHECK_THROWS_WITH_AS(graph_of([](Writer& writer) {
                         const uint64_t a = writer.alloc(0, 16);
                         writer.store(0, a, 2, a);
                       }),
                       doctest::Contains("expected a word inside the object of 16 bytes"),
                       TraceError);
}

TEST_CASE("deaths: a trace that they were added to has the same ends, and holds nothing dead") {
  const auto fill = [](Writer& writer) { fill_at_random(writer, 4, 2); };
  Reader first = reader_of(fill);
  const Graph graph = read_graph(first);
  Reader second = reader_of(fill);
  std::ostringstream out;
  write_with_deaths(second, graph, out, {});
  const std::string text = out.str();
  const auto* data = reinterpret_cast<const std::byte*>(text.data());
  Reader reader(bench::trace::open_memory("deaths.trace", {data, data + text.size()}));
  CHECK(reader.flags() == (kFlags | bench::trace::kHasDeaths));
  const Graph with_deaths = read_graph(reader);
  CHECK(with_deaths.recorded_deaths > 500);
  REQUIRE(with_deaths.objects.size() == graph.objects.size());
  REQUIRE(with_deaths.steps.size() == graph.steps.size());
  for (size_t i = 0; i < graph.objects.size(); ++i) {
    REQUIRE(with_deaths.objects[i].end == graph.objects[i].end);
  }
}

TEST_CASE("graph program: what is named is reachable, what ended is not") {
  for (uint64_t seed = 1; seed <= 5; ++seed) {
    CAPTURE(seed);
    Reader reader = reader_of([&](Writer& writer) { fill_at_random(writer, seed, 1); });
    const CompiledProgram program = compile(reader);
    REQUIRE(program.info.stores > 1000);
    CHECK(program.info.held < program.info.allocations);
    Simulation simulation(program);
    simulation.run();
    CHECK(simulation.live_after_ends == 0);
    CHECK(std::all_of(simulation.registers.begin(), simulation.registers.end(),
                      [](const auto& entry) { return entry.second == 0; }));
  }
}

TEST_CASE("graph program: a long list hangs from its head, not from registers") {
  Reader reader = reader_of([](Writer& writer) {
    uint64_t tail = writer.alloc(0, 24);
    writer.root_set(0, 0, tail);
    for (int i = 0; i < 5000; ++i) {
      const uint64_t next = writer.alloc(0, 24);
      writer.store(0, tail, 1, next);
      tail = next;
    }
  });
  const CompiledProgram program = compile(reader);
  CHECK(program.info.held == 0);
  CHECK(program.info.registers == 1);
}

TEST_CASE("graph program: recorded threads are lanes, every object is held until its end") {
  Reader reader = reader_of([](Writer& writer) { fill_at_random(writer, 8, 3); });
  const CompiledProgram program = compile(reader, Threads::kRecorded);
  CHECK(program.info.lanes == 3);
  CHECK(program.info.waits > 100);
  CHECK(program.info.registers >= program.info.names);
}
