// Forced full collections of a large graph in which everything is alive: what marking costs an
// object.
//
// A graph is a perfect binary tree over all objects; its shape says where in memory the tree's
// nodes lie:
//   order     in allocation order, left before right (preorder)
//   shuffled  anywhere
//   random    anywhere, and every object also refers to another one chosen at random
//   runs      stretches of 64 objects in allocation order, the stretches anywhere
// Arguments: --shape=NAME --objects=N --bytes=32|64 --collections=N --quick.

#include <memory>
#include <utility>

#include "bench/process.h"
#include "bench/programs/program.h"
#include BENCH_BACKEND

namespace {

namespace backend = bench::backend;
using bench::programs::mixed;
using bench::programs::Program;
using bench::programs::Random;

template <std::size_t Bytes>
struct Node {
  backend::Field<Node> left{};
  backend::Field<Node> right{};
  backend::Field<Node> other{};
  std::uint64_t payload[Bytes / 8 - 3] = {};
};

// Links nodes[first .. first + count) as a tree in preorder; gives its root.
template <typename N>
N* link(N* const* nodes, std::size_t count) {
  if (count == 0) return nullptr;
  const std::size_t left = (count - 1) / 2;
  nodes[0]->left = link(nodes + 1, left);
  nodes[0]->right = link(nodes + 1 + left, count - 1 - left);
  return nodes[0];
}

// Leaves the root in `graph`, which is empty before.
template <typename N>
void build(std::size_t count, const std::string& shape, backend::Global<N>& graph) {
  Random random(1);
  // Malloc's memory, which no collector scans: until the tree is whole, a chain through `other`
  // keeps the objects alive. What is kept nowhere else must not be read back from here.
  std::unique_ptr<N*[], decltype(&std::free)> nodes(
      static_cast<N**>(std::calloc(count, sizeof(N*))), &std::free);
  for (std::size_t i = 0; i < count; ++i) {
    N* const node = backend::make<N>();
    node->payload[0] = i;
    node->other = backend::raw(graph);
    graph = node;
    nodes[i] = node;
  }
  const auto below = [&](std::size_t n) { return random.below(static_cast<std::uint32_t>(n)); };
  if (shape == "shuffled" || shape == "random") {
    for (std::size_t i = count; i-- > 1;) std::swap(nodes[i], nodes[below(i + 1)]);
  } else if (shape == "runs") {
    constexpr std::size_t kRun = 64;
    for (std::size_t i = count / kRun; i-- > 1;) {
      const std::size_t j = below(i);
      std::swap_ranges(nodes.get() + i * kRun, nodes.get() + (i + 1) * kRun,
                       nodes.get() + j * kRun);
    }
  } else if (shape != "order") {
    fmt::print(stderr, "mark: no shape {}: order, shuffled, random or runs\n", shape);
    std::exit(2);
  }
  graph = link(nodes.get(), count);
  for (std::size_t i = 0; i < count; ++i) {
    nodes[i]->other = shape == "random" ? nodes[below(count)] : nullptr;
  }
}

template <typename N>
std::uint64_t sum(const N* node) {
  if (node == nullptr) return 0;
  std::uint64_t sum_of_it = node->payload[0];
  if (const N* const other = node->other) sum_of_it ^= other->payload[0] << 32;
  return mixed(mixed(sum_of_it, sum(backend::raw(node->left))), sum(backend::raw(node->right)));
}

template <std::size_t Bytes>
int run(Program& program) {
  const std::string shape = program.text("--shape", "random");
  const std::size_t count = program.number("--objects", 8'000'000, 500'000);
  const std::size_t rounds = program.number("--collections", 5, 3);
  [[maybe_unused]] static backend::Global<Node<Bytes>> graph;
  backend::pause_collections(true);
  build(count, shape, graph);
  backend::pause_collections(false);
  backend::collect();
  std::vector<double> walls;
  std::vector<double> cpus;
  program.begin();
  for (std::size_t i = 0; i < rounds; ++i) {
    const double wall = bench::now_s();
    const double cpu = bench::process_cpu_s();
    backend::collect();
    cpus.push_back((bench::process_cpu_s() - cpu) * 1e9 / static_cast<double>(count));
    walls.push_back((bench::now_s() - wall) * 1e9 / static_cast<double>(count));
  }
  program.stop();
  program.figure("wall ns/object", bench::median(walls));
  program.figure("cpu ns/object", bench::median(cpus));
  const int status = program.end(sum(backend::raw(graph)), backend::collections());
  graph = nullptr;
  return status;
}

}  // namespace

int main(int argc, char** argv) {
  Program program(argc, argv);
  backend::start();
  switch (program.number("--bytes", 32, 32)) {
    case 32:
      return run<32>(program);
    case 64:
      return run<64>(program);
    default:
      fmt::print(stderr, "mark: objects have 32 or 64 bytes\n");
      return 2;
  }
}
