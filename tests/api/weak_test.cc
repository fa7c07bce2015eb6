// gc::weak: locking, clearing, identity, and what it must not do: keep anything alive.
#include "tests/support.hpp"

#include <optional>
#include <type_traits>

namespace tricolor::tests {
namespace {

struct WithWeak {
  gc::weak<Node> to;
  gc::ptr<Node> strong;
};

struct First {
  std::uint64_t a = 1;
};
struct Second {
  std::uint64_t b = 2;
};
struct Both : First, Second {};

// Null where there is no such assignment.
template <class Reference>
gc::weak<Node> assigned_from(const Reference& reference) {
  gc::weak<Node> w;
  if constexpr (std::is_assignable_v<gc::weak<Node>&, const Reference&>) w = reference;
  return w;
}

TEST_CASE("weak: null in every way") {
  gc::weak<Node> w;
  CHECK(w.lock() == nullptr);
  CHECK(w.expired());
  gc::weak<Node> n = nullptr;
  CHECK(n == w);
  gc::weak<Node> from_null(static_cast<Node*>(nullptr));
  CHECK(from_null.lock() == nullptr);
  w = gc::make<Node>(1);
  w = nullptr;
  CHECK(w.expired());
}

TEST_CASE("weak: locks to the object while that is alive") {
  gc::root<Node> node = gc::make<Node>(5);
  gc::weak<Node> w(node);
  CHECK(w.lock() == node.get());
  shake();
  CHECK(!w.expired());
  CHECK(w.lock()->key == 5);
  gc::ptr<Node> p = node.get();
  CHECK(gc::weak<Node>(p) == w);
}

TEST_CASE("weak: copies, moves, identity") {
  gc::root<Node> node = gc::make<Node>(5);
  gc::weak<Node> a(node.get());
  gc::weak<Node> b = a;
  CHECK(a == b);
  gc::weak<Node> c = std::move(b);
  CHECK(c == a);
  CHECK(b.expired());  // NOLINT(bugprone-use-after-move): a moved weak is null
  b = c;
  CHECK(b.lock() == node.get());
  gc::weak<Node>& self = b;
  b = self;
  CHECK(b.lock() == node.get());
  gc::root<Node> other = gc::make<Node>(6);
  gc::weak<Node> d(other.get());
  CHECK(d != a);
  d.swap(b);
  CHECK(d == a);
  CHECK(b.lock() == other.get());
}

TEST_CASE("weak: keeps nothing alive, and all copies are cleared together") {
  constexpr std::size_t kCount = 2000;
  std::vector<gc::weak<Node>> weaks;
  on_fresh_thread([&] {
    for (std::size_t i = 0; i < kCount; ++i) {
      gc::weak<Node> w(gc::make<Node>(i));
      weaks.push_back(w);
      weaks.push_back(std::move(w));
    }
  });
  collect_all();
  std::size_t alive = 0;
  for (std::size_t i = 0; i < kCount; ++i) {
    CHECK(weaks[2 * i].expired() == weaks[2 * i + 1].expired());
    alive += weaks[2 * i].expired() ? 0 : 1;
    CHECK(weaks[2 * i] == weaks[2 * i + 1]);
  }
  CHECK(alive <= kCount / 20);
}

TEST_CASE("weak: identity outlives the object") {
  std::optional<gc::weak<Node>> a, b, c;
  on_fresh_thread([&] {
    Node* const first = gc::make<Node>(1);
    a.emplace(first);
    b.emplace(first);
    c.emplace(gc::make<Node>(2));
  });
  collect_all();
  REQUIRE(a->expired());
  churn();
  CHECK(*a == *b);
  CHECK(*a != *c);
  CHECK(a->lock() == nullptr);
}

TEST_CASE("weak: an old weak does not lock to the next object at the same address") {
  constexpr std::size_t kCount = 2000;
  std::vector<gc::weak<Node>> old;
  on_fresh_thread([&] {
    for (std::size_t i = 0; i < kCount; ++i) old.emplace_back(gc::make<Node>(i));
  });
  collect_all();
  std::vector<gc::root<Node>> young;
  for (std::size_t i = 0; i < 4 * kCount; ++i) young.emplace_back(gc::make<Node>(1000000 + i));
  on_fresh_thread([&] {
    for (std::size_t i = 0; i < kCount; ++i) {
      const Node* const node = old[i].lock();
      const bool right = node == nullptr || node->key == i;
      CHECK(right);
    }
  });
}

TEST_CASE("weak: interior pointers come back as given") {
  gc::root<Both> both = gc::make<Both>();
  Second* const second = both.get();
  gc::weak<Second> w(second);
  CHECK(w.lock() == second);
  gc::root<std::uint64_t> numbers = gc::make_array<std::uint64_t>(100);
  gc::weak<std::uint64_t> middle(numbers.get() + 50);
  CHECK(middle.lock() == numbers.get() + 50);
  CHECK(gc::weak<std::uint64_t>(numbers.get()) != middle);
  collect_all();
  CHECK(middle.lock() == numbers.get() + 50);
}

TEST_CASE("weak: assignment from every kind of strong reference") {
  gc::root<Node> root = gc::make<Node>(5);
  gc::ptr<Node> p = root.get();
  CHECK(assigned_from(root).lock() == root.get());
  CHECK(assigned_from(p).lock() == root.get());
  CHECK(assigned_from(root.get()).lock() == root.get());
}

TEST_CASE("weak: as a field of a collected object, in a cycle") {
  constexpr std::size_t kCount = 500;
  Census census;
  on_fresh_thread([&] {
    for (std::size_t i = 0; i < kCount; ++i) {
      WithWeak* const holder = gc::make<WithWeak>();
      Node* const node = gc::make<Node>(i);
      holder->to = node;
      holder->strong = node;
      census.add(holder);
      census.add(node);
    }
  });
  collect_all();
  CHECK(census.reclaimed());
}

TEST_CASE("weak: a field's target is not kept by it") {
  constexpr std::size_t kCount = 500;
  gc::root<gc::ptr<WithWeak>> holders;
  on_fresh_thread([&] {
    holders = gc::make_array<gc::ptr<WithWeak>>(kCount);
    for (std::size_t i = 0; i < kCount; ++i) {
      holders[i] = gc::make<WithWeak>();
      holders[i]->to = gc::make<Node>(i);
    }
  });
  collect_all();
  std::size_t alive = 0;
  on_fresh_thread([&] {
    for (std::size_t i = 0; i < kCount; ++i) alive += holders[i]->to.expired() ? 0 : 1;
  });
  CHECK(alive <= kCount / 20);
}

TEST_CASE("weak: what lock returns keeps the object until it is dropped") {
  gc::weak<Node> w;
  gc::root<Node> root;
  on_fresh_thread([&] {
    root = gc::make<Node>(77);
    w = root.get();
  });
  Node* const locked = w.lock();
  root = nullptr;
  shake();
  CHECK(locked->intact());
  CHECK(locked->key == 77);
  CHECK(w.lock() == locked);
  gc::keep_alive(locked);
}

TEST_CASE("weak: many to one object") {
  gc::root<Node> node = gc::make<Node>(1);
  std::vector<gc::weak<Node>> many;
  for (int i = 0; i < 10000; ++i) many.emplace_back(node.get());
  collect_all();
  for (const auto& w : many) REQUIRE(w.lock() == node.get());
  many.resize(1);
  collect_all();
  CHECK(many[0].lock() == node.get());
}

}  // namespace
}  // namespace tricolor::tests
