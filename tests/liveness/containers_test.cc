// Roots in std:: containers: growth, rehashing, swapping, sorting and node handles move them about.
#include "tests/support.hpp"

#include <algorithm>
#include <deque>
#include <forward_list>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <queue>
#include <set>
#include <string>
#include <unordered_map>
#include <variant>

namespace tricolor::tests {
namespace {

constexpr std::size_t kCount = 3000;

// Fills a container with roots to nodes of keys 0..kCount-1, shakes, has the contents checked, and
// drops them.
template <class Container, class Fill, class Check>
void survives_and_goes(Fill&& fill, Check&& check) {
  Container container;
  Census census;
  on_fresh_thread([&] {
    for (std::size_t i = 0; i < kCount; ++i) {
      Node* const node = gc::make<Node>(i);
      census.add(node);
      fill(container, i, gc::root<Node>(node));
    }
  });
  shake(2);
  CHECK(census.alive() == kCount);
  on_fresh_thread([&] {
    check(container);
    Container().swap(container);
  });
  collect_all();
  CHECK(census.reclaimed());
}

void check_in_order(const auto& container) {
  std::size_t i = 0;
  for (const gc::root<Node>& root : container) {
    REQUIRE(root->intact());
    REQUIRE(root->key == i++);
  }
  CHECK(i == kCount);
}

TEST_CASE_TEMPLATE("containers: sequences", Container, std::vector<gc::root<Node>>,
                   std::deque<gc::root<Node>>, std::list<gc::root<Node>>) {
  survives_and_goes<Container>(
      [](Container& c, std::size_t, gc::root<Node> root) { c.push_back(std::move(root)); },
      [](const Container& c) { check_in_order(c); });
}

TEST_CASE("containers: forward_list, filled at its front") {
  using List = std::forward_list<gc::root<Node>>;
  survives_and_goes<List>(
      [](List& c, std::size_t, gc::root<Node> root) { c.push_front(std::move(root)); },
      [](List& c) {
        c.reverse();
        check_in_order(c);
      });
}

TEST_CASE_TEMPLATE("containers: maps from a key to a root", Container,
                   std::map<std::string, gc::root<Node>>,
                   std::unordered_map<std::string, gc::root<Node>>) {
  survives_and_goes<Container>(
      [](Container& c, std::size_t i, gc::root<Node> root) {
        c.emplace(std::to_string(i), std::move(root));
      },
      [](const Container& c) {
        CHECK(c.size() == kCount);
        for (const auto& [key, root] : c) {
          REQUIRE(root->intact());
          REQUIRE(std::to_string(root->key) == key);
        }
      });
}

TEST_CASE_TEMPLATE("containers: roots as keys, ordered and hashed by address", Container,
                   std::set<gc::root<Node>>, std::map<gc::root<Node>, std::uint64_t>,
                   std::unordered_map<gc::root<Node>, std::uint64_t>) {
  survives_and_goes<Container>(
      [](Container& c, std::size_t i, gc::root<Node> root) {
        if constexpr (requires { typename Container::mapped_type; }) {
          c.emplace(std::move(root), i);
        } else {
          c.insert(std::move(root));
        }
      },
      [](const Container& c) {
        CHECK(c.size() == kCount);
        for (const auto& entry : c) {
          if constexpr (requires { entry.second; }) {
            REQUIRE(entry.first->intact());
            REQUIRE(entry.first->key == entry.second);
            REQUIRE(c.find(entry.first) != c.end());
          } else {
            REQUIRE(entry->intact());
            REQUIRE(c.count(entry) == 1);
          }
        }
      });
}

TEST_CASE("containers: queues, optionals, variants and unique_ptrs of roots") {
  using Slot = std::optional<std::variant<std::string, gc::root<Node>>>;
  using Container = std::deque<std::unique_ptr<Slot>>;
  survives_and_goes<Container>(
      [](Container& c, std::size_t i, gc::root<Node> root) {
        c.push_back(std::make_unique<Slot>(std::string("first a string")));
        *c.back() = std::move(root);
        if (i % 3 == 0) std::swap(c.front(), c.back());
      },
      [](const Container& c) {
        std::vector<bool> seen(kCount);
        for (const auto& slot : c) {
          const gc::root<Node>& root = std::get<1>(**slot);
          REQUIRE(root->intact());
          REQUIRE(!seen[root->key]);
          seen[root->key] = true;
        }
        CHECK(c.size() == kCount);
      });
}

TEST_CASE("containers: algorithms move roots without losing any") {
  Random random(announce_seed("algorithms"));
  std::vector<gc::root<Node>> roots;
  for (std::size_t i = 0; i < kCount; ++i) roots.emplace_back(gc::make<Node>(i));
  for (int round = 0; round < 5; ++round) {
    for (std::size_t i = kCount - 1; i > 0; --i) std::swap(roots[i], roots[random.below(i + 1)]);
    runtime::collect();
    churn(3000);
    std::rotate(roots.begin(), roots.begin() + 1234, roots.end());
    std::sort(roots.begin(), roots.end(),
              [](const auto& a, const auto& b) { return a->key < b->key; });
    std::stable_partition(roots.begin(), roots.end(),
                          [](const auto& root) { return root->key % 3 == 0; });
    std::inplace_merge(roots.begin(), roots.begin() + kCount / 3, roots.end(),
                       [](const auto& a, const auto& b) { return a->key < b->key; });
    check_in_order(roots);
  }
  roots.insert(roots.begin() + 100, gc::make<Node>(1));
  roots.erase(roots.begin() + 100);
  std::priority_queue<std::pair<std::uint64_t, gc::root<Node>>> queue;
  for (auto& root : roots) queue.emplace(mix(root->key), std::move(root));
  runtime::collect();
  churn(3000);
  std::uint64_t last = ~std::uint64_t{0};
  for (; !queue.empty(); queue.pop()) {
    REQUIRE(queue.top().second->intact());
    REQUIRE(mix(queue.top().second->key) == queue.top().first);
    REQUIRE(queue.top().first <= last);
    last = queue.top().first;
  }
}

TEST_CASE("containers: a vector of roots that grows during cycles") {
  CollectingThread collector;
  for (std::size_t round = 0; round < scaled(10) + 1; ++round) {
    std::vector<gc::root<Node>> roots;
    for (std::size_t i = 0; i < scaled(50'000); ++i) {
      roots.emplace_back(gc::make<Node>(i));
      if (i % 1000 == 0) REQUIRE(roots[i / 2]->intact());
    }
    for (std::size_t i = 0; i < roots.size(); ++i) {
      REQUIRE(roots[i]->intact());
      REQUIRE(roots[i]->key == i);
    }
  }
  collector.stop();
  CHECK(collector.cycles() > 0);
}

TEST_CASE("containers: erased elements let go one by one") {
  std::map<std::size_t, gc::root<Node>> map;
  Census erased, kept;
  on_fresh_thread([&] {
    for (std::size_t i = 0; i < kCount; ++i) {
      Node* const node = gc::make<Node>(i);
      (i % 3 == 0 ? erased : kept).add(node);
      map.emplace(i, node);
    }
  });
  on_fresh_thread([&] {
    for (std::size_t i = 0; i < kCount; i += 3) map.erase(i);
  });
  collect_all();
  CHECK(erased.reclaimed());
  CHECK(kept.alive() == kept.size());
}

TEST_CASE("containers: a collected object that owns a std::vector of roots to others") {
  struct Owner {
    std::vector<gc::root<Node>> nodes;
  };
  gc::root<Owner> owner;
  Census census;
  on_fresh_thread([&] {
    owner = gc::make<Owner>();
    for (std::size_t i = 0; i < kCount; ++i) {
      owner->nodes.emplace_back(gc::make<Node>(i));
      census.add(owner->nodes.back().get());
    }
  });
  shake(1);
  check_in_order(owner->nodes);
  CHECK(census.alive() == kCount);
  on_fresh_thread([&] { owner = nullptr; });
  collect_all();  // runs its destructor, which gives up the roots
  collect_all();
  CHECK(census.reclaimed());
}

}  // namespace
}  // namespace tricolor::tests
