// A table of weak references that finds an object as long as anything else keeps it: a step looks a
// random number up, makes its object where it is gone, and keeps it among the latest ones. What the
// checksum sees does not depend on when objects die; the misses do.
// Arguments: --steps=N, --entries=N (of the table), --kept=N.

#include <memory>

#include "bench/programs/program.h"
#include BENCH_BACKEND

namespace {

namespace backend = bench::backend;
using bench::programs::mixed;
using bench::programs::Program;
using bench::programs::Random;

struct Item {
  static constexpr bool kLeaf = true;
  std::uint64_t words[8];
};

backend::Ref<Item> make_item(std::uint64_t number) {
  backend::Ref<Item> item = backend::make<Item>();
  for (std::uint64_t& word : item->words) word = number++;
  return item;
}

}  // namespace

int main(int argc, char** argv) {
  Program program(argc, argv);
  const std::uint64_t steps = program.number("--steps", 2'000'000, 200'000);
  const auto entries = static_cast<std::uint32_t>(program.number("--entries", 1'000'000, 50'000));
  const std::uint64_t kept = program.number("--kept", 200'000, 10'000);
  backend::start();
  const auto table = std::make_unique<backend::Weak<Item>[]>(entries);
  static backend::GlobalArray<backend::Field<Item>> latest;
  latest = backend::make_array<backend::Field<Item>>(kept);
  Random random(1);
  std::uint64_t checksum = 0, misses = 0;
  program.begin();
  for (std::uint64_t i = 0; i < steps; ++i) {
    const std::uint32_t number = random.below(entries);
    backend::Ref<Item> item = table[number].lock();
    if (item == nullptr) {
      item = make_item(number);
      table[number].set(item);
      ++misses;
    }
    checksum = mixed(checksum, item->words[0] ^ item->words[7]);
    latest[i % kept] = item;
  }
  program.figure("misses", static_cast<double>(misses));
  return program.end(checksum, backend::collections());
}
