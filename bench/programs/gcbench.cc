// GCBench (Ellis, Kovac and Boehm): perfect trees built from the root down and from the leaves up,
// beside a long-lived tree and a long-lived array without references. Every thread does the same
// work with its own tree and array.
// Arguments: --depth=N (of the largest tree; 18 in the original), --threads=N.

#include <bit>
#include <thread>
#include <vector>

#include "bench/programs/program.h"
#include BENCH_BACKEND

namespace {

namespace backend = bench::backend;
using bench::programs::mixed;
using bench::programs::Program;

struct Node {
  backend::Field<Node> left{};
  backend::Field<Node> right{};
  std::uint64_t i = 0;
  std::uint64_t j = 0;
};

constexpr unsigned kMinDepth = 4;

constexpr std::uint64_t tree_size(unsigned depth) { return (std::uint64_t{2} << depth) - 1; }

void populate(unsigned depth, Node* node) {
  if (depth == 0) return;
  node->left = backend::make<Node>();
  node->right = backend::make<Node>();
  node->i = depth;
  populate(depth - 1, backend::raw(node->left));
  populate(depth - 1, backend::raw(node->right));
}

backend::Ref<Node> make_tree(unsigned depth) {
  if (depth == 0) return backend::make<Node>();
  backend::Ref<Node> left = make_tree(depth - 1);
  backend::Ref<Node> right = make_tree(depth - 1);
  backend::Ref<Node> node = backend::make<Node>();
  node->left = left;
  node->right = right;
  node->i = depth;
  return node;
}

std::uint64_t sum(const Node* node) {
  if (node == nullptr) return 0;
  return 1 + node->i + sum(backend::raw(node->left)) + sum(backend::raw(node->right));
}

void drop(const backend::Ref<Node>& node) {
  if constexpr (backend::kByHand) {
    if (node == nullptr) return;
    drop(node->left);
    drop(node->right);
    backend::release(node);
  }
}

std::uint64_t construction(unsigned depth, unsigned largest) {
  const std::uint64_t rounds = 2 * tree_size(largest) / tree_size(depth);
  std::uint64_t checksum = 0;
  for (std::uint64_t i = 0; i < rounds; ++i) {
    const backend::Ref<Node> tree = backend::make<Node>();
    populate(depth, backend::raw(tree));
    checksum += tree->i;
    drop(tree);
  }
  for (std::uint64_t i = 0; i < rounds; ++i) {
    const backend::Ref<Node> tree = make_tree(depth);
    checksum += tree->left->i;
    drop(tree);
  }
  return checksum;
}

std::uint64_t run(unsigned depth) {
  const backend::Ref<Node> stretch = make_tree(depth);
  std::uint64_t checksum = stretch->i;
  drop(stretch);

  const backend::Ref<Node> long_lived = backend::make<Node>();
  populate(depth - 2, backend::raw(long_lived));
  const std::size_t length = std::size_t{2} << depth;
  const backend::ArrayRef<double> array = backend::make_array<double>(length);
  for (std::size_t i = 0; i < length; ++i) array[i] = 1.0 / static_cast<double>(i + 1);

  for (unsigned d = kMinDepth; d <= depth - 2; d += 2)
    checksum = mixed(checksum, construction(d, depth));

  checksum = mixed(checksum, sum(backend::raw(long_lived)));
  checksum = mixed(checksum, std::bit_cast<std::uint64_t>(array[999]));
  drop(long_lived);
  backend::release_array(array);
  return checksum;
}

}  // namespace

int main(int argc, char** argv) {
  Program program(argc, argv);
  const auto depth = static_cast<unsigned>(program.number("--depth", 21, 16));
  std::vector<std::uint64_t> checksums(program.threads());
  backend::start();
  program.begin();
  std::vector<std::thread> threads;
  for (std::uint64_t& checksum : checksums) {
    threads.emplace_back([&checksum, depth] {
      const backend::ThreadScope scope;
      checksum = run(depth);
    });
  }
  backend::blocking([&] {
    for (std::thread& thread : threads) thread.join();
  });
  std::uint64_t checksum = 0;
  for (const std::uint64_t one : checksums) checksum = mixed(checksum, one);
  return program.end(checksum, backend::collections());
}
