// Threads that allocate, share objects under a mutex, and make weak references, finalizers,
// cleanups and pooled objects; for the tools that watch a program run.
//
//     watched_program [THREADS] [ROUNDS]
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include <tricolor/prelude.hpp>

namespace {

struct Node {
  gc::ptr<Node> left, right;
  int key = 0;
};

struct Named {
  explicit Named(int i) : name("a long name that lies in malloc's memory " + std::to_string(i)) {}
  std::string name;
  gc::ptr<Named> next;
};

struct Shared {
  gc::ptr<Node> head;
  gc::atomic<Node> at;
  gc::weak<Node> weak;
};

gc::root<Shared> shared;
gc::root<Node> tree_of_all;
std::mutex mutex;  // guards shared, but for `at`, and tree_of_all
std::atomic<int> finalized{0}, cleaned{0};
sync::Pool<Node> pool({.new_fn = [] { return gc::make<Node>(); }});

Node* build(int depth) {
  Node* const node = gc::make<Node>();
  node->key = depth;
  if (depth > 0) {
    node->left = build(depth - 1);
    node->right = build(depth - 1);
  }
  return node;
}

int count(const Node* node) {
  return node == nullptr ? 0 : 1 + count(node->left) + count(node->right);
}

void share(Node* tree, bool cut) {
  const std::lock_guard guard(mutex);
  Node* const node = gc::make<Node>();
  node->left = tree;
  node->right = cut ? nullptr : shared->head.get();
  shared->head = node;
  if (Node* const kept = shared->weak.lock()) node->key += kept->key;
  shared->weak = tree;
  tree_of_all = build(5);
}

void drop_with_destructors(Node* tree) {
  Named* const last = gc::make<Named>(0);
  gc::set_finalizer(last, [](Named* named) { finalized += named->name.empty() ? 0 : 1; });
  gc::add_cleanup(
      tree, [](int n) { cleaned += n; }, 1);
  for (int i = 0; i < 50; ++i) last->next = gc::make<Named>(i);
}

void use_pool() {
  for (int i = 0; i < 50; ++i) {
    Node* const node = pool.get();
    ++node->key;
    pool.put(node);
    const auto leased = pool.lease();
    leased->key = i;
  }
}

// Whether all was as it was made.
bool work(int rounds) {
  bool good = true;
  for (int round = 0; round < rounds; ++round) {
    Node* const tree = build(8);
    share(tree, round % 4 == 3);
    shared->at = tree;
    Node* const other = shared->at.load();
    good = good && other->key == 8 && count(tree) == 511;
    drop_with_destructors(tree);
    use_pool();
    char* const bytes = gc::make_array<char>(100'000);
    bytes[5] = 1;
    gc::ptr<Node>* const nodes = gc::make_array<gc::ptr<Node>>(2000);
    nodes[3] = tree;
    std::thread([&good, kept = gc::root<Node>(tree)] { good = good && kept->key == 8; }).join();
  }
  return good;
}

}  // namespace

int main(int argc, char** argv) {
  const int threads = argc > 1 ? std::atoi(argv[1]) : 3;
  const int rounds = argc > 2 ? std::atoi(argv[2]) : 5;
  shared = gc::make<Shared>();
  std::atomic<int> damaged{0};
  std::vector<std::thread> running;
  for (int i = 0; i < threads; ++i) {
    running.emplace_back([&] { damaged += work(rounds) ? 0 : 1; });
  }
  for (std::thread& thread : running) thread.join();
  for (int i = 0; i < 3; ++i) {
    runtime::collect();
    runtime::wait_for_finalizers();
  }
  const bool good = damaged == 0 && finalized > 0 && cleaned > 0;
  std::puts(good ? "ok" : "damaged");
  return good ? 0 : 1;
}
