// binary-trees: builds and drops perfect binary trees of growing depth beside one that stays, on
// one thread. The argument is the depth of the largest (21 if none is given).

#include "bench/process.h"
#include BENCH_BACKEND

namespace {

namespace backend = bench::backend;

struct Node {
  backend::Field<Node> left{};
  backend::Field<Node> right{};
};

constexpr unsigned kMinDepth = 4;

Node* build(unsigned depth) {
  Node* const node = backend::make<Node>();
  if (depth > 0) {
    node->left = build(depth - 1);
    node->right = build(depth - 1);
  }
  return node;
}

std::uint64_t count(const Node* node) {
  const Node* const left = node->left;
  return left == nullptr ? 1 : 1 + count(left) + count(node->right);
}

void drop(Node* node) {
  if constexpr (!backend::kCollects) {
    if (node == nullptr) return;
    drop(node->left);
    drop(node->right);
    backend::release(node);
  }
}

std::uint64_t count_and_drop(unsigned depth) {
  Node* const tree = build(depth);
  const std::uint64_t nodes = count(tree);
  drop(tree);
  return nodes;
}

std::uint64_t run(unsigned depth) {
  std::uint64_t checksum = count_and_drop(depth + 1);
  Node* const long_lived = build(depth);
  for (unsigned d = kMinDepth; d <= depth; d += 2) {
    const std::uint64_t rounds = std::uint64_t{1} << (depth - d + kMinDepth);
    std::uint64_t nodes = 0;
    for (std::uint64_t i = 0; i < rounds; ++i) nodes += count_and_drop(d);
    checksum = checksum * 1000003 + nodes;
  }
  checksum = checksum * 1000003 + count(long_lived);
  drop(long_lived);
  return checksum;
}

}  // namespace

int main(int argc, char** argv) {
  const bench::Arguments arguments(argc, argv);
  const auto depth =
      static_cast<unsigned>(arguments.number("--depth", arguments.has("--quick") ? 16 : 21));
  backend::start();
  const double wall = bench::now_s();
  const double cpu = bench::process_cpu_s();
  const std::uint64_t checksum = run(depth);
  bench::Figures figures;
  figures.add("checksum", fmt::format("{:016x}", checksum));
  figures.add("wall s", bench::now_s() - wall);
  figures.add("cpu s", bench::process_cpu_s() - cpu);
  figures.add("peak MB", bench::peak_rss_mb());
  if (backend::kCollects) figures.add("collections", static_cast<double>(backend::collections()));
  figures.print();
}
