// sync::LayeredCache: which layer is asked, what is stored where, and what happens when one fails.
#include "tests/pool/pool_support.hpp"

#include <stdexcept>
#include <string>

#include <tricolor/sync.hpp>

namespace tricolor::tests {
namespace {

using namespace std::chrono_literals;
using Layered = sync::LayeredCache<int, Item>;

Item* item(int key) { return gc::make<Item>(static_cast<std::uint64_t>(key)); }

TEST_CASE("layered cache: near, far, origin; a hit below is stored above") {
  sync::Cache<int, Item> far({.max_cost = 100});
  int asked = 0;
  Layered cache({.near = {.max_cost = 2}, .far = far, .origin = [&](int key) {
                   ++asked;
                   return item(key);
                 }});
  Item* const one = cache.get(1);
  CHECK(one->key == 1);
  CHECK(asked == 1);
  CHECK(cache.get(1) == one);
  CHECK(far.get(1) == one);
  cache.clear();
  CHECK(cache.get(1) == one);
  CHECK(asked == 1);
  CHECK(cache.stats().far_hits == 1);
  CHECK(cache.near().get(1) == one);
  cache.erase(1);
  CHECK(far.get(1) == nullptr);
  CHECK(cache.get(1) != nullptr);
  CHECK(asked == 2);
  cache.set(5, one);
  CHECK(far.get(5) == one);
  CHECK(cache.get(5) == one);
  CHECK(asked == 2);
}

TEST_CASE("layered cache: a far layer that throws counts as a miss") {
  struct Broken {
    Item* get(int) { throw std::runtime_error("far"); }
    void set(int, Item*) { throw std::runtime_error("far"); }
  } broken;
  Layered cache({.far = broken, .origin = [](int key) { return item(key); }});
  CHECK(cache.get(3)->key == 3);
  CHECK(cache.get(3)->key == 3);
  CHECK(cache.stats().far_errors == 2);
  CHECK(cache.stats().origin_loads == 1);
}

TEST_CASE("layered cache: the origin is asked again, then the fallback answers, unkept") {
  int fails = 2, asked = 0;
  Layered cache({.origin =
                     [&](int key) {
                       ++asked;
                       if (fails-- > 0) throw std::runtime_error("origin");
                       return item(key);
                     },
                 .retries = 2,
                 .retry_delay = 1us});
  CHECK(cache.get(1)->key == 1);
  CHECK(asked == 3);
  CHECK(cache.stats().retries == 2);
  fails = 100;
  CHECK_THROWS_WITH_AS(cache.get(2), "origin", std::runtime_error);
  CHECK(asked == 6);
  Layered safe({.origin = [](int) -> Item* { throw std::runtime_error("origin"); },
                .retries = 0,
                .fallback = [](int key) { return item(-key); }});
  CHECK(safe.get(3) != nullptr);
  CHECK(safe.near().get(3) == nullptr);
  CHECK(safe.stats().fallbacks == 1);
}

TEST_CASE("layered cache: bad input") {
  CHECK_THROWS_AS(Layered({.near = {}}), std::invalid_argument);
  Layered none({.origin = [](int) { return static_cast<Item*>(nullptr); }});
  CHECK(none.get(1) == nullptr);
  Layered far_alone({.far = [](const int& key) { return item(key); }});
  CHECK(far_alone.get(4)->key == 4);
}

TEST_CASE("layered cache: one load a key over all layers in a stampede") {
  auto far = std::make_shared<sync::Cache<int, Item>>(1000);
  std::atomic<int> loads{0};
  Layered cache({.near = {.max_cost = 1000}, .far = far, .origin = [&](int key) {
                   loads.fetch_add(1);
                   std::this_thread::yield();
                   return item(key);
                 }});
  Findings findings;
  const CollectingThread collecting;
  on_threads(6, [&](std::size_t) {
    for (int key = 0; key < 100; ++key) {
      const Item* const value = cache.get(key);
      findings.expect(value->intact() && value->key == static_cast<std::uint64_t>(key),
                      "not whole");
    }
  });
  CHECK(findings.first() == "");
  CHECK(loads == 100);
}

}  // namespace
}  // namespace tricolor::tests
