// gc::snapshot: what is loaded stays whole while others publish.
#include "tests/pool/pool_support.hpp"

#include <stdexcept>

#include <tricolor/sync.hpp>

namespace tricolor::tests {
namespace {

struct Table {
  std::uint64_t version = 0;
  std::array<std::uint64_t, 16> rows{};
};

TEST_CASE("snapshot: load, store, exchange, compare_exchange") {
  gc::snapshot<Item> latest;
  CHECK(latest.load() == nullptr);
  Item* const a = gc::make<Item>(1);
  Item* const b = gc::make<Item>(2);
  latest.store(a);
  CHECK(latest.load() == a);
  CHECK(latest->key == 1);
  CHECK(latest.exchange(b) == a);
  CHECK_FALSE(latest.compare_exchange(a, nullptr));
  CHECK(latest.compare_exchange(b, a));
  CHECK((*latest).key == 1);
  const gc::snapshot made(gc::make<Item>(4));
  CHECK(made->key == 4);
}

TEST_CASE("snapshot: update publishes what the function makes, or the copy that it changes") {
  gc::snapshot<Table> latest;
  CHECK(latest.update([](Table& t) { t.version = 1; })->version == 1);
  const Table* const first = latest.load();
  latest.update([](Table& t) { ++t.version; });
  CHECK(first->version == 1);
  CHECK(latest->version == 2);
  latest.update([](const Table* now) {
    Table* const next = gc::make<Table>();
    next->version = now->version * 10;
    return next;
  });
  CHECK(latest->version == 20);
  CHECK_THROWS_AS(latest.update([](Table&) { throw std::runtime_error("no"); }),
                  std::runtime_error);
  CHECK(latest->version == 20);
}

TEST_CASE("snapshot: no update is lost, no reader sees a half, under cycles") {
  gc::snapshot<Table> latest(gc::make<Table>());
  const CollectingThread collecting;
  Findings findings;
  const std::size_t updates = scaled(20'000);
  on_threads(4, [&](std::size_t t) {
    for (std::size_t i = 0; i < updates; ++i) {
      if (t < 2) {
        latest.update([](Table& table) {
          ++table.version;
          table.rows.fill(table.version);
        });
      } else {
        const Table* const table = latest.load();
        const std::uint64_t version = table->version;
        bool whole = true;
        for (const std::uint64_t row : table->rows) whole = whole && row == version;
        findings.expect(whole, "a reader saw a half");
      }
    }
  });
  CHECK(findings.count() == 0);
  CHECK(latest->version == 2 * updates);
}

}  // namespace
}  // namespace tricolor::tests
