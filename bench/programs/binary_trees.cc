// binary-trees: builds and drops perfect binary trees of growing depth beside one that stays, on
// one thread. --depth=N is that of the largest.

#include "bench/programs/program.h"
#include BENCH_BACKEND

namespace {

namespace backend = bench::backend;
using bench::programs::mixed;
using bench::programs::Program;

struct Node {
  backend::Field<Node> left{};
  backend::Field<Node> right{};
};

constexpr unsigned kMinDepth = 4;

backend::Ref<Node> build(unsigned depth) {
  backend::Ref<Node> node = backend::make<Node>();
  if (depth > 0) {
    node->left = build(depth - 1);
    node->right = build(depth - 1);
  }
  return node;
}

std::uint64_t count(const Node* node) {
  const Node* const left = backend::raw(node->left);
  return left == nullptr ? 1 : 1 + count(left) + count(backend::raw(node->right));
}

void drop(const backend::Ref<Node>& node) {
  if constexpr (backend::kByHand) {
    if (node == nullptr) return;
    drop(node->left);
    drop(node->right);
    backend::release(node);
  }
}

std::uint64_t count_and_drop(unsigned depth) {
  const backend::Ref<Node> tree = build(depth);
  const std::uint64_t nodes = count(backend::raw(tree));
  drop(tree);
  return nodes;
}

std::uint64_t run(unsigned depth) {
  std::uint64_t checksum = count_and_drop(depth + 1);
  const backend::Ref<Node> long_lived = build(depth);
  for (unsigned d = kMinDepth; d <= depth; d += 2) {
    const std::uint64_t rounds = std::uint64_t{1} << (depth - d + kMinDepth);
    std::uint64_t nodes = 0;
    for (std::uint64_t i = 0; i < rounds; ++i) nodes += count_and_drop(d);
    checksum = mixed(checksum, nodes);
  }
  checksum = mixed(checksum, count(backend::raw(long_lived)));
  drop(long_lived);
  return checksum;
}

}  // namespace

int main(int argc, char** argv) {
  Program program(argc, argv);
  const auto depth = static_cast<unsigned>(program.number("--depth", 21, 16));
  backend::start();
  program.begin();
  const std::uint64_t checksum = run(depth);
  return program.end(checksum, backend::collections());
}
