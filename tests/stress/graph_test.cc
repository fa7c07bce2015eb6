// Mutators that move references between shared and private structures while cycles run back to
// back.
#include "tests/support.hpp"

#include <unordered_set>

namespace tricolor::tests {
namespace {

constexpr std::size_t kThreads = 4;

struct Vertex {
  static constexpr std::size_t kLinks = 3;

  explicit Vertex(std::uint64_t k) noexcept : key(k), seal(mix(k)) {}
  bool intact() const noexcept { return seal == mix(key); }

  std::uint64_t key;
  std::array<gc::atomic<Vertex>, kLinks> link;
  std::uint64_t seal;
};

struct Table {
  static constexpr std::size_t kSize = 512;
  std::array<gc::atomic<Vertex>, kSize> slot;
};

// A few steps along random links; null where the walk falls off the graph.
Vertex* walk(Table& table, Random& random, Findings& findings) {
  Vertex* vertex = table.slot[random.below(Table::kSize)].load(std::memory_order_acquire);
  for (std::size_t steps = random.below(6); steps > 0 && vertex != nullptr; --steps) {
    findings.expect(vertex->intact(), "a vertex on a walk was damaged");
    vertex = vertex->link[random.below(Vertex::kLinks)].load(std::memory_order_acquire);
  }
  if (vertex != nullptr) findings.expect(vertex->intact(), "the end of a walk was damaged");
  return vertex;
}

void mutate(Table& table, Random& random, Findings& findings, std::uint64_t key) {
  Vertex* const a = walk(table, random, findings);
  auto& slot = table.slot[random.below(Table::kSize)];
  const std::size_t i = random.below(Vertex::kLinks), k = random.below(Vertex::kLinks);
  switch (random.below(8)) {
    case 0: {  // a fresh vertex in front of an old one
      Vertex* const fresh = gc::make<Vertex>(key);
      fresh->link[i].store(a, std::memory_order_relaxed);
      slot.store(fresh, std::memory_order_release);
      break;
    }
    case 1: {  // a fresh one behind it
      if (a == nullptr) break;
      Vertex* const fresh = gc::make<Vertex>(key);
      fresh->link[k].store(a->link[i].load(std::memory_order_acquire), std::memory_order_relaxed);
      a->link[i].store(fresh, std::memory_order_release);
      break;
    }
    case 2: {  // the only reference goes from one object to another by way of this stack
      if (a == nullptr) break;
      Vertex* const taken = a->link[i].exchange(nullptr, std::memory_order_acq_rel);
      Vertex* const b = walk(table, random, findings);
      if (b != nullptr && b != taken) b->link[k].store(taken, std::memory_order_release);
      if (taken != nullptr) findings.expect(taken->intact(), "a vertex in transit was damaged");
      break;
    }
    case 3: {  // two slots change places
      Vertex* const taken = slot.exchange(nullptr, std::memory_order_acq_rel);
      auto& other = table.slot[random.below(Table::kSize)];
      slot.store(other.exchange(taken, std::memory_order_acq_rel), std::memory_order_release);
      break;
    }
    case 4: {  // a link becomes a slot
      if (a != nullptr)
        slot.store(a->link[i].load(std::memory_order_acquire), std::memory_order_release);
      break;
    }
    case 5: {  // compare-exchange on a link
      if (a == nullptr) break;
      Vertex* expected = a->link[i].load(std::memory_order_acquire);
      a->link[i].compare_exchange_strong(expected, walk(table, random, findings),
                                         std::memory_order_acq_rel, std::memory_order_acquire);
      break;
    }
    case 6: {  // cut
      if (a == nullptr) break;
      for (auto& link : a->link) link.store(nullptr, std::memory_order_relaxed);
      break;
    }
    default: {  // hold for a while
      for (int n = 0; n < 20 && a != nullptr; ++n)
        findings.expect(a->intact(), "a held vertex was damaged");
    }
  }
}

// Every vertex of the graph, which stands still and so holds what these containers point to.
std::size_t check_reachable(Table& table, Findings& findings) {
  std::vector<const Vertex*> stack;
  std::unordered_set<const Vertex*> seen;
  const auto visit = [&](const Vertex* vertex) {
    if (vertex != nullptr && seen.insert(vertex).second) stack.push_back(vertex);
  };
  for (const auto& slot : table.slot) visit(slot.load());
  while (!stack.empty()) {
    const Vertex* const vertex = stack.back();
    stack.pop_back();
    findings.expect(vertex->intact(), "a reachable vertex was damaged");
    for (const auto& link : vertex->link) visit(link.load());
  }
  return seen.size();
}

// [buffer.flush]
TEST_CASE("stress graph: shared slots and links, four mutators") {
  const std::uint64_t seed = announce_seed("shared graph");
  gc::root<Table> table = gc::make<Table>();
  Findings findings;
  CollectingThread collector(scaled(kLongChain));
  on_threads(kThreads, [&](std::size_t t) {
    Random random(seed + t);
    const std::size_t rounds = stress_rounds(2'000'000);
    for (std::size_t i = 0; i < rounds; ++i) mutate(*table, random, findings, t * rounds + i);
  });
  collector.stop();
  CHECK(collector.cycles() > 0);
  CHECK(check_reachable(*table, findings) > 0);
  CHECK_MESSAGE(findings.count() == 0, findings.first());
}

TEST_CASE("stress graph: private lists rotated through gc::ptr, each thread its own") {
  const std::uint64_t seed = announce_seed("private lists");
  Findings findings;
  CollectingThread collector(scaled(kLongChain));
  on_threads(kThreads, [&](std::size_t t) {
    struct Lists {
      std::array<gc::ptr<Node>, 32> head;
    };
    constexpr std::size_t kNodes = 2000;
    Random random(seed + t);
    gc::root<Lists> lists = gc::make<Lists>();
    for (std::size_t i = 0; i < kNodes; ++i) {
      Node* const node = gc::make<Node>(i);
      node->left = lists->head[i % 32];
      lists->head[i % 32] = node;
    }
    for (std::size_t i = 0; i < stress_rounds(8'000'000); ++i) {
      auto& from = lists->head[random.below(32)];
      auto& to = lists->head[random.below(32)];
      Node* node = from;
      if (node == nullptr) continue;
      from = node->left;
      if (random.one_in(8)) {  // a fresh copy takes its place
        Node* const copy = gc::make<Node>(node->key);
        node->left = nullptr;
        node = copy;
      }
      node->left = to;
      to = node;
      findings.expect(node->intact(), "a node that changed lists was damaged");
    }
    std::vector<bool> seen(kNodes);
    for (const auto& head : lists->head) {
      for (const Node* node = head; node != nullptr; node = node->left) {
        findings.expect(node->intact() && node->key < kNodes && !seen[node->key],
                        "a list is wrong in the end");
        if (node->key < kNodes) seen[node->key] = true;
      }
    }
    for (const bool there : seen) findings.expect(there, "a node was lost");
  });
  collector.stop();
  CHECK_MESSAGE(findings.count() == 0, findings.first());
  CHECK(collector.cycles() > 0);
}

// [map.publish]
TEST_CASE("stress graph: fresh objects take over the references of old ones") {
  // A black newborn is the only one to refer to what a white object referred to.
  const std::uint64_t seed = announce_seed("newborns");
  Findings findings;
  CollectingThread collector(scaled(kLongChain));
  on_threads(kThreads, [&](std::size_t t) {
    Random random(seed + t);
    gc::root<Node> top = gc::make<Node>(0);
    for (std::uint64_t i = 0; i < 64; ++i) {
      Node* const node = gc::make<Node>(i);
      node->left = top.get();
      node->right = gc::make<Node>(i + 1);
      top = node;
    }
    for (std::size_t i = 0; i < stress_rounds(40'000); ++i) {
      // The whole spine anew, from the top; `right` of each node is moved over and cut in the old
      // one.
      Node* fresh_top = nullptr;
      Node* last = nullptr;
      for (Node* old = top; old != nullptr; old = old->left) {
        findings.expect(old->intact(), "the spine was damaged");
        Node* const fresh = gc::make<Node>(old->key);
        fresh->right = old->right;
        old->right = nullptr;
        if (fresh->right != nullptr) findings.expect(fresh->right->intact(), "a leaf was damaged");
        if (last == nullptr) {
          fresh_top = fresh;
        } else {
          last->left = fresh;
        }
        last = fresh;
      }
      top = fresh_top;
    }
    std::size_t length = 0;
    for (const Node* node = top; node != nullptr; node = node->left) ++length;
    findings.expect(length == 65, "the spine changed its length");
  });
  collector.stop();
  CHECK_MESSAGE(findings.count() == 0, findings.first());
}

}  // namespace
}  // namespace tricolor::tests
