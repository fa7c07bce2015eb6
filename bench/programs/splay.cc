// A splay tree (Sleator and Tarjan, 1985; the program after V8's): a step inserts a new random key
// with a payload, a small tree with arrays of numbers at its leaves, and removes the greatest key
// below it. Old objects are written all the time.
// Arguments: --steps=N, --live-mb=N.

#include <utility>

#include "bench/programs/program.h"
#include "bench/programs/requests.h"
#include BENCH_BACKEND

namespace {

namespace backend = bench::backend;
using namespace bench::programs;

struct Payload {
  backend::Field<Payload> left{};
  backend::Field<Payload> right{};
  backend::ArrayField<std::uint64_t> numbers{};
};

struct Node {
  backend::Field<Node> left{};
  backend::Field<Node> right{};
  backend::Field<Payload> payload{};
  std::uint64_t key = 0;
};

constexpr unsigned kPayloadDepth = 4;
constexpr std::size_t kNumbers = 10;
constexpr std::uint64_t kNodesPerMb = 400;

backend::Ref<Payload> make_payload(unsigned depth, std::uint64_t key) {
  backend::Ref<Payload> payload = backend::make<Payload>();
  if (depth == 0) {
    payload->numbers = backend::make_array<std::uint64_t>(kNumbers);
    for (std::size_t i = 0; i < kNumbers; ++i) payload->numbers[i] = key + i;
  } else {
    payload->left = make_payload(depth - 1, key);
    payload->right = make_payload(depth - 1, key + 1);
  }
  return payload;
}

std::uint64_t sum(const Payload* payload) {
  const Payload* const left = backend::raw(payload->left);
  if (left == nullptr) return payload->numbers[0] ^ payload->numbers[kNumbers - 1];
  return sum(left) * 31 + sum(backend::raw(payload->right));
}

void drop(const backend::Ref<Payload>& payload) {
  if constexpr (backend::kByHand) {
    if (payload == nullptr) return;
    drop(payload->left);
    drop(payload->right);
    backend::release_array(payload->numbers);
    backend::release(payload);
  }
}

// Makes the node with `key`, or a neighbour of where it would be, the root (top-down).
backend::Ref<Node> splay(backend::Ref<Node> root, std::uint64_t key) {
  if (root == nullptr) return root;
  Node header;
  Node* less = &header;     // its right is where the next smaller part goes
  Node* greater = &header;  // its left is where the next greater part goes
  while (key != root->key) {
    if (key < root->key) {
      if (root->left == nullptr) break;
      if (key < root->left->key) {
        backend::Ref<Node> up = root->left;
        root->left = up->right;
        up->right = root;
        root = up;
        if (root->left == nullptr) break;
      }
      greater->left = root;
      greater = backend::raw(root);
      root = backend::Ref<Node>(root->left);
    } else {
      if (root->right == nullptr) break;
      if (key > root->right->key) {
        backend::Ref<Node> up = root->right;
        root->right = up->left;
        up->left = root;
        root = up;
        if (root->right == nullptr) break;
      }
      less->right = root;
      less = backend::raw(root);
      root = backend::Ref<Node>(root->right);
    }
  }
  less->right = root->left;
  greater->left = root->right;
  root->left = header.right;
  root->right = header.left;
  return root;
}

backend::Ref<Node> insert(backend::Ref<Node> root, std::uint64_t key) {
  root = splay(std::move(root), key);
  backend::Ref<Node> node = backend::make<Node>();
  node->key = key;
  node->payload = make_payload(kPayloadDepth, key);
  if (root == nullptr) return node;
  if (key > root->key) {
    node->left = root;
    node->right = root->right;
    root->right = nullptr;
  } else {
    node->right = root;
    node->left = root->left;
    root->left = nullptr;
  }
  return node;
}

// Removes the greatest key below that of the root, if there is one.
std::uint64_t remove_before(Node* root) {
  if (root->left == nullptr) return 0;
  backend::Ref<Node> victim = splay(root->left, root->key);
  const std::uint64_t found = mixed(victim->key, sum(backend::raw(victim->payload)));
  root->left = victim->left;  // the greatest has no right
  drop(victim->payload);
  backend::release(victim);
  return found;
}

}  // namespace

int main(int argc, char** argv) {
  Program program(argc, argv);
  const std::uint64_t live = program.number("--live-mb", 128, 8) * kNodesPerMb;
  const std::uint64_t steps = program.number("--steps", 1'000'000, 20'000);
  backend::start();
  static backend::Global<Node> tree;
  Random random(1);
  for (std::uint64_t i = 0; i < live; ++i) tree = insert(tree, random.next() >> 1);
  Control control;
  Requests requests;
  requests.set_control(control);
  std::uint64_t checksum = 0;
  program.begin();
  requests.begin();
  for (std::uint64_t i = 0; i < steps; ++i) {
    tree = insert(tree, random.next() >> 1);
    checksum = mixed(checksum, remove_before(backend::raw(tree)));
    requests.done();
  }
  return program.end(checksum, backend::collections(), &requests);
}
