// sync::Map: Go's behaviours, alone and from many threads, under cycles.
#include "tests/pool/pool_support.hpp"

#include <map>
#include <set>
#include <stdexcept>
#include <string>

#include <tricolor/sync.hpp>

namespace tricolor::tests {
namespace {

using IntMap = sync::Map<int, Item>;
using Result = std::pair<Item*, bool>;

TEST_CASE("map: store, load, delete") {
  IntMap map;
  Item* const a = gc::make<Item>(1);
  Item* const b = gc::make<Item>(2);
  CHECK(map.load(1) == Result(nullptr, false));
  map.store(1, a);
  CHECK(map.load(1) == Result(a, true));
  CHECK(map.contains(1));
  map.store(1, b);
  CHECK(map.load(1) == Result(b, true));
  CHECK(map.size() == 1);
  CHECK(map.load_and_delete(1) == Result(b, true));
  CHECK(map.load_and_delete(1) == Result(nullptr, false));
  CHECK_FALSE(map.erase(1));
  CHECK(map.load(1) == Result(nullptr, false));
  CHECK(map.empty());
  map.store(1, a);
  CHECK(map.load(1) == Result(a, true));
}

TEST_CASE("map: nullptr is a value") {
  IntMap map;
  map.store(7, nullptr);
  CHECK(map.load(7) == Result(nullptr, true));
  CHECK(map.load_or_store(7, gc::make<Item>()) == Result(nullptr, true));
  CHECK(map.compare_and_delete(7, nullptr));
  CHECK(map.load(7) == Result(nullptr, false));
}

TEST_CASE("map: load_or_store, swap") {
  IntMap map;
  Item* const a = gc::make<Item>(1);
  Item* const b = gc::make<Item>(2);
  CHECK(map.load_or_store(1, a) == Result(a, false));
  CHECK(map.load_or_store(1, b) == Result(a, true));
  CHECK(map.swap(1, b) == Result(a, true));
  CHECK(map.swap(2, a) == Result(nullptr, false));
  CHECK(map.load(1).first == b);
  CHECK(map.load(2).first == a);
  map.erase(1);
  CHECK(map.load_or_store(1, a) == Result(a, false));
}

TEST_CASE("map: compare_and_swap and compare_and_delete") {
  IntMap map;
  Item* const a = gc::make<Item>(1);
  Item* const b = gc::make<Item>(2);
  CHECK_FALSE(map.compare_and_swap(1, nullptr, a));
  CHECK_FALSE(map.compare_and_delete(1, nullptr));
  map.store(1, a);
  CHECK_FALSE(map.compare_and_swap(1, b, a));
  CHECK(map.compare_and_swap(1, a, b));
  CHECK(map.load(1).first == b);
  CHECK_FALSE(map.compare_and_delete(1, a));
  CHECK(map.compare_and_delete(1, b));
  CHECK_FALSE(map.load(1).second);
  CHECK(map.size() == 0);
}

TEST_CASE(
    "map: range visits each key once, stops when told, and may be nested and change the map") {
  IntMap map;
  for (int i = 0; i < 1000; ++i) map.store(i, gc::make<Item>(static_cast<std::uint64_t>(i)));
  std::set<int> seen;
  map.range([&](const int& key, Item* value) {
    CHECK(value->key == static_cast<std::uint64_t>(key));
    seen.insert(key);
    return true;
  });
  CHECK(seen.size() == 1000);
  int visits = 0;
  map.range([&](int, Item*) { return ++visits < 10; });
  CHECK(visits == 10);
  IntMap three;
  for (int i = 0; i < 3; ++i) three.store(i, gc::make<Item>(static_cast<std::uint64_t>(i)));
  Item* const guest = gc::make<Item>(42);
  three.range([&](int key, Item*) {
    three.range([&](int inner, Item* value) {
      CHECK(three.load(inner) == Result(value, true));
      CHECK_FALSE(three.load_or_store(42, guest).second);
      CHECK(three.load_and_delete(42) == Result(guest, true));
    });
    three.erase(key);
    return true;
  });
  int left = 0;
  three.range([&left](int, Item*) { ++left; });
  CHECK(left == 0);
}

TEST_CASE("map: clear") {
  IntMap map;
  for (int i = 0; i < 5000; ++i) map.store(i, gc::make<Item>());
  map.clear();
  CHECK(map.size() == 0);
  for (int i = 0; i < 5000; ++i) REQUIRE_FALSE(map.load(i).second);
  map.store(3, gc::make<Item>(3));
  CHECK(map.load(3).first->key == 3);
  CHECK(map.size() == 1);
}

TEST_CASE("map: behaves as std::map does, over random operations") {
  Random random(announce_seed("map model"));
  sync::Map<std::string, Item> map;
  std::map<std::string, Item*> model;
  gc::root<gc::ptr<Item>> items(gc::make_array<gc::ptr<Item>>(64));
  for (std::size_t i = 0; i < 64; ++i) items[i] = gc::make<Item>(i);
  for (std::size_t n = 0; n < scaled(200'000); ++n) {
    const std::string key = "key " + std::to_string(random.below(n % 4096 < 2048 ? 40 : 3000));
    Item* const item = items[random.below(64)];
    const auto at = model.find(key);
    const Result there = at == model.end() ? Result(nullptr, false) : Result(at->second, true);
    switch (random.below(8)) {
      case 0:
        map.store(key, item);
        model[key] = item;
        break;
      case 1:
        REQUIRE(map.load_or_store(key, item) == (there.second ? there : Result(item, false)));
        if (!there.second) model[key] = item;
        break;
      case 2:
        REQUIRE(map.load_and_delete(key) == there);
        model.erase(key);
        break;
      case 3:
        REQUIRE(map.swap(key, item) == there);
        model[key] = item;
        break;
      case 4: {
        Item* const old = random.one_in(2) ? there.first : item;
        const bool expected = there.second && there.first == old;
        REQUIRE(map.compare_and_swap(key, old, item) == expected);
        if (expected) model[key] = item;
        break;
      }
      case 5:
        REQUIRE(map.compare_and_delete(key, item) == (there.second && there.first == item));
        if (there.second && there.first == item) model.erase(key);
        break;
      case 6:
        if (random.one_in(5000)) {
          map.clear();
          model.clear();
        }
        break;
      default:
        REQUIRE(map.load(key) == there);
    }
    if (n % 1024 == 0) REQUIRE(map.size() == model.size());
  }
}

TEST_CASE("map: keys and values of collected objects stay, and go when they are deleted") {
  sync::Map<Node*, Node> map;
  Census census;
  on_fresh_thread([&] {
    for (std::uint64_t i = 0; i < 2000; ++i) {
      Node* const key = gc::make<Node>(i);
      Node* const value = gc::make<Node>(i);
      census.add(key);
      census.add(value);
      map.store(key, value);
    }
  });
  shake();
  CHECK(census.alive() == 4000);
  on_fresh_thread([&] {
    map.range([&](Node* key, Node* value) {
      REQUIRE(key->intact());
      REQUIRE(value->key == key->key);
      map.erase(key);
    });
  });
  collect_all();
  CHECK(census.alive() < 400);  // deleted keys go with the next rebuild, but for a last few
  on_fresh_thread([&] { map.clear(); });
  collect_all();
  CHECK(census.reclaimed());
}

TEST_CASE("map: a hash or comparison that throws changes nothing") {
  struct Key {
    int id;
    bool bad = false;
  };
  struct Hash {
    std::size_t operator()(const Key& key) const {
      if (key.bad) throw std::runtime_error("hash");
      return 1;  // all collide
    }
  };
  struct Equal {
    bool operator()(const Key& a, const Key& b) const {
      if (b.id < 0) throw std::runtime_error("equal");
      return a.id == b.id;
    }
  };
  sync::Map<Key, Item, Hash, Equal> map;
  for (int i = 0; i < 100; ++i) map.store({i}, gc::make<Item>(static_cast<std::uint64_t>(i)));
  CHECK_THROWS_AS(map.store({1, true}, nullptr), std::runtime_error);
  CHECK_THROWS_AS(map.store({-1}, nullptr), std::runtime_error);
  CHECK(map.size() == 100);
  for (int i = 0; i < 100; ++i) CHECK(map.load({i}).first->key == static_cast<std::uint64_t>(i));
}

TEST_CASE("[map.revive] map: each key is inserted by one thread alone, whatever the tables do") {
  IntMap map;
  constexpr std::size_t kThreads = 4;
  const int keys = static_cast<int>(scaled(40'000));
  std::atomic<int> inserted{0};
  Findings findings;
  const CollectingThread collecting;
  on_threads(kThreads, [&](std::size_t t) {
    for (int n = 0; n < keys; ++n) {
      const int key = (n * 7919 + static_cast<int>(t)) % keys;
      Item* const mine = gc::make<Item>(static_cast<std::uint64_t>(key));
      const auto [value, loaded] = map.load_or_store(key, mine);
      if (!loaded) inserted.fetch_add(1);
      findings.expect(loaded || value == mine, "stored another's value");
      findings.expect(value->intact() && value->key == static_cast<std::uint64_t>(key),
                      "not whole");
      findings.expect(map.load(key).first == value, "the value has changed");
    }
  });
  CHECK(findings.first() == "");
  CHECK(inserted == static_cast<int>(map.size()));
}

TEST_CASE(
    "[map.entry] map: a counter by compare_and_swap loses no step while the table grows and "
    "shrinks") {
  sync::Map<int, Item> map;
  map.store(-1, gc::make<Item>(0));
  const std::size_t steps = scaled(10'000);
  std::atomic<bool> stop{false};
  std::thread churner([&] {
    for (int round = 0; !stop; ++round) {
      for (int i = 0; i < 500; ++i) map.store(round * 500 + i, gc::make<Item>());
      for (int i = 0; i < 500; ++i) map.erase(round * 500 + i);
    }
  });
  on_threads(3, [&](std::size_t) {
    for (std::size_t i = 0; i < steps;) {
      Item* const before = map.load(-1).first;
      if (map.compare_and_swap(-1, before, gc::make<Item>(before->key + 1))) ++i;
    }
  });
  stop = true;
  churner.join();
  CHECK(map.load(-1).first->key == 3 * steps);
}

TEST_CASE("map: threads store, delete, range and clear at once") {
  sync::Map<int, Item> map;
  Findings findings;
  const CollectingThread collecting;
  on_threads(4, [&](std::size_t t) {
    Random random(t);
    for (std::size_t i = 0; i < scaled(40'000); ++i) {
      const int key = static_cast<int>(random.below(500));
      const auto seal = static_cast<std::uint64_t>(key);
      switch (random.below(6)) {
        case 0:
          map.store(key, gc::make<Item>(seal));
          break;
        case 1:
          map.erase(key);
          break;
        case 2:
          if (random.one_in(2000)) map.clear();
          break;
        case 3:
          if (random.one_in(200)) {
            std::set<int> seen;
            map.range([&](int k, Item* v) {
              findings.expect(seen.insert(k).second, "a key came twice");
              findings.expect(v->key == static_cast<std::uint64_t>(k), "another key's value");
            });
          }
          break;
        default:
          if (const auto [value, found] = map.load(key); found) {
            findings.expect(value->intact() && value->key == seal, "a value is not whole");
          }
      }
    }
  });
  CHECK(findings.first() == "");
  std::size_t count = 0;
  map.range([&count](int, Item*) { ++count; });
  CHECK(count == map.size());
}

}  // namespace
}  // namespace tricolor::tests
