// Long and deep structures: nothing may recurse over them, nothing in them may get lost, and all of
// them must go.
#include "tests/support.hpp"

namespace tricolor::tests {
namespace {

constexpr std::size_t kDeep = 2'000'000;

struct Link {
  explicit Link(std::uint64_t k) : key(k) {}
  std::uint64_t key;
  gc::ptr<Link> next, previous;
};

// Not inlined: what a frame with 6 KB of figures lies over may look like references to a collection
// that is called from it.
[[gnu::noinline]] std::uint64_t heap_objects() { return mem_stats().heap_objects; }

std::uint64_t live_objects() {
  collect_all();
  return heap_objects();
}

// Builds on a thread of its own and returns only the root.
template <class T, class F>
gc::root<T> build(F&& f) {
  gc::root<T> result;
  on_fresh_thread([&] { result = f(); });
  return result;
}

TEST_CASE("lists: a singly linked list of millions survives and goes") {
  const std::size_t length = scaled(kDeep);
  const std::uint64_t before = live_objects();
  gc::root<Node> list = build<Node>([&] {
    Node* head = nullptr;
    for (std::size_t i = 0; i < length; ++i) {
      Node* const node = gc::make<Node>(i);
      node->left = head;
      head = node;
    }
    return head;
  });
  shake();
  on_fresh_thread([&] {
    std::size_t expected = length, wrong = 0;
    for (const Node* node = list; node != nullptr && expected > 0; node = node->left) {
      wrong += node->intact() && node->key == --expected ? 0 : 1;
    }
    CHECK(expected == 0);
    CHECK(wrong == 0);
    list = nullptr;
  });
  CHECK(live_objects() <= before + length / 20);
}

TEST_CASE("lists: one built at its tail, so that marking always meets the next node last") {
  const std::size_t length = scaled(kDeep);
  gc::root<Link> list = build<Link>([&] {
    Link* const head = gc::make<Link>(0);
    Link* tail = head;
    for (std::size_t i = 1; i < length; ++i) {
      Link* const link = gc::make<Link>(i);
      tail->next = link;
      link->previous = tail;
      tail = link;
    }
    tail->next = head;  // and round
    head->previous = tail;
    return head;
  });
  shake();
  on_fresh_thread([&] {
    const Link* link = list;
    std::size_t wrong = 0;
    for (std::size_t i = 0; i < length && wrong == 0; ++i) {
      wrong += link->key == i && link->next->previous == link ? 0 : 1;
      link = link->next;
    }
    CHECK(wrong == 0);
    CHECK(link == list);
  });
  Census census;
  on_fresh_thread([&] {
    for (const Link* link = list->next; link != list && census.size() < 10000; link = link->next)
      census.add(link);
    list = nullptr;
  });
  collect_all();
  CHECK(census.reclaimed());
}

TEST_CASE("lists: held at its far end only") {
  const std::size_t length = scaled(kDeep / 3);
  gc::root<Link> tail = build<Link>([&] {
    Link* last = gc::make<Link>(0);
    for (std::size_t i = 1; i < length; ++i) {
      Link* const link = gc::make<Link>(i);
      link->previous = last;
      last = link;
    }
    return last;
  });
  shake();
  std::size_t walked = 0;
  on_fresh_thread([&] {
    for (const Link* link = tail; link != nullptr; link = link->previous) {
      REQUIRE(link->key == length - 1 - walked);
      ++walked;
    }
  });
  CHECK(walked == length);
}

TEST_CASE("lists: cut in the middle, one half goes and the other stays") {
  constexpr std::size_t kLength = 20000;
  Census kept, dropped;
  gc::root<Node> list = build<Node>([&] {
    Node* head = nullptr;
    for (std::size_t i = 0; i < kLength; ++i) {
      Node* const node = gc::make<Node>(i);
      node->left = head;
      head = node;
      (i < kLength / 2 ? dropped : kept).add(node);
    }
    return head;
  });
  on_fresh_thread([&] {
    Node* node = list;
    while (node->key != kLength / 2) node = node->left;
    node->left = nullptr;
  });
  shake();
  CHECK(kept.alive() == kLength / 2);
  CHECK(dropped.reclaimed());
}

Node* complete_tree(std::size_t depth, std::uint64_t key) {
  Node* const node = gc::make<Node>(key);
  if (depth > 0) {
    node->left = complete_tree(depth - 1, 2 * key);
    node->right = complete_tree(depth - 1, 2 * key + 1);
  }
  return node;
}

std::size_t count_tree(const Node* node, std::uint64_t key) {
  REQUIRE(node->intact());
  REQUIRE(node->key == key);
  if (node->left == nullptr) return 1;
  return 1 + count_tree(node->left, 2 * key) + count_tree(node->right, 2 * key + 1);
}

TEST_CASE("lists: a complete tree keeps its shape, and a pruned branch goes") {
  const std::size_t depth = kSanitized ? 13 : 18;
  gc::root<Node> tree = build<Node>([&] { return complete_tree(depth, 1); });
  shake();
  std::size_t count = 0;
  on_fresh_thread([&] { count = count_tree(tree, 1); });
  CHECK(count == (std::size_t{2} << depth) - 1);
  Census pruned;
  on_fresh_thread([&] {
    for (std::size_t i = 0; i < 10; ++i) {
      Node* parent = tree;
      for (std::size_t level = 0; level < 5 && parent->left != nullptr; ++level) {
        parent = (i >> level) % 2 == 0 ? parent->left : parent->right;
      }
      for (Node* node = parent->left; node != nullptr; node = node->right) pruned.add(node);
      parent->left = parent->right = nullptr;
    }
  });
  shake(1);
  CHECK(pruned.size() > 0);
  CHECK(pruned.alive() <= 1);
}

TEST_CASE("lists: rings of every length up to a few hundred go, though each refers to itself") {
  Census census;
  on_fresh_thread([&] {
    for (std::size_t length = 1; length <= 300; ++length) {
      Node* const first = gc::make<Node>(0);
      Node* last = first;
      for (std::size_t i = 1; i < length; ++i) {
        last->left = gc::make<Node>(i);
        last = last->left;
      }
      last->left = first;
      census.add(first);
    }
  });
  collect_all();
  CHECK(census.reclaimed());
}

struct Hub {
  gc::ptr<gc::ptr<Hub>> spokes;
};

// [marker.once]
TEST_CASE("lists: a clique of objects that all refer to all") {
  constexpr std::size_t kSize = 300;
  Census census;
  gc::root<Hub> hub = build<Hub>([&] {
    gc::ptr<Hub>* const all = gc::make_array<gc::ptr<Hub>>(kSize);
    for (std::size_t i = 0; i < kSize; ++i) {
      all[i] = gc::make<Hub>();
      census.add(all[i].get());
    }
    for (std::size_t i = 0; i < kSize; ++i) {
      all[i]->spokes = gc::make_array<gc::ptr<Hub>>(kSize);
      for (std::size_t k = 0; k < kSize; ++k) all[i]->spokes[k] = all[k];
    }
    return all[0].get();
  });
  shake();
  CHECK(census.alive() == kSize);
  on_fresh_thread([&] {
    for (std::size_t i = 0; i < kSize; ++i) {
      for (std::size_t k = 0; k < kSize; ++k) REQUIRE(hub->spokes[i]->spokes[k] == hub->spokes[k]);
    }
    hub = nullptr;
  });
  collect_all();
  CHECK(census.reclaimed());
}

TEST_CASE("lists: a random graph, checked edge by edge") {
  Random random(announce_seed("random graph"));
  const std::size_t size = scaled(300'000);
  gc::root<gc::ptr<Node>> index = build<gc::ptr<Node>>([&] {
    gc::ptr<Node>* const all = gc::make_array<gc::ptr<Node>>(size);
    for (std::size_t i = 0; i < size; ++i) all[i] = gc::make<Node>(i);
    for (std::size_t i = 0; i < size; ++i) {
      all[i]->left = all[mix(i) % size];
      all[i]->right = all[mix(~i) % size];
    }
    return all;
  });
  // Now only what node 0 reaches is kept.
  gc::root<Node> first;
  on_fresh_thread([&] {
    first = index[0];
    index = nullptr;
  });
  shake();
  on_fresh_thread([&] {
    std::vector<bool> seen(size);
    std::vector<const Node*>
        stack;  // the nodes stay reachable from `first` while these copies are in use
    stack.push_back(first);
    seen[0] = true;
    while (!stack.empty()) {
      const Node* const node = stack.back();
      stack.pop_back();
      if (!node->intact() || node->left->key != mix(node->key) % size ||
          node->right->key != mix(~node->key) % size) {
        FAIL("node " << node->key << " was damaged");
      }
      for (const Node* next : {node->left.get(), node->right.get()}) {
        if (!seen[next->key]) {
          seen[next->key] = true;
          stack.push_back(next);
        }
      }
    }
  });
}

}  // namespace
}  // namespace tricolor::tests
