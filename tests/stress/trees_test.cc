// Binary trees: built, rebuilt, rotated and dropped on several threads, with the pacer choosing the
// cycles.
#include "tests/support.hpp"

namespace tricolor::tests {
namespace {

constexpr std::size_t kThreads = 4;

Node* build_tree(int depth, std::uint64_t key) {
  Node* const node = gc::make<Node>(key);
  if (depth > 0) {
    node->left = build_tree(depth - 1, 2 * key);
    node->right = build_tree(depth - 1, 2 * key + 1);
  }
  return node;
}

// Filled from the top down: references to white newborns go into older objects.
void fill_tree(Node* node, int depth) {
  if (depth == 0) return;
  node->left = gc::make<Node>(2 * node->key);
  node->right = gc::make<Node>(2 * node->key + 1);
  fill_tree(node->left, depth - 1);
  fill_tree(node->right, depth - 1);
}

std::size_t check_tree(const Node* node, std::uint64_t key, Findings& findings) {
  findings.expect(node->intact() && node->key == key, "a tree node was damaged");
  if (node->left == nullptr) return 1;
  return 1 + check_tree(node->left, 2 * key, findings) +
         check_tree(node->right, 2 * key + 1, findings);
}

TEST_CASE("stress trees: short-lived trees beside a long-lived one, on each thread") {
  Findings findings;
  const auto before = mem_stats().num_gc;
  on_threads(kThreads, [&](std::size_t) {
    const int depth = kSanitized ? 10 : 14;
    gc::root<Node> lasting = build_tree(depth, 1);
    for (std::size_t i = 0; i < stress_rounds(12); ++i) {
      for (int d = 4; d <= depth; d += 2) {
        for (int copies = 0; copies < (1 << (depth - d)); ++copies) {
          const Node* const bottom_up = build_tree(d, 1);
          findings.expect(check_tree(bottom_up, 1, findings) == (std::size_t{2} << d) - 1,
                          "a tree lost nodes");
          Node* const top_down = gc::make<Node>(1);
          fill_tree(top_down, d);
          findings.expect(check_tree(top_down, 1, findings) == (std::size_t{2} << d) - 1,
                          "a tree lost nodes");
        }
      }
    }
    findings.expect(check_tree(lasting, 1, findings) == (std::size_t{2} << depth) - 1,
                    "the lasting tree lost nodes");
  });
  CHECK_MESSAGE(findings.count() == 0, findings.first());
  if (!kSanitized) CHECK(mem_stats().num_gc > before);  // there the trees are too small
}

TEST_CASE("stress trees: subtrees swapped and rebuilt in place, cycles back to back") {
  const std::uint64_t seed = announce_seed("subtrees");
  Findings findings;
  CollectingThread collector(scaled(kLongChain));
  on_threads(kThreads, [&](std::size_t t) {
    Random random(seed + t);
    const int depth = kSanitized ? 8 : 12;
    gc::root<Node> tree = build_tree(depth, 1);
    for (std::size_t i = 0; i < stress_rounds(600'000); ++i) {
      Node* node = tree;
      int height = depth;
      while (height > 2 && !random.one_in(4)) {
        node = random.one_in(2) ? node->left : node->right;
        --height;
      }
      switch (random.below(3)) {
        case 0:
          swap(node->left, node->right);
          swap(node->left, node->right);
          break;
        case 1:
          if (height < 6) {
            node->left = build_tree(height - 1, 2 * node->key);
          }
          break;
        default: {
          Node* const kept = node->right;
          node->right = nullptr;
          findings.expect(kept->intact(), "a subtree held on the stack was damaged");
          if (height < 6) fill_tree(node, height);
          node->right = kept;
        }
      }
    }
    findings.expect(check_tree(tree, 1, findings) == (std::size_t{2} << depth) - 1,
                    "the tree lost nodes");
  });
  collector.stop();
  CHECK_MESSAGE(findings.count() == 0, findings.first());
  CHECK(collector.cycles() > 0);
}

struct Splay {
  explicit Splay(std::uint64_t k) : key(k), seal(mix(k)) {}
  std::uint64_t key, seal;
  gc::ptr<Splay> left, right;
  gc::ptr<Node> payload;
};

// Top-down splay (Sleator and Tarjan 1985): every lookup rewrites the path.
Splay* splay(Splay* root, std::uint64_t key) {
  if (root == nullptr) return nullptr;
  Splay header(0);
  Splay *left = &header, *right = &header, *node = root;
  for (;;) {
    if (key < node->key) {
      Splay* child = node->left;
      if (child == nullptr) break;
      if (key < child->key) {
        node->left = child->right;
        child->right = node;
        node = child;
        if (node->left == nullptr) break;
      }
      right->left = node;
      right = node;
      node = node->left;
    } else if (key > node->key) {
      Splay* child = node->right;
      if (child == nullptr) break;
      if (key > child->key) {
        node->right = child->left;
        child->left = node;
        node = child;
        if (node->right == nullptr) break;
      }
      left->right = node;
      left = node;
      node = node->right;
    } else {
      break;
    }
  }
  left->right = node->left;
  right->left = node->right;
  node->left = header.right;
  node->right = header.left;
  return node;
}

TEST_CASE("stress trees: splay trees, whose references turn over at each access") {
  const std::uint64_t seed = announce_seed("splay");
  Findings findings;
  CollectingThread collector(scaled(kLongChain));
  on_threads(kThreads, [&](std::size_t t) {
    Random random(seed + t);
    constexpr std::size_t kSize = 4000;
    gc::root<Splay> tree;
    const auto insert = [&](std::uint64_t key) {
      Splay* const top = splay(tree, key);
      if (top != nullptr && top->key == key) {
        top->payload = gc::make<Node>(key);
        tree = top;
        return;
      }
      Splay* const node = gc::make<Splay>(key);
      node->payload = gc::make<Node>(key);
      if (top != nullptr) {
        if (key < top->key) {
          node->right = top;
          node->left = top->left;
          top->left = nullptr;
        } else {
          node->left = top;
          node->right = top->right;
          top->right = nullptr;
        }
      }
      tree = node;
    };
    for (std::size_t i = 0; i < kSize; ++i) insert(i);
    for (std::size_t i = 0; i < stress_rounds(450'000); ++i) {
      const std::uint64_t key = random.below(kSize);
      if (random.one_in(3)) {
        insert(key);
      } else {
        Splay* const found = splay(tree, key);
        tree = found;
        findings.expect(found->key == key && found->seal == mix(key), "a splay node was lost");
        findings.expect(found->payload->intact() && found->payload->key == key,
                        "a payload was damaged");
      }
    }
  });
  collector.stop();
  CHECK_MESSAGE(findings.count() == 0, findings.first());
}

}  // namespace
}  // namespace tricolor::tests
