// A tree of fan-out two that is turned round all the time: a step walks from the root along a
// random path, exchanges the children of every node that it passes, and replaces the small subtree
// at its end. Marking finds little to do in parallel; the graph changes under it near the root.
// Arguments: --steps=N, --live-mb=N (rounded to a power of two).

#include <bit>

#include "bench/programs/program.h"
#include "bench/programs/requests.h"
#include BENCH_BACKEND

namespace {

namespace backend = bench::backend;
using namespace bench::programs;

struct Node {
  backend::Field<Node> left{};
  backend::Field<Node> right{};
  std::uint64_t number = 0;
};

constexpr unsigned kSubtreeDepth = 5;

backend::Ref<Node> build(unsigned depth, std::uint64_t number) {
  backend::Ref<Node> node = backend::make<Node>();
  node->number = number;
  if (depth > 0) {
    node->left = build(depth - 1, number * 2 + 1);
    node->right = build(depth - 1, number * 2 + 2);
  }
  return node;
}

std::uint64_t sum(const Node* node) {
  const Node* const left = backend::raw(node->left);
  if (left == nullptr) return node->number;
  return mixed(sum(left), sum(backend::raw(node->right))) ^ node->number;
}

void drop(const backend::Ref<Node>& node) {
  if constexpr (backend::kByHand) {
    if (node == nullptr) return;
    drop(node->left);
    drop(node->right);
    backend::release(node);
  }
}

std::uint64_t turn(Node* node, unsigned depth, std::uint64_t path) {
  for (; depth > kSubtreeDepth + 1; --depth, path >>= 1) {
    backend::Ref<Node> left = node->left;
    node->left = node->right;
    node->right = left;
    node = backend::raw((path & 1) != 0 ? node->left : node->right);
  }
  const std::uint64_t dropped = sum(backend::raw(node->left));
  drop(node->left);
  node->left = build(kSubtreeDepth, path);
  backend::Ref<Node> left = node->left;
  node->left = node->right;
  node->right = left;
  return dropped;
}

}  // namespace

int main(int argc, char** argv) {
  Program program(argc, argv);
  // A node has 32 bytes nearly everywhere.
  const std::uint64_t nodes = program.number("--live-mb", 128, 8) * 32768;
  const auto depth = static_cast<unsigned>(std::bit_width(nodes)) - 2;
  const std::uint64_t steps = program.number("--steps", 1'500'000, 30'000);
  backend::start();
  static backend::Global<Node> tree;
  tree = build(depth, 0);
  Control control;
  Requests requests;
  requests.set_control(control);
  Random random(1);
  std::uint64_t checksum = 0;
  program.begin();
  requests.begin();
  for (std::uint64_t i = 0; i < steps; ++i) {
    checksum = mixed(checksum, turn(backend::raw(tree), depth, random.next() >> 1));
    requests.done();
  }
  checksum = mixed(checksum, sum(backend::raw(tree)));
  return program.end(checksum, backend::collections(), &requests);
}
