// gc::weak_map, weak_set, ephemeron, and gc::weak as a key.
#include "tests/support.hpp"

#include <set>
#include <unordered_set>

#include <tricolor/containers.hpp>

namespace tricolor::tests {
namespace {

struct Key {
  std::uint64_t number = 0;
  std::uint64_t other = 0;
};
struct Info {
  gc::ptr<Key> key;
  gc::ptr<Node> node;
};
using Map = gc::weak_map<Key, Info>;
static_assert(std::is_trivially_destructible_v<Map>);

Info* make_info(Key* key, std::uint64_t n) {
  Info* const info = gc::make<Info>();
  info->key = key;
  info->node = gc::make<Node>(n);
  return info;
}

TEST_CASE("weak_map: values live as long as their keys, though they refer to them") {
  gc::root<Map> map = gc::make<Map>();
  gc::root<gc::ptr<Key>> kept = gc::make_array<gc::ptr<Key>>(100);
  Census dying;
  on_fresh_thread([&] {
    for (std::uint64_t i = 0; i < 200; ++i) {
      Key* const key = gc::make<Key>();
      Info* const info = make_info(key, i);
      CHECK(map->insert_or_assign(key, info));
      if (i % 2 == 0) {
        kept[i / 2] = key;
      } else {
        dying.add(key);
        dying.add(info->node.get());
      }
    }
  });
  collect_all();
  shake(2);
  CHECK(dying.reclaimed());
  CHECK(map->size() <= 105);
  for (std::size_t i = 0; i < 100; ++i) {
    Info* const info = map->find(kept[i].get());
    REQUIRE(info != nullptr);
    REQUIRE(info->node->intact());
    REQUIRE(info->node->key == 2 * i);
    REQUIRE(info->key == kept[i].get());
  }
  std::size_t visited = 0;
  for (auto [key, info] : *map) {
    REQUIRE(info->key == key);
    ++visited;
  }
  CHECK(visited == map->size());
  CHECK(map->erase(kept[0].get()));
  CHECK_FALSE(map->erase(kept[0].get()));
  CHECK(map->find(kept[0].get()) == nullptr);
  CHECK_FALSE(map->insert_or_assign(kept[1].get(), nullptr));
  CHECK(map->contains(kept[1].get()));
  CHECK(map->find(kept[1].get()) == nullptr);
  Key local;
  CHECK_THROWS_AS(map->insert_or_assign(&local, nullptr), std::invalid_argument);
}

// The value of each key holds the next one, in an order that helps nobody.
TEST_CASE("weak_map: long chains through values, over several maps") {
  const std::size_t n = scaled(20'000);
  std::array<gc::root<Map>, 3> maps{gc::make<Map>(), gc::make<Map>(), gc::make<Map>()};
  gc::root<Key> first;
  on_fresh_thread([&] {
    gc::vector<gc::ptr<Key>> keys;
    for (std::size_t i = 0; i < n; ++i) {
      keys.push_back(gc::make<Key>());
      keys.back()->number = i;
    }
    Random random(announce_seed("weak_map chains"));
    gc::vector<std::size_t> order;
    for (std::size_t i = 0; i + 1 < n; ++i) order.push_back(i);
    for (std::size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[random.below(i)]);
    for (std::size_t i : order) {
      maps[i % 3]->insert_or_assign(keys[i].get(), make_info(keys[i + 1].get(), i));
    }
    first = keys[0].get();
  });
  collect_all();
  shake(1);
  on_fresh_thread([&] {
    Key* key = first.get();
    for (std::size_t i = 0; i + 1 < n; ++i) {
      Info* const info = maps[i % 3]->find(key);
      REQUIRE(info != nullptr);
      REQUIRE(info->node->intact());
      key = info->key;
      REQUIRE(key->number == i + 1);
    }
  });
  first = nullptr;
  collect_all();
  CHECK(maps[0]->size() + maps[1]->size() + maps[2]->size() <= n / 20 + 1);
}

TEST_CASE("weak_map: a map that dies takes its values along") {
  gc::root<Key> key = gc::make<Key>();
  Census census;
  on_fresh_thread([&] {
    for (int i = 0; i < 50; ++i) {
      Map* const map = gc::make<Map>();
      Info* const info = make_info(key.get(), 1);
      map->insert_or_assign(key.get(), info);
      census.add(info);
    }
  });
  collect_all();
  CHECK(census.reclaimed());
}

TEST_CASE("weak_map: gc::destroy of a key ends its entry") {
  gc::root<Map> map = gc::make<Map>();
  Key* const key = gc::make<Key>();
  map->insert_or_assign(key, make_info(key, 1));
  gc::destroy(key);
  CHECK(map->size() == 0);
}

// [ephemeron.gate] [ephemeron.closed] Threads look into maps of their own while cycles run; an entry's value is often
// reachable through nothing else.
TEST_CASE("weak_map: looked into and changed while cycles run") {
  CollectingThread collecting(scaled(kLongChain));
  Findings findings;
  const std::uint64_t seed = announce_seed("weak_map threads");
  on_threads(2, [&](std::size_t index) {
    Random random(seed + index);
    const std::size_t n = 64;
    Map* const map = gc::make<Map>();
    gc::ptr<Key>* const keys = gc::make_array<gc::ptr<Key>>(n);
    for (std::size_t round = 0; round < scaled(60'000); ++round) {
      const std::size_t i = random.below(n);
      switch (random.below(6)) {
        case 0:
          keys[i] = gc::make<Key>();
          map->insert_or_assign(keys[i].get(), make_info(keys[i].get(), i));
          break;
        case 1:
          if (keys[i] != nullptr) {  // the value moves on to another key
            Info* const info = map->find(keys[i].get());
            map->erase(keys[i].get());
            keys[i] = gc::make<Key>();
            if (info != nullptr) info->key = keys[i];
            map->insert_or_assign(keys[i].get(), info);
          }
          break;
        case 2:
          if (random.one_in(50)) {
            for (auto [key, info] : *map) {
              findings.expect(info == nullptr || info->node->intact(), "iteration");
              findings.expect(info == nullptr || info->key == key, "iteration: another key");
            }
          }
          break;
        case 3:
          keys[i] = nullptr;
          break;
        default:
          if (keys[i] != nullptr) {
            Info* const info = map->find(keys[i].get());
            findings.expect(info == nullptr || info->node->intact(), "find");
            findings.expect(info == nullptr || info->key == keys[i], "find: another key");
            findings.expect(info != nullptr, "an entry whose key is alive is gone");
          }
      }
    }
    gc::keep_alive(keys);
  });
  collecting.stop();
  INFO(findings.first());
  CHECK(findings.count() == 0);
}

// [ephemeron.dead]
TEST_CASE("weak_set and ephemeron") {
  gc::root<gc::weak_set<Key>> set = gc::make<gc::weak_set<Key>>();
  gc::root<Key> key;
  struct Held {
    gc::ephemeron<Key, Info> one;
  };
  gc::root<Held> held = gc::make<Held>();
  on_fresh_thread([&] {
    key = gc::make<Key>();
    CHECK(set->insert(key.get()));
    CHECK_FALSE(set->insert(key.get()));
    for (int i = 0; i < 100; ++i) set->insert(gc::make<Key>());
    held->one = gc::ephemeron<Key, Info>(key.get(), make_info(key.get(), 5));
  });
  shake(2);
  CHECK(set->size() <= 6);
  on_fresh_thread([&] {
    CHECK(set->contains(key.get()));
    CHECK(held->one.key() == key.get());
    CHECK(held->one.value()->node->intact());
  });
  key = nullptr;
  collect_all();
  CHECK_FALSE(held->one);
  CHECK(held->one.key() == nullptr);
  std::size_t visited = 0;
  for (Key* k : *set) visited += k != nullptr ? 1 : 0;
  CHECK(visited == set->size());
}

TEST_CASE("weak: hash and order are by identity, and stable after the object died") {
  std::unordered_set<gc::weak<Key>> hashed;
  std::set<gc::weak<Key>> ordered;
  std::vector<gc::weak<Key>> all;
  on_fresh_thread([&] {
    for (int i = 0; i < 100; ++i) {
      Key* const key = gc::make<Key>();
      all.emplace_back(key);
      hashed.insert(gc::weak<Key>(key));
      hashed.insert(gc::weak<Key>(key));
      ordered.insert(gc::weak<Key>(key));
    }
  });
  collect_all();
  CHECK(hashed.size() == 100);
  CHECK(ordered.size() == 100);
  for (const gc::weak<Key>& reference : all) {
    CHECK(hashed.contains(reference));
    CHECK(ordered.contains(reference));
  }
  CHECK((gc::weak<Key>() <=> gc::weak<Key>()) == 0);
}

}  // namespace
}  // namespace tricolor::tests
