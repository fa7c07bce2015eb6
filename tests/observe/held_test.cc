// Held sets: what one cycle has found stays as it is until the release, and not a cycle longer.

#include "gc/held.h"
#include "tests/support.hpp"

#include <tricolor/prelude.hpp>

namespace tricolor::tests {

namespace {

struct Sealed {
  gc::ptr<Sealed> next;
  std::uint64_t key = 0;
  std::uint64_t seal = 0;
};

Sealed* chain(std::uint64_t length) {
  Sealed* first = nullptr;
  for (std::uint64_t i = 0; i < length; ++i) {
    Sealed* const object = gc::make<Sealed>();
    object->key = i;
    object->seal = mix(i);
    object->next = first;
    first = object;
  }
  return first;
}

void reuse_memory() {
  on_fresh_thread([] {
    for (int i = 0; i < 3; ++i) {
      static_cast<void>(chain(scaled(20000)));
      runtime::collect();
    }
  });
}

}  // namespace

// [held.sweep]
TEST_CASE("held: what dies while it is held keeps its contents, and goes after the release") {
  constexpr std::uint64_t kLength = 2000;
  gc::root<Sealed> root;
  std::vector<std::uintptr_t> inverted;
  on_fresh_thread([&] {
    root = chain(kLength);
    for (const Sealed* object = root; object != nullptr; object = object->next)
      inverted.push_back(~reinterpret_cast<std::uintptr_t>(object));
  });
  std::size_t held = 0;
  std::size_t whole = 0;
  {
    const gc::Inspection inspection;
    on_fresh_thread([&] {
      // Half by the program, half by the collector.
      Sealed* const first = root;
      root = nullptr;
      gc::destroy(first);
    });
    reuse_memory();
    for (const std::uintptr_t hidden : inverted) {
      const auto* const object = reinterpret_cast<const Sealed*>(~hidden);
      held += gc::g_held.find(object) ? 1 : 0;
      whole += object->seal == mix(object->key) ? 1 : 0;
    }
  }
  CHECK(held == kLength);
  CHECK(whole >= kLength - 1);  // the destroyed one may have been clobbered
  clear_stack();
  reuse_memory();
  runtime::collect();
  runtime::MemStats stats;
  runtime::read_mem_stats(stats);
  CHECK(stats.heap_objects < kLength + 1000);
}

TEST_CASE("held: numbers count objects in the order of their addresses") {
  gc::root<Sealed> root;
  gc::root<char> large = gc::make_array<char>(1 << 20);
  on_fresh_thread([&] { root = chain(3000); });
  const gc::Inspection inspection;
  std::size_t number = 0;
  std::size_t wrong = 0;
  std::size_t chained = 0;
  const void* before = nullptr;
  gc::g_held.for_each([&](runtime::Cell cell) {
    const void* const object = runtime::g_heap.cell_address(cell);
    wrong += gc::g_held.number_of(cell) == number && object > before ? 0 : 1;
    chained += cell.span->cell_size == sizeof(Sealed) || cell.span->cell_size == 32 ? 1 : 0;
    before = object;
    ++number;
  });
  CHECK(wrong == 0);
  CHECK(number == gc::g_held.count());
  CHECK(chained >= 3000);
  CHECK(gc::g_held.find(large.get() + 1000));
}

// [held.still] One after the other, while threads allocate and sweep.
TEST_CASE("held: sets follow each other beside threads that sweep") {
  std::atomic<bool> stop{false};
  std::vector<std::thread> threads;
  std::atomic<std::size_t> broken{0};
  for (int i = 0; i < 3; ++i) {
    threads.emplace_back([&] {
      while (!stop) {
        const gc::root<Sealed> kept = chain(100);
        for (const Sealed* object = kept; object != nullptr; object = object->next)
          if (object->seal != mix(object->key)) ++broken;
      }
    });
  }
  for (int i = 0; i < 30; ++i) {
    const gc::Inspection inspection;
    std::size_t count = 0;
    gc::g_held.for_each([&](runtime::Cell) { ++count; });
    if (count != gc::g_held.count()) ++broken;
  }
  stop = true;
  for (std::thread& thread : threads) thread.join();
  CHECK(broken == 0);
}

}  // namespace tricolor::tests
