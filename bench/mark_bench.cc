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
#include <random>

#include "bench/process.h"
#include BENCH_BACKEND

namespace {

namespace backend = bench::backend;

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

template <typename N>
N* build(std::size_t count, const std::string& shape) {
  std::mt19937_64 random(42);
  // Malloc's memory, which no collector scans: nothing is collected before the graph is whole.
  std::unique_ptr<N*[], decltype(&std::free)> nodes(
      static_cast<N**>(std::calloc(count, sizeof(N*))), &std::free);
  for (std::size_t i = 0; i < count; ++i) nodes[i] = backend::make<N>();
  if (shape == "shuffled" || shape == "random") {
    std::shuffle(nodes.get(), nodes.get() + count, random);
  } else if (shape == "runs") {
    constexpr std::size_t kRun = 64;
    for (std::size_t i = count / kRun; i-- > 1;) {
      const std::size_t j = random() % i;
      std::swap_ranges(nodes.get() + i * kRun, nodes.get() + (i + 1) * kRun,
                       nodes.get() + j * kRun);
    }
  } else if (shape != "order") {
    fmt::print(stderr, "mark-bench: no shape {}: order, shuffled, random or runs\n", shape);
    std::exit(2);
  }
  N* const root = link(nodes.get(), count);
  if (shape == "random") {
    for (std::size_t i = 0; i < count; ++i) nodes[i]->other = nodes[random() % count];
  }
  return root;
}

template <std::size_t Bytes>
void run(const bench::Arguments& arguments) {
  const bool quick = arguments.has("--quick");
  const std::string shape = arguments.text("--shape", "random");
  const std::size_t count = arguments.number("--objects", quick ? 500'000 : 8'000'000);
  const std::size_t rounds = arguments.number("--collections", quick ? 3 : 5);
  [[maybe_unused]] static backend::Global<Node<Bytes>> graph;
  backend::pause_collections(true);
  graph = build<Node<Bytes>>(count, shape);
  backend::pause_collections(false);
  backend::collect();
  std::vector<double> walls;
  std::vector<double> cpus;
  for (std::size_t i = 0; i < rounds; ++i) {
    const double wall = bench::now_s();
    const double cpu = bench::process_cpu_s();
    backend::collect();
    cpus.push_back((bench::process_cpu_s() - cpu) * 1e9 / static_cast<double>(count));
    walls.push_back((bench::now_s() - wall) * 1e9 / static_cast<double>(count));
  }
  bench::Figures figures;
  figures.add("wall ns/object", bench::median(walls));
  figures.add("cpu ns/object", bench::median(cpus));
  figures.add("peak MB", bench::peak_rss_mb());
  figures.print();
  graph = nullptr;
}

}  // namespace

int main(int argc, char** argv) {
  const bench::Arguments arguments(argc, argv);
  backend::start();
  switch (arguments.number("--bytes", 32)) {
    case 32:
      run<32>(arguments);
      break;
    case 64:
      run<64>(arguments);
      break;
    default:
      fmt::print(stderr, "mark-bench: objects have 32 or 64 bytes\n");
      return 2;
  }
}
