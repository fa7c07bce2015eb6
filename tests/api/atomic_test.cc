// gc::atomic: std::atomic's operations on a collected reference.
#include "tests/support.hpp"

#include <type_traits>

namespace tricolor::tests {
namespace {

struct Cell {
  gc::atomic<Node> slot;
};

static_assert(sizeof(gc::atomic<Node>) == sizeof(void*));
static_assert(gc::atomic<Node>::is_always_lock_free);
static_assert(std::is_trivially_destructible_v<gc::atomic<Node>>);
static_assert(!std::is_copy_constructible_v<gc::atomic<Node>>);
static_assert(std::is_same_v<gc::atomic<Node>::value_type, Node*>);

TEST_CASE("atomic: load, store, exchange") {
  Cell* const cell = gc::make<Cell>();
  CHECK(cell->slot.is_lock_free());
  CHECK(cell->slot.load() == nullptr);
  Node* const a = gc::make<Node>(1);
  Node* const b = gc::make<Node>(2);
  cell->slot.store(a);
  CHECK(cell->slot.load(std::memory_order_acquire) == a);
  CHECK(cell->slot.exchange(b, std::memory_order_acq_rel) == a);
  Node* const converted = cell->slot;
  CHECK(converted == b);
  CHECK((cell->slot = a) == a);
  cell->slot.store(nullptr, std::memory_order_release);
  CHECK(cell->slot.load(std::memory_order_relaxed) == nullptr);
}

TEST_CASE("atomic: constructed with a target") {
  struct Made {
    explicit Made(Node* n) : slot(n) {}
    gc::atomic<Node> slot;
  };
  Node* const a = gc::make<Node>(1);
  CHECK(gc::make<Made>(a)->slot.load() == a);
}

TEST_CASE("atomic: compare-exchange succeeds and fails as it should") {
  Cell* const cell = gc::make<Cell>();
  Node* const a = gc::make<Node>(1);
  Node* const b = gc::make<Node>(2);
  Node* expected = nullptr;
  CHECK(cell->slot.compare_exchange_strong(expected, a));
  CHECK(cell->slot.load() == a);
  CHECK(!cell->slot.compare_exchange_strong(expected, b));
  CHECK(expected == a);
  CHECK(cell->slot.load() == a);
  CHECK(cell->slot.compare_exchange_strong(expected, b, std::memory_order_acq_rel,
                                           std::memory_order_acquire));
  CHECK(cell->slot.load() == b);
  expected = a;
  CHECK(!cell->slot.compare_exchange_weak(expected, nullptr));
  CHECK(expected == b);
  while (!cell->slot.compare_exchange_weak(expected, a, std::memory_order_release,
                                           std::memory_order_relaxed)) {
    REQUIRE(expected == b);
  }
  CHECK(cell->slot.load() == a);
}

TEST_CASE("atomic: keeps its target through each way of storing it, and lets the old one go") {
  constexpr std::size_t kCount = 300;
  gc::root<Cell> cells;
  Census kept, replaced;
  on_fresh_thread([&] {
    cells = gc::make_array<Cell>(kCount);
    for (std::size_t i = 0; i < kCount; ++i) {
      Node* const old = gc::make<Node>(i);
      Node* const node = gc::make<Node>(i + kCount);
      replaced.add(old);
      kept.add(node);
      cells[i].slot.store(old);
      Node* expected = old;
      switch (i % 4) {
        case 0:
          cells[i].slot.store(node, std::memory_order_relaxed);
          break;
        case 1:
          CHECK(cells[i].slot.exchange(node) == old);
          break;
        case 2:
          CHECK(cells[i].slot.compare_exchange_strong(expected, node));
          break;
        default:
          cells[i].slot = node;
      }
    }
  });
  shake();
  CHECK(kept.alive() == kCount);
  CHECK(replaced.reclaimed());
  for (std::size_t i = 0; i < kCount; ++i) {
    CHECK(cells[i].slot.load()->intact());
    CHECK(cells[i].slot.load()->key == i + kCount);
  }
}

TEST_CASE("atomic: no ABA: an address that a thread still holds is not handed out again") {
  gc::root<Cell> cell = gc::make<Cell>();
  for (std::size_t round = 0; round < scaled(200); ++round) {
    Node* const held = gc::make<Node>(round);
    cell->slot.store(held);
    on_fresh_thread([&] {
      cell->slot.store(nullptr);
      runtime::collect();
      for (int i = 0; i < 500; ++i) {
        Node* const fresh = gc::make<Node>(1u << 20);
        CHECK(fresh != cell->slot.load());
        cell->slot.store(fresh);
      }
    });
    CHECK(cell->slot.load() != held);
    Node* expected = held;
    CHECK(!cell->slot.compare_exchange_strong(expected, nullptr));
    CHECK(held->intact());
    CHECK(held->key == round);
  }
}

TEST_CASE("atomic: a counter of pushes and pops from four threads comes out even") {
  // Each thread moves nodes between two stacks; nothing is lost or doubled, though cycles run all
  // along.
  struct Stack {
    gc::atomic<Node> head;
    void push(Node* node) {
      Node* old = head.load(std::memory_order_relaxed);
      do {
        node->left = old;
      } while (!head.compare_exchange_weak(old, node, std::memory_order_release,
                                           std::memory_order_relaxed));
    }
  };
  gc::root<Stack> stack = gc::make<Stack>();
  constexpr std::size_t kThreads = 4;
  const std::size_t each = scaled(50000);
  CollectingThread collector;
  on_threads(kThreads, [&](std::size_t t) {
    for (std::size_t i = 0; i < each; ++i) stack->push(gc::make<Node>(t * each + i));
  });
  collector.stop();
  std::vector<bool> seen(kThreads * each);
  std::size_t count = 0;
  for (Node* node = stack->head.load(); node != nullptr; node = node->left) {
    REQUIRE(node->intact());
    REQUIRE(!seen[node->key]);
    seen[node->key] = true;
    ++count;
  }
  CHECK(count == kThreads * each);
}

}  // namespace
}  // namespace tricolor::tests
