#include "gc/special_table.h"

#include <doctest/doctest.h>

#include <map>
#include <memory>
#include <random>

namespace tricolor::gc {
namespace {

// An address that the table only compares.
char* address(uintptr_t number) {
  return reinterpret_cast<char*>(number * 16);  // NOLINT(performance-no-int-to-ptr)
}

std::unique_ptr<Task> numbered(uint64_t number) {
  auto task = std::make_unique<Task>(nullptr);
  task->number = number;
  return task;
}

TEST_CASE("special table: an empty one finds nothing") {
  SpecialTable table;
  CHECK(table.find(address(1)) == nullptr);
  CHECK(table.size() == 0);
  table.trim();
}

TEST_CASE("special table: a record is added once and found until it is erased") {
  SpecialTable table;
  const auto [added, fresh] = table.find_or_add(address(7));
  CHECK(fresh);
  CHECK(added->object() == address(7));
  added->cleanups.push(numbered(42));
  const auto [again, fresh_again] = table.find_or_add(address(7));
  CHECK_FALSE(fresh_again);
  CHECK(again->cleanups.first()->number == 42);
  CHECK(table.find(address(8)) == nullptr);
  table.erase(table.index_of(*again));
  CHECK(table.find(address(7)) == nullptr);
  CHECK(table.size() == 0);
}

// [special_table.places]
TEST_CASE("special table: holds what a map holds, whatever is added and erased in what order") {
  // Few addresses, close to each other: long runs of taken places, and erasing in their midst.
  for (const uintptr_t range : {8u, 64u, 1000u, 100'000u}) {
    CAPTURE(range);
    std::mt19937_64 random(range);
    SpecialTable table;
    std::map<char*, uint64_t> expected;
    for (uint64_t step = 0; step < 200'000; ++step) {
      char* const object = address(1 + random() % range);
      // Now it grows for a while, now it shrinks.
      const bool add = random() % 8 < (step / 20'000 % 2 == 0 ? 5u : 3u);
      if (add) {
        const auto [record, fresh] = table.find_or_add(object);
        REQUIRE(fresh == (expected.count(object) == 0));
        if (fresh) record->cleanups.push(numbered(step));
        expected.try_emplace(object, step);
      } else if (Special* const record = table.find(object)) {
        REQUIRE(record->cleanups.first()->number == expected.at(object));
        table.erase(table.index_of(*record));
        expected.erase(object);
      } else {
        REQUIRE(expected.count(object) == 0);
      }
      if (step % 1000 == 0) table.trim();
    }
    REQUIRE(table.size() == expected.size());
    for (const auto& [object, number] : expected) {
      Special* const record = table.find(object);
      REQUIRE(record != nullptr);
      REQUIRE(record->cleanups.first()->number == number);
    }
  }
}

TEST_CASE("special table: erasing while walking visits every record once") {
  SpecialTable table;
  for (uintptr_t i = 1; i <= 10'000; ++i) table.find_or_add(address(i));
  size_t visits = 0;
  for (size_t i = 0; i < table.size(); ++visits) {
    if (reinterpret_cast<uintptr_t>(table[i].object()) / 16 % 3 == 0) {
      table.erase(i);
    } else {
      ++i;
    }
  }
  CHECK(visits == 10'000);
  CHECK(table.size() == 10'000 - 10'000 / 3);
  for (uintptr_t i = 1; i <= 10'000; ++i) {
    CHECK((table.find(address(i)) == nullptr) == (i % 3 == 0));
  }
}

// [special_table.places]
TEST_CASE("special table: all that are empty are erased at once, few or many") {
  for (const uintptr_t share : {2u, 5u, 50u, 10'000u}) {
    CAPTURE(share);
    SpecialTable table;
    size_t empty = 0;
    for (uintptr_t i = 1; i <= 10'000; ++i) {
      Special& record = *table.find_or_add(address(i)).first;
      CHECK(record.empty());
      if (i % share == 0) {
        ++empty;
      } else {
        record.cleanups.push(numbered(i));
      }
    }
    table.erase_empty(empty);
    CHECK(table.size() == 10'000 - empty);
    for (uintptr_t i = 1; i <= 10'000; ++i) {
      Special* const record = table.find(address(i));
      REQUIRE((record == nullptr) == (i % share == 0));
      if (record != nullptr) REQUIRE(record->cleanups.first()->number == i);
    }
    CHECK(table.find_or_add(address(share)).second);
  }
}

}  // namespace
}  // namespace tricolor::gc
