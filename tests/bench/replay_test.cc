// The replayer on a heap that watches what it is told.

#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <mutex>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "bench/replay/oracle.h"
#include "bench/replay/replay.h"
#include "bench/trace/writer.h"

namespace {

using namespace bench::replay;

union WatchedWord {
  uint64_t bits;
  WatchedWord* link;
};

struct WatchingBackend {
  using Word = WatchedWord;
  struct Page {
    Word* slot[kSlotsPerPage] = {};
  };
  struct ThreadScope {
    ThreadScope() {}
  };
  struct BlockingScope {
    BlockingScope() {}
  };
  class Directory {
   public:
    explicit Directory(uint64_t pages) : pages_(pages) {}
    Page* page(uint64_t i) { return &pages_.at(i); }

   private:
    std::vector<Page> pages_;
  };

  static Word* get(Word* ref) { return ref; }
  static void put(Word*& ref, Word* object) { ref = object; }
  static void init_link(Word& word, Word* object) { word.link = object; }

  // No larger than asked for, so that a sanitizer sees a byte too many.
  Word* allocate(size_t bytes, bool) {
    const std::lock_guard locked(lock);
    auto block = std::make_unique<std::byte[]>(std::max<size_t>(bytes, 1));
    auto* object = reinterpret_cast<Word*>(block.get());
    live[object] = std::move(block);
    most = std::max(most, live.size());
    return object;
  }
  Word* allocate_leaf(size_t bytes) { return allocate(bytes, true); }
  Word* reallocate(Word* old, size_t old_bytes, size_t bytes) {
    Word* object = allocate(bytes, false);
    std::memcpy(static_cast<void*>(object), old, std::min(old_bytes, bytes));
    release(old);
    return object;
  }
  void release(Word* object) {
    const std::lock_guard locked(lock);
    if (live.erase(object) != 1) throw std::logic_error("released twice");
    if (spoil_after != 0 && --spoil_after == 0) {
      for (auto& [other, block] : live) block[0] ^= std::byte{2};
    }
  }

  // What the oracle asks of a heap.
  static constexpr bool kCollects = true;
  void collect() { ++collected; }
  bool knows(const void* object) const { return !is_forgetful || object != live.begin()->first; }
  bool is_kept(const void* object) const {
    return live.count(static_cast<Word*>(const_cast<void*>(object))) != 0;
  }
  uint64_t held_bytes() const { return 0; }
  uint64_t collections() const { return collected; }

  std::map<Word*, std::unique_ptr<std::byte[]>> live;
  bool is_forgetful = false;
  uint64_t collected = 0;
  size_t most = 0;
  std::mutex lock;
  int spoil_after = 0;
};

CompiledProgram compile_text(const std::string& text, Threads threads = Threads::kAuto) {
  const auto* data = reinterpret_cast<const std::byte*>(text.data());
  bench::trace::Reader reader(bench::trace::open_memory("test.trace", {data, data + text.size()}));
  return compile(reader, threads);
}

CompiledProgram sample() {
  std::ostringstream out;
  bench::trace::Writer writer(out, {});
  std::vector<uint64_t> live;
  for (uint64_t i = 0; i < 3000; ++i) {
    live.push_back(writer.alloc(0, 8 + i * 37 % 100));
    if (i % 5 == 4) live.back() = writer.realloc(0, live.back(), i * 53 % 200);
    if (live.size() == 50) {
      for (size_t k = 0; k < 30; ++k) {
        const size_t victim = (k * 17) % live.size();
        writer.free(0, live[victim]);
        live.erase(live.begin() + static_cast<ptrdiff_t>(victim));
      }
    }
  }
  writer.finish();
  return compile_text(out.str());
}

// Three threads that hand objects to each other.
std::string crossing() {
  std::ostringstream out;
  bench::trace::Writer writer(out, {});
  std::vector<uint64_t> live;
  for (uint32_t i = 0; i < 6000; ++i) {
    live.push_back(writer.alloc(i % 3, 16 + i * 37 % 100));
    if (i % 7 == 6) live.back() = writer.realloc((i + 1) % 3, live.back(), i * 53 % 200);
    if (live.size() > 40) {
      const size_t victim = i * 31 % live.size();
      writer.free(i / 5 % 3, live[victim]);
      live.erase(live.begin() + static_cast<ptrdiff_t>(victim));
    }
  }
  writer.finish();
  return out.str();
}

uint64_t run(WatchingBackend& backend, uint64_t copies, int times,
             const CompiledProgram& program = sample()) {
  Stalls stalls;
  NoOracle oracle;
  const Program view = program.view();
  Replayer<WatchingBackend> replayer(backend, view, copies, oracle);
  for (int i = 0; i < times; ++i) {
    replayer.run(stalls);
    CHECK(backend.live.empty());
  }
  return replayer.checksum();
}

}  // namespace

TEST_CASE("replay: as much is alive as was recorded, nothing in the end") {
  WatchingBackend backend;
  run(backend, 1, 2);
  CHECK(backend.most == 51);  // 50 and the copy that a reallocation makes for a moment
}

TEST_CASE("replay: copies are alive at the same time") {
  WatchingBackend backend;
  run(backend, 3, 1);
  CHECK(backend.most > 100);
}

TEST_CASE("replay: the checksum depends on the program alone") {
  WatchingBackend first;
  WatchingBackend second;
  CHECK(run(first, 2, 2) == run(second, 2, 2));
}

TEST_CASE("replay: a heap that changes what is alive changes the checksum") {
  WatchingBackend good;
  WatchingBackend bad;
  bad.spoil_after = 1000;
  CHECK(run(good, 1, 1) != run(bad, 1, 1));
}

TEST_CASE("replay: recorded threads replay what crosses them in order") {
  const CompiledProgram program = compile_text(crossing());
  REQUIRE(program.info.lanes == 3);
  REQUIRE(program.info.waits > 1000);
  WatchingBackend first;
  WatchingBackend second;
  CHECK(run(first, 1, 2, program) == run(second, 1, 2, program));
}

namespace {

std::string oracle_message(WatchingBackend& backend) {
  const CompiledProgram program = sample();
  Oracle<WatchingBackend> oracle(backend, program.info.operations / kTurn, 4);
  const Program view = program.view();
  Replayer<WatchingBackend, Oracle<WatchingBackend>> replayer(backend, view, 1, oracle);
  Stalls stalls;
  try {
    replayer.run(stalls);
  } catch (const std::runtime_error& error) {
    return error.what();
  }
  return oracle.to_json();
}

}  // namespace

TEST_CASE("replay: the oracle finds nothing in a sound heap, and collects as often as asked") {
  WatchingBackend backend;
  CHECK(oracle_message(backend).find("\"kept_bytes_max\":0,") != std::string::npos);
  CHECK(backend.collected >= 4);
}

TEST_CASE("replay: the oracle names an object that the heap no longer knows") {
  WatchingBackend backend;
  backend.is_forgetful = true;
  CHECK(oracle_message(backend).find("is alive, but the collector no longer knows it") !=
        std::string::npos);
}
