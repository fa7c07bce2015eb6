// gc::destroy, gc::keep_alive and gc::is_managed.
#include "tests/support.hpp"

#include <memory>
#include <string>

namespace tricolor::tests {
namespace {

struct Tracked {
  Tracked(std::vector<int>* log, int id) : log_(log), id_(id) {}
  ~Tracked() { log_->push_back(id_); }
  std::vector<int>* log_;
  int id_;
  std::string text = "long enough to live in allocated memory of its own";
};

TEST_CASE("destroy: the destructor runs now, on this thread, and never again") {
  std::vector<int> log;
  Tracked* const object = gc::make<Tracked>(&log, 5);
  gc::destroy(object);
  CHECK(log == std::vector<int>{5});
  collect_all();
  collect_all();
  CHECK(log == std::vector<int>{5});
}

TEST_CASE("destroy: of null does nothing") {
  gc::destroy(static_cast<Node*>(nullptr));
  gc::root<Node> node = gc::make<Node>(1);
  collect_all();
  CHECK(node->intact());
}

struct Element {
  ~Element() {
    if (order != nullptr) order->push_back(id);
  }
  std::vector<int>* order = nullptr;
  int id = 0;
};

TEST_CASE("destroy: an array's elements are destroyed in reverse order") {
  std::vector<int> order, expected;
  Element* const array = gc::make_array<Element>(50);
  for (int i = 0; i < 50; ++i) {
    array[i].order = &order;
    array[i].id = i;
    expected.insert(expected.begin(), i);
  }
  gc::destroy(array);
  CHECK(order == expected);
}

TEST_CASE("destroy: weak references are cleared, finalizers dropped, cleanups run") {
  std::atomic<int> finalized{0}, cleaned{0};
  gc::weak<Node> weak;
  on_fresh_thread([&] {
    Node* const node = gc::make<Node>(1);
    weak = node;
    gc::set_finalizer(node, [&](Node*) { ++finalized; });
    gc::add_cleanup(
        node, [&](int by) { cleaned += by; }, 3);
    gc::destroy(node);
    CHECK(weak.lock() == nullptr);
  });
  collect_all();
  CHECK(finalized == 0);
  CHECK(cleaned == 3);
}

TEST_CASE("destroy: the memory is used again without a collection") {
  const GcPercent off(-1);
  collect_all();
  const auto before = mem_stats().heap_sys;
  for (std::size_t i = 0; i < scaled(1'000'000); ++i) {
    Node* const node = gc::make<Node>(i);
    gc::destroy(node);
  }
  for (std::size_t i = 0; i < scaled(20'000); ++i) gc::destroy(gc::make<Blob<10000>>(i));
  for (std::size_t i = 0; i < scaled(2'000); ++i) gc::destroy(gc::make_array<char>(200'000));
  CHECK(mem_stats().heap_sys < before + (32u << 20));
}

TEST_CASE("destroy: neighbours are left alone") {
  std::vector<gc::root<Node>> nodes;
  for (std::uint64_t i = 0; i < 4000; ++i) nodes.emplace_back(gc::make<Node>(i));
  for (std::size_t i = 0; i < nodes.size(); i += 2) {
    Node* const node = nodes[i];
    nodes[i] = nullptr;
    gc::destroy(node);
  }
  for (std::uint64_t i = 0; i < 4000; ++i) gc::keep_alive(gc::make<Node>(~i));
  shake(1);
  for (std::size_t i = 1; i < nodes.size(); i += 2) {
    REQUIRE(nodes[i]->intact());
    REQUIRE(nodes[i]->key == i);
  }
}

TEST_CASE("destroy: a destroyed object's fields hold nothing") {
  Census census;
  gc::root<gc::ptr<Node>> array;
  on_fresh_thread([&] {
    for (int i = 0; i < 200; ++i) {
      Node* const outer = gc::make<Node>(1);
      outer->left = gc::make<Node>(2);
      census.add(outer->left.get());
      gc::destroy(outer);
    }
  });
  collect_all();
  CHECK(census.reclaimed());
}

// [destroy.not-while-marking]
TEST_CASE("destroy: while cycles run") {
  CollectingThread collector;
  std::vector<gc::root<Node>> kept(64);
  std::vector<int> log;
  for (std::size_t i = 0; i < scaled(100'000); ++i) {
    kept[i % 64] = gc::make<Node>(i);
    Node* const temporary = gc::make<Node>(i);
    temporary->left = kept[i % 64];
    gc::destroy(temporary);
    REQUIRE(kept[(i * 7) % 64].get() != temporary);
    if (const Node* node = kept[(i * 7) % 64]) REQUIRE(node->intact());
  }
  collector.stop();
  CHECK(collector.cycles() > 0);
}

TEST_CASE("keep_alive: up to the call the object is reachable") {
  gc::weak<Node> weak;
  std::uintptr_t hidden = 0;
  on_fresh_thread([&] {
    Node* const node = gc::make<Node>(3);
    weak = node;
    hidden = hide(node);
    clear_stack();
    runtime::collect();
    churn(1000);
    CHECK(!weak.expired());
    CHECK(reveal<Node>(hidden)->intact());
    gc::keep_alive(node);
  });
  collect_all();
  CHECK(weak.expired());
}

TEST_CASE("keep_alive: of references and of values that hold some") {
  gc::ptr<Node> p = gc::make<Node>(1);
  const gc::root<Node> r = gc::make<Node>(2);
  std::pair<Node*, int> pair{gc::make<Node>(3), 4};
  runtime::collect();
  churn(1000);
  CHECK(p->intact());
  CHECK(r->intact());
  CHECK(pair.first->intact());
  gc::keep_alive(p);
  gc::keep_alive(r);
  gc::keep_alive(pair);
}

int some_global = 0;

TEST_CASE("is_managed: nothing but live objects") {
  int local = 0;
  const auto allocated = std::make_unique<int>(1);
  CHECK(!gc::is_managed(nullptr));
  CHECK(!gc::is_managed(&local));
  CHECK(!gc::is_managed(allocated.get()));
  CHECK(!gc::is_managed(&some_global));
  CHECK(!gc::is_managed(reinterpret_cast<const void*>(&collect_all)));
  CHECK(!gc::is_managed(reinterpret_cast<const void*>(std::uintptr_t{1})));
  CHECK(!gc::is_managed(reinterpret_cast<const void*>(~std::uintptr_t{0})));
  CHECK(!gc::is_managed(reinterpret_cast<const void*>(std::uintptr_t{1} << 63)));
}

TEST_CASE("is_managed: the first, an inner and the last byte of objects of all sizes") {
  for (std::size_t size : {1u, 16u, 100u, 4096u, 32768u, 50000u, 1u << 20}) {
    char* const bytes = gc::make_array<char>(size);
    CAPTURE(size);
    CHECK(gc::is_managed(bytes));
    CHECK(gc::is_managed(bytes + size / 2));
    CHECK(gc::is_managed(bytes + size - 1));
    gc::keep_alive(bytes);
  }
  volatile int* const number = gc::make<int>(1);
  CHECK(gc::is_managed(number));
}

TEST_CASE("is_managed: no longer when the object was reclaimed") {
  std::vector<std::uintptr_t> hidden;
  on_fresh_thread([&] {
    for (std::uint64_t i = 0; i < 1000; ++i) {
      hidden.push_back(hide(gc::make<Blob<2000>>(i)));
      hidden.push_back(hide(gc::make_array<char>(40000)));
    }
  });
  collect_all();
  std::size_t managed = 0;
  on_fresh_thread([&] {
    for (std::uintptr_t h : hidden) managed += gc::is_managed(reveal<void>(h)) ? 1 : 0;
  });
  CHECK(managed <= hidden.size() / 20);
}

TEST_CASE("is_managed: no longer when the object was destroyed") {
  Node* const node = gc::make<Node>(1);
  CHECK(gc::is_managed(node));
  gc::destroy(node);
  collect_all();
  CHECK(!gc::is_managed(node));
}

}  // namespace
}  // namespace tricolor::tests
