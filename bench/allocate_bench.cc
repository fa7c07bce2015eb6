// What an object costs that is garbage at once, collections included: tricolor, Boehm's collector,
// malloc and free.
//
//   garbage/BYTES           an empty heap; "limit" only clears memory, 4 MiB in turn, the size of
//                           the smallest heap
//   occupied/PERCENT/BYTES  survivors scattered over the heap's cells, so many of 100
//   replace/BYTES           65,536 objects live, each new one takes the place of a random one

#include <fmt/format.h>
#include <gc.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <tricolor/tricolor.hpp>

#include "bench/micro/comparison.h"

namespace {

namespace gc = tricolor::gc;

// Survivors are reached through a table in the same heap, so they hold no reference themselves;
// cells of a kind that is scanned, as garbage is.
template <std::size_t Bytes>
struct Cell {
  gc::ptr<Cell> next;
  char rest[Bytes - sizeof(void*)];
};

class Random {
 public:
  std::uint64_t next() {
    state_ ^= state_ << 13;
    state_ ^= state_ >> 7;
    state_ ^= state_ << 17;
    return state_;
  }

 private:
  std::uint64_t state_ = 88172645463325252u;
};

// Objects are zeroed and their second word is written: collectors give zeroes, malloc's cell is
// cleared by hand.
struct Tricolor {
  static constexpr const char* kName = "tricolor";
  template <std::size_t Bytes>
  static void* make() {
    auto* const cell = gc::make<Cell<Bytes>>();
    std::memcpy(cell->rest, &cell, sizeof(void*));
    return cell;
  }
  static void release(void*) {}
  static void collect() { tricolor::runtime::collect(); }

  class Table {
   public:
    explicit Table(std::size_t slots) : root_(gc::make_array<gc::ptr<void>>(slots)) {}
    void put(std::size_t i, void* object) { root_.get()[i] = object; }
    void* get(std::size_t i) const { return root_.get()[i]; }

   private:
    gc::root<gc::ptr<void>> root_;
  };
};

struct Boehm {
  static constexpr const char* kName = "boehm";
  template <std::size_t Bytes>
  static void* make() {
    void* const cell = GC_MALLOC(Bytes);
    std::memcpy(static_cast<char*>(cell) + sizeof(void*), &cell, sizeof(void*));
    return cell;
  }
  static void release(void*) {}
  static void collect() { GC_gcollect(); }

  class Table {
   public:
    explicit Table(std::size_t slots)
        : slots_(static_cast<void**>(GC_MALLOC_UNCOLLECTABLE(slots * sizeof(void*)))) {}
    ~Table() { GC_FREE(slots_); }
    Table(const Table&) = delete;
    Table& operator=(const Table&) = delete;
    void put(std::size_t i, void* object) { slots_[i] = object; }
    void* get(std::size_t i) const { return slots_[i]; }

   private:
    void** slots_;
  };
};

struct Malloc {
  static constexpr const char* kName = "malloc";
  template <std::size_t Bytes>
  static void* make() {
    void* const cell = std::malloc(Bytes);
    std::memset(cell, 0, Bytes);
    std::memcpy(static_cast<char*>(cell) + sizeof(void*), &cell, sizeof(void*));
    return cell;
  }
  static void release(void* object) { std::free(object); }
  static void collect() {}

  class Table {
   public:
    explicit Table(std::size_t slots) : slots_(new void*[slots]()), count_(slots) {}
    ~Table() {
      for (std::size_t i = 0; i < count_; ++i) std::free(slots_[i]);
    }
    Table(const Table&) = delete;
    Table& operator=(const Table&) = delete;
    void put(std::size_t i, void* object) { slots_[i] = object; }
    void* get(std::size_t i) const { return slots_[i]; }

   private:
    std::unique_ptr<void*[]> slots_;
    std::size_t count_;
  };
};

template <typename Heap, std::size_t Bytes>
void churn(benchmark::State& state) {
  for ([[maybe_unused]] auto round : state) {
    void* cell = Heap::template make<Bytes>();
    benchmark::DoNotOptimize(cell);
    Heap::release(cell);
  }
}

template <std::size_t Bytes>
void limit(benchmark::State& state) {
  constexpr std::size_t kBuffer = std::size_t{4} << 20;
  const std::unique_ptr<char[]> buffer(new char[kBuffer]());
  std::size_t at = 0;
  for ([[maybe_unused]] auto round : state) {
    // A size that the compiler does not know makes a call, which is the faster way from 256 bytes
    // on.
    std::size_t bytes = Bytes;
    if constexpr (Bytes > 128) benchmark::DoNotOptimize(bytes);
    std::memset(&buffer[at], 0, bytes);
    benchmark::DoNotOptimize(&buffer[at]);
    benchmark::ClobberMemory();
    at = (at + Bytes) % kBuffer;
  }
}

template <typename Heap, std::size_t Bytes>
void garbage(benchmark::State& state) {
  Heap::collect();
  churn<Heap, Bytes>(state);
}

constexpr std::size_t kOccupiedBytes = std::size_t{64} << 20;

template <typename Heap, std::size_t Bytes>
void occupied(benchmark::State& state, unsigned percent) {
  const std::size_t cells = kOccupiedBytes / Bytes;
  Random random;
  // Fills the heap, then lets go of what does not survive.
  typename Heap::Table table(cells);
  for (std::size_t i = 0; i < cells; ++i) table.put(i, Heap::template make<Bytes>());
  for (std::size_t i = 0; i < cells; ++i) {
    if (random.next() % 100 < percent) continue;
    Heap::release(table.get(i));
    table.put(i, nullptr);
  }
  Heap::collect();
  churn<Heap, Bytes>(state);
}

template <typename Heap, std::size_t Bytes>
void replace(benchmark::State& state) {
  constexpr std::size_t kLive = 65536;
  Random random;
  typename Heap::Table table(kLive);
  for (std::size_t i = 0; i < kLive; ++i) table.put(i, Heap::template make<Bytes>());
  for ([[maybe_unused]] auto round : state) {
    const std::size_t i = random.next() % kLive;
    Heap::release(table.get(i));
    table.put(i, Heap::template make<Bytes>());
  }
}

template <typename Heap, std::size_t Bytes>
void register_size() {
  bench::add_contender(fmt::format("garbage/{}", Bytes), Heap::kName, garbage<Heap, Bytes>);
  if constexpr (Bytes == 32 || Bytes == 256) {
    for (const unsigned percent : {50u, 75u, 90u}) {
      bench::add_contender(
          fmt::format("occupied/{}/{}", percent, Bytes), Heap::kName,
          [percent](benchmark::State& state) { occupied<Heap, Bytes>(state, percent); });
    }
  }
  if constexpr (Bytes <= 256) {
    bench::add_contender(fmt::format("replace/{}", Bytes), Heap::kName, replace<Heap, Bytes>);
  }
}

template <std::size_t Bytes>
void register_heaps() {
  register_size<Tricolor, Bytes>();
  register_size<Boehm, Bytes>();
  register_size<Malloc, Bytes>();
  bench::add_contender(fmt::format("garbage/{}", Bytes), "limit", limit<Bytes>);
}

}  // namespace

int main(int argc, char** argv) {
  GC_INIT();
  GC_set_warn_proc(GC_ignore_warn_proc);
  tricolor::runtime::attach_thread();
  register_heaps<16>();
  register_heaps<32>();
  register_heaps<64>();
  register_heaps<256>();
  register_heaps<1024>();
  return bench::compare_main(argc, argv);
}
