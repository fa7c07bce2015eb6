// Quad trees of pictures (region quad trees, Samet 1984): a step draws a disc, unites the picture
// with it, cuts another one out, and counts the black area. Every operation makes a new tree and
// drops its operands.
// Arguments: --steps=N, --size=N (the picture has 2^N x 2^N points).

#include "bench/programs/program.h"
#include BENCH_BACKEND

namespace {

namespace backend = bench::backend;
using namespace bench::programs;

enum Colour : std::uint64_t { kWhite, kBlack, kGrey };

struct Quad {
  backend::Field<Quad> quarters[4];
  std::uint64_t colour = kWhite;
};
using Tree = backend::Ref<Quad>;

struct Disc {
  std::int64_t x, y, radius;
};

Tree leaf(std::uint64_t colour) {
  Tree tree = backend::make<Quad>();
  tree->colour = colour;
  return tree;
}

void drop(const Tree& tree) {
  if constexpr (backend::kByHand) {
    if (tree->colour == kGrey)
      for (const auto& quarter : tree->quarters) drop(quarter);
    backend::release(tree);
  }
}

// The square of `size` points at x, y; a disc covers a square if it covers its farthest point.
Tree draw(const Disc& disc, std::int64_t x, std::int64_t y, std::int64_t size) {
  const auto nearest = [](std::int64_t centre, std::int64_t low, std::int64_t high) {
    return centre < low ? low - centre : centre > high ? centre - high : 0;
  };
  const auto farthest = [](std::int64_t centre, std::int64_t low, std::int64_t high) {
    return centre - low > high - centre ? centre - low : high - centre;
  };
  const std::int64_t right = x + size - 1, bottom = y + size - 1;
  const std::int64_t fx = farthest(disc.x, x, right), fy = farthest(disc.y, y, bottom);
  const std::int64_t reach = disc.radius * disc.radius;
  if (fx * fx + fy * fy <= reach) return leaf(kBlack);
  const std::int64_t nx = nearest(disc.x, x, right), ny = nearest(disc.y, y, bottom);
  if (nx * nx + ny * ny > reach) return leaf(kWhite);
  Tree tree = leaf(kGrey);
  const std::int64_t half = size / 2;
  for (int q = 0; q < 4; ++q)
    tree->quarters[q] = draw(disc, x + (q & 1) * half, y + (q >> 1) * half, half);
  return tree;
}

Tree copy(const Quad* from, bool inverted) {
  Tree tree = leaf(from->colour == kGrey || !inverted ? from->colour : 1 - from->colour);
  if (from->colour == kGrey)
    for (int q = 0; q < 4; ++q) tree->quarters[q] = copy(backend::raw(from->quarters[q]), inverted);
  return tree;
}

// a or b, if `absorbing` is black; a and not b, if it is white. A disc reads black where b is
// black.
Tree combine(const Quad* a, const Quad* b, Colour absorbing) {
  if (b->colour == kBlack) return leaf(absorbing);
  if (b->colour == kWhite) return copy(a, false);
  if (a->colour == absorbing) return leaf(absorbing);
  if (a->colour != kGrey) return copy(b, absorbing == kWhite);
  Tree tree = leaf(kGrey);
  for (int q = 0; q < 4; ++q)
    tree->quarters[q] =
        combine(backend::raw(a->quarters[q]), backend::raw(b->quarters[q]), absorbing);
  const std::uint64_t first = tree->quarters[0]->colour;
  for (const auto& quarter : tree->quarters)
    if (quarter->colour == kGrey || quarter->colour != first) return tree;
  drop(tree);
  return leaf(first);
}

std::uint64_t black_points(const Quad* tree, std::uint64_t size) {
  if (tree->colour != kGrey) return tree->colour == kBlack ? size * size : 0;
  std::uint64_t sum = 0;
  for (const auto& quarter : tree->quarters) sum += black_points(backend::raw(quarter), size / 2);
  return sum;
}

}  // namespace

int main(int argc, char** argv) {
  Program program(argc, argv);
  const std::uint64_t steps = program.number("--steps", 300, 30);
  const std::int64_t size = std::int64_t{1} << program.number("--size", 12, 10);
  backend::start();
  program.begin();
  Random random(1);
  const auto disc = [&] {
    const auto bound = static_cast<std::uint32_t>(size);
    const std::int64_t x = random.below(bound), y = random.below(bound);
    return Disc{x, y, size / 32 + random.below(bound / 8)};
  };
  std::uint64_t checksum = 0;
  Tree picture = leaf(kWhite);
  for (std::uint64_t i = 0; i < steps; ++i) {
    for (const Colour absorbing : {kBlack, kWhite}) {
      const Tree drawn = draw(disc(), 0, 0, size);
      const Tree next = combine(backend::raw(picture), backend::raw(drawn), absorbing);
      drop(drawn);
      drop(picture);
      picture = next;
    }
    checksum =
        mixed(checksum, black_points(backend::raw(picture), static_cast<std::uint64_t>(size)));
  }
  drop(picture);
  return program.end(checksum, backend::collections());
}
