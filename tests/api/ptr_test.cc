// gc::ptr: the pointer interface, conversions, and what a stored reference keeps alive.
#include "tests/support.hpp"

#include <map>
#include <set>
#include <type_traits>
#include <unordered_set>

namespace tricolor::tests {
namespace {

struct Base {
  virtual ~Base() = default;
  std::uint64_t base_word = 1;
};
struct Other {
  virtual ~Other() = default;
  virtual int other() const { return 2; }
  std::uint64_t other_word = 2;
};
struct Derived : Base, Other {
  int other() const override { return 3; }
  std::uint64_t derived_word = 3;
};
struct PlainBase {
  std::uint64_t a = 10;
};
struct PlainSecond {
  std::uint64_t b = 20;
};
struct PlainDerived : PlainBase, PlainSecond {
  std::uint64_t c = 30;
};

static_assert(sizeof(gc::ptr<Node>) == sizeof(void*));
static_assert(std::is_trivially_destructible_v<gc::ptr<Node>>);
static_assert(std::is_nothrow_copy_constructible_v<gc::ptr<Node>>);
static_assert(std::is_nothrow_move_assignable_v<gc::ptr<Node>>);
static_assert(std::is_convertible_v<gc::ptr<Derived>, gc::ptr<Base>>);
static_assert(!std::is_convertible_v<gc::ptr<Base>, gc::ptr<Derived>>);
static_assert(std::is_convertible_v<gc::ptr<Node>, gc::ptr<const Node>>);
static_assert(!std::is_convertible_v<gc::ptr<const Node>, gc::ptr<Node>>);

struct Holder {
  gc::ptr<void> any;
  gc::ptr<const Node> constant;
  gc::ptr<Node> node;
};

TEST_CASE("ptr: null in every way") {
  gc::ptr<Node> p;
  CHECK(p == nullptr);
  CHECK(!p);
  CHECK(p.get() == nullptr);
  gc::ptr<Node> q = nullptr;
  CHECK(p == q);
  q = gc::make<Node>(1);
  CHECK(q != nullptr);
  CHECK(static_cast<bool>(q));
  q = nullptr;
  CHECK(q == nullptr);
  q = gc::make<Node>(1);
  q.reset();
  CHECK(q.get() == nullptr);
}

TEST_CASE("ptr: access, copy, swap, self-assignment") {
  Node* const a = gc::make<Node>(1);
  Node* const b = gc::make<Node>(2);
  gc::ptr<Node> p = a;
  gc::ptr<Node> q(b);
  CHECK(p->key == 1);
  CHECK((*q).key == 2);
  Node* raw = p;
  CHECK(raw == a);
  swap(p, q);
  CHECK(p == b);
  CHECK(q == a);
  p.swap(q);
  CHECK(p == a);
  p = *&p;
  CHECK(p == a);
  q = p;
  CHECK(q == p);
  gc::ptr<Node> moved = std::move(p);
  CHECK(moved == a);
}

TEST_CASE("ptr: comparison, order and hash agree with the addresses") {
  Node* const nodes = gc::make_array<Node>(8);
  std::set<Node*> raw;
  std::unordered_set<std::size_t> hashes;
  for (int i = 0; i + 1 < 8; ++i) {
    gc::ptr<Node> p = nodes + i, q = nodes + i + 1;
    CHECK(p != q);
    CHECK(p < q);
    CHECK(q >= p);
    CHECK(p != nodes + i + 1);
    CHECK(std::hash<gc::ptr<Node>>{}(p) == std::hash<Node*>{}(nodes + i));
  }
  gc::ptr<const Node> constant = nodes;
  CHECK(constant == gc::ptr<Node>(nodes));
}

TEST_CASE("ptr: conversion to a base adjusts the address") {
  PlainDerived* const d = gc::make<PlainDerived>();
  gc::ptr<PlainDerived> derived = d;
  gc::ptr<PlainSecond> second = derived;
  CHECK(second.get() == static_cast<PlainSecond*>(d));
  CHECK(static_cast<void*>(second.get()) != static_cast<void*>(d));
  CHECK(second->b == 20);
  second = d;
  CHECK(second->b == 20);
  gc::ptr<PlainBase> first;
  first = derived;
  CHECK(first->a == 10);
  CHECK(gc::static_pointer_cast<PlainDerived>(second).get() == d);
  derived = nullptr;
  second = derived;
  CHECK(second == nullptr);
}

TEST_CASE("ptr: dynamic_pointer_cast across bases") {
  Derived* const d = gc::make<Derived>();
  gc::ptr<Base> base = d;
  gc::ptr<Other> other = gc::dynamic_pointer_cast<Other>(base);
  REQUIRE(other != nullptr);
  CHECK(other->other() == 3);
  CHECK(gc::dynamic_pointer_cast<Derived>(other).get() == d);
  gc::ptr<Base> plain = gc::make<Base>();
  CHECK(gc::dynamic_pointer_cast<Derived>(plain) == nullptr);
}

// The collector frees what it made. (That `delete` does not compile: tests/install.)
static_assert(!std::is_constructible_v<std::unique_ptr<Node>, gc::ptr<Node>&>);
static_assert(!std::is_constructible_v<std::unique_ptr<Node>, const gc::root<Node>&>);
static_assert(!std::is_constructible_v<std::shared_ptr<Node>, gc::ptr<Node>&>);
static_assert(std::is_convertible_v<gc::ptr<Node>, bool> &&
              std::is_convertible_v<gc::ptr<Node>, const volatile void*> &&
              std::is_convertible_v<const gc::root<Derived>&, gc::ptr<Base>>);

TEST_CASE("ptr: pointer arithmetic and subscripts through the raw pointer") {
  gc::ptr<int> p = gc::make_array<int>(10);
  for (int i = 0; i < 10; ++i) p.get()[i] = i;
  CHECK(p[7] == 7);
  CHECK(*(p + 3) == 3);
}

template <class P>
void check_arithmetic() {
  int* const numbers = gc::make_array<int>(8);
  for (int i = 0; i < 8; ++i) numbers[i] = 10 * i;
  const P p = numbers + 2;
  const P end = numbers + 8;
  CHECK(p[3u] == 50);
  CHECK(p[-2] == 0);
  CHECK(*(p + 1) == 30);
  CHECK(*(1 + p) == 30);
  CHECK(*(p - 1) == 10);
  CHECK(end - p == 6);
  CHECK(p - numbers == 2);
  CHECK(numbers - p == -2);
  CHECK(p < end);
  CHECK(p < numbers + 3);
  CHECK(numbers < p);
}

TEST_CASE("ptr, root: arithmetic of their own") {
  check_arithmetic<gc::ptr<int>>();
  check_arithmetic<gc::root<int>>();
}

TEST_CASE("ptr: made from and assigned a root of a derived type") {
  const gc::root<Derived> root = gc::make<Derived>();
  gc::ptr<Other> p = root;
  CHECK(p->other() == 3);
  p = nullptr;
  p = root;
  CHECK(p.get() == static_cast<Other*>(root.get()));
}

TEST_CASE("ptr: a field keeps its object alive, and lets it go when overwritten") {
  constexpr std::size_t kCount = 500;
  gc::root<gc::ptr<Node>> fields;
  Census first, second;
  on_fresh_thread([&] {
    fields = gc::make_array<gc::ptr<Node>>(kCount);
    for (std::size_t i = 0; i < kCount; ++i) {
      fields[i] = gc::make<Node>(i);
      first.add(fields[i].get());
    }
  });
  shake();
  CHECK(first.alive() == kCount);
  on_fresh_thread([&] {
    for (std::size_t i = 0; i < kCount; ++i) {
      CHECK(fields[i]->key == i);
      CHECK(fields[i]->intact());
      fields[i] = gc::make<Node>(i + kCount);
      second.add(fields[i].get());
    }
  });
  shake();
  CHECK(first.reclaimed());
  CHECK(second.alive() == kCount);
}

TEST_CASE("ptr: void, const and typed references keep equally well") {
  gc::root<Holder> holder;
  Census census;
  on_fresh_thread([&] {
    holder = gc::make<Holder>();
    holder->any = gc::make<Node>(1);
    holder->constant = gc::make<Node>(2);
    holder->node = gc::make<Node>(3);
    census.add(holder->any.get());
    census.add(holder->constant.get());
    census.add(holder->node.get());
  });
  shake();
  CHECK(census.alive() == 3);
  CHECK(static_cast<Node*>(holder->any.get())->key == 1);
  CHECK(holder->constant->intact());
  CHECK(holder->node->intact());
}

TEST_CASE("ptr: constructors of a new object store through the barrier") {
  struct Pair {
    Pair(Node* a, gc::ptr<Node> b) : first(a), second(b) {}
    gc::ptr<Node> first, second;
  };
  gc::root<gc::ptr<Pair>> pairs = gc::make_array<gc::ptr<Pair>>(64);
  CollectingThread collector;
  for (std::size_t i = 0; i < scaled(200000); ++i) {
    pairs[i % 64] = gc::make<Pair>(gc::make<Node>(i), gc::make<Node>(~i));
    const Pair* const old = pairs[(i + 1) % 64];
    if (old != nullptr) {
      REQUIRE(old->first->intact());
      REQUIRE(old->second->intact());
    }
  }
  collector.stop();
  CHECK(collector.cycles() > 0);
}

}  // namespace
}  // namespace tricolor::tests
