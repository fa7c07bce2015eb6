// sync::MemoryGuard: acts at its share of the limit, and not below.
#include "tests/pool/pool_support.hpp"

#include <stdexcept>

#include <tricolor/sync.hpp>

namespace tricolor::tests {
namespace {

TEST_CASE("memory guard: below its share of the limit it does nothing") {
  int called = 0;
  sync::MemoryGuard guard({.limit = std::int64_t{1} << 50,
                           .interval = std::chrono::hours(1),
                           .hook = [&called](const sync::MemoryPressure&) { ++called; }});
  CHECK_FALSE(guard.check());
  CHECK(called == 0);
  CHECK(guard.actions() == 0);
  sync::MemoryGuard without({.interval = std::chrono::hours(1)});  // no limit is set
  if (debug::set_memory_limit(-1) == INT64_MAX) CHECK_FALSE(without.check());
}

TEST_CASE("memory guard: above it, it calls the hook, empties the pools and collects") {
  sync::Pool<Node> pool;
  Census census;
  on_fresh_thread([&] {
    for (std::uint64_t i = 0; i < 100; ++i) {
      Node* const node = gc::make<Node>(i);
      census.add(node);
      pool.put(node);
    }
  });
  sync::MemoryPressure told;
  sync::MemoryGuard guard({.limit = 1,
                           .interval = std::chrono::hours(1),
                           .hook = [&told](const sync::MemoryPressure& p) { told = p; }});
  // The guard's thread may have acted once already.
  CHECK(guard.check());
  clear_stack();
  CHECK(guard.check());
  CHECK(census.reclaimed());
  CHECK(told.limit == 1);
  CHECK(told.used > 0);
  CHECK(guard.actions() >= 2);
}

TEST_CASE("memory guard: its thread looks by itself, and goes with the last guard") {
  for (int round = 0; round < 3; ++round) {
    std::atomic<int> called{0};
    {
      sync::MemoryGuard guard({.limit = 1,
                               .interval = std::chrono::milliseconds(1),
                               .hook = [&called](const auto&) { ++called; }});
      CHECK(eventually([&] { return called.load() >= 2; }));
    }
    const int after = called;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    CHECK(called == after);
  }
}

TEST_CASE("memory guard: a hook that throws is reported, and the rest is done") {
  sync::MemoryGuard guard({.limit = 1, .interval = std::chrono::hours(1), .hook = [](const auto&) {
                             throw std::runtime_error("hook");
                           }});
  CHECK(guard.check());
  CHECK(guard.check());
}

TEST_CASE("memory guard: bad input") {
  CHECK_THROWS_AS(sync::MemoryGuard({.share = 0}), std::invalid_argument);
  CHECK_THROWS_AS(sync::MemoryGuard({.share = 1.5}), std::invalid_argument);
  CHECK_THROWS_AS(sync::MemoryGuard({.limit = -5}), std::invalid_argument);
  CHECK_THROWS_AS(sync::MemoryGuard({.interval = std::chrono::nanoseconds(0)}),
                  std::invalid_argument);
}

}  // namespace
}  // namespace tricolor::tests
