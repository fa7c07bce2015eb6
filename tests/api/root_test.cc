// gc::root: the pointer interface, value semantics, and roots that come and go.
#include "tests/support.hpp"

#include <map>
#include <memory>
#include <type_traits>

namespace tricolor::tests {
namespace {

struct First {
  std::uint64_t a = 10;
};
struct Second {
  std::uint64_t b = 20;
};
struct Both : First, Second {
  std::uint64_t c = 30;
};

static_assert(std::is_nothrow_move_constructible_v<gc::root<Node>>);
static_assert(std::is_nothrow_move_assignable_v<gc::root<Node>>);
static_assert(std::is_nothrow_default_constructible_v<gc::root<Node>>);
static_assert(std::is_convertible_v<gc::root<Both>, gc::root<Second>>);
static_assert(!std::is_convertible_v<gc::root<Second>, gc::root<Both>>);

constinit gc::root<Node> global_root;

TEST_CASE("root: null in every way") {
  gc::root<Node> r;
  CHECK(r == nullptr);
  CHECK(!r);
  r = gc::make<Node>(1);
  CHECK(r != nullptr);
  r = nullptr;
  CHECK(r.get() == nullptr);
  r = static_cast<Node*>(nullptr);
  CHECK(!r);
  gc::root<Node> s = nullptr;
  CHECK(s == r);
  s = r;
  CHECK(s == nullptr);
}

TEST_CASE("root: access and conversion") {
  Node* const node = gc::make<Node>(7);
  gc::root<Node> r = node;
  CHECK(r->key == 7);
  CHECK((*r).intact());
  Node* raw = r;
  CHECK(raw == node);
  gc::ptr<Node> p = node;
  gc::root<Node> from_ptr = p;
  CHECK(from_ptr == r);
  from_ptr = nullptr;
  from_ptr = p;
  CHECK(from_ptr == p);
  CHECK(r == node);
  gc::root<const Node> constant = r;
  CHECK(constant.get() == node);
  CHECK(std::hash<gc::root<Node>>{}(r) == std::hash<Node*>{}(node));
}

TEST_CASE("root: a base class pointer comes back as it went in") {
  Both* const both = gc::make<Both>();
  gc::root<Second> second = both;
  CHECK(second.get() == static_cast<Second*>(both));
  CHECK(second->b == 20);
  gc::root<Both> whole = both;
  second = nullptr;
  second = whole;
  CHECK(second.get() == static_cast<Second*>(both));
  gc::root<Second> copied(whole);
  CHECK(copied == second);
}

TEST_CASE("root: copies are independent, moves leave null behind") {
  gc::root<Node> a = gc::make<Node>(1);
  gc::root<Node> b = a;
  CHECK(a == b);
  b = gc::make<Node>(2);
  CHECK(a->key == 1);
  gc::root<Node> c = std::move(a);
  CHECK(c->key == 1);
  CHECK(a == nullptr);  // NOLINT(bugprone-use-after-move): it is specified
  a = std::move(b);
  CHECK(a->key == 2);
  CHECK(b == nullptr);  // NOLINT(bugprone-use-after-move)
  gc::root<Node>& self = a;
  a = std::move(self);
  CHECK(a->key == 2);
  a = self;
  CHECK(a->key == 2);
  swap(a, c);
  CHECK(a->key == 1);
  CHECK(c->key == 2);
}

TEST_CASE("root: each of a copy, a moved-to and a reassigned root keeps its object") {
  constexpr std::size_t kCount = 300;
  std::vector<gc::root<Node>> copies, moved, reassigned(kCount);
  Census census;
  on_fresh_thread([&] {
    for (std::size_t i = 0; i < kCount; ++i) {
      gc::root<Node> made = gc::make<Node>(i);
      census.add(made.get());
      copies.push_back(made);
      gc::root<Node> other = gc::make<Node>(i + kCount);
      census.add(other.get());
      moved.push_back(std::move(other));
      reassigned[i] = gc::make<Node>(1);
      reassigned[i] = gc::make<Node>(i + 2 * kCount);
      census.add(reassigned[i].get());
    }
  });
  shake();
  CHECK(census.alive() == 3 * kCount);
  for (std::size_t i = 0; i < kCount; ++i) {
    CHECK(copies[i]->intact());
    CHECK(copies[i]->key == i);
    CHECK(moved[i]->key == i + kCount);
    CHECK(reassigned[i]->key == i + 2 * kCount);
  }
}

TEST_CASE("root: its object goes when it is reset, overwritten or destroyed") {
  constexpr std::size_t kCount = 300;
  std::vector<gc::root<Node>> reset, overwritten;
  auto destroyed = std::make_unique<std::vector<gc::root<Node>>>();
  Census dropped, kept;
  on_fresh_thread([&] {
    for (std::size_t i = 0; i < kCount; ++i) {
      for (auto* roots : {&reset, &overwritten, destroyed.get()}) {
        roots->emplace_back(gc::make<Node>(i));
        dropped.add(roots->back().get());
      }
    }
  });
  shake(1);
  CHECK(dropped.alive() == 3 * kCount);
  on_fresh_thread([&] {
    for (std::size_t i = 0; i < kCount; ++i) {
      reset[i].reset();
      overwritten[i] = gc::make<Node>(i);
      kept.add(overwritten[i].get());
    }
    destroyed.reset();
  });
  collect_all();
  CHECK(dropped.reclaimed());
  CHECK(kept.alive() == kCount);
}

// [roots.slots]
TEST_CASE("root: slots are reused without mixing up their objects") {
  Random random(announce_seed("root slots"));
  std::map<std::uint64_t, gc::root<Node>> live;
  std::uint64_t next = 0;
  for (std::size_t i = 0; i < scaled(200000); ++i) {
    if (live.empty() || random.below(100) < 52) {
      live.emplace(next, gc::make<Node>(next));
      ++next;
    } else {
      live.erase(std::next(live.begin(),
                           static_cast<long>(random.below(std::min<std::size_t>(live.size(), 8)))));
    }
    if (i % 20000 == 0) runtime::collect();
  }
  churn();
  for (const auto& [key, root] : live) {
    REQUIRE(root->key == key);
    REQUIRE(root->intact());
  }
}

// [roots.slots]
TEST_CASE("root: given up by another thread than the one that took it") {
  std::vector<gc::root<Node>> roots;
  Census census;
  on_fresh_thread([&] {
    for (std::uint64_t i = 0; i < 1000; ++i) {
      roots.emplace_back(gc::make<Node>(i));
      census.add(roots.back().get());
    }
  });
  collect_all();
  CHECK(census.alive() == 1000);
  on_fresh_thread([&] { roots.clear(); });
  collect_all();
  CHECK(census.reclaimed());
}

TEST_CASE("root: with static storage") {
  on_fresh_thread([] {
    global_root = gc::make<Node>(99);
    global_root->left = gc::make<Node>(100);
  });
  shake();
  Census census;
  on_fresh_thread([&] {
    CHECK(global_root->intact());
    CHECK(global_root->left->key == 100);
    census.add(global_root.get());
    global_root = nullptr;
  });
  collect_all();
  CHECK(census.alive() == 0);
}

TEST_CASE("root: to the inside of an object keeps the whole of it") {
  gc::root<gc::ptr<Node>> inside;
  on_fresh_thread([&] {
    Node* const outer = gc::make<Node>(1);
    outer->left = gc::make<Node>(2);
    outer->right = gc::make<Node>(3);
    inside = &outer->right;
  });
  shake();
  Node* const outer =
      reinterpret_cast<Node*>(reinterpret_cast<char*>(inside.get()) - offsetof(Node, right));
  CHECK(outer->intact());
  CHECK(outer->left->intact());
  CHECK((*inside)->key == 3);
}

}  // namespace
}  // namespace tricolor::tests
