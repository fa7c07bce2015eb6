// Larson and Krishnan's server (1998): every thread replaces blocks of random sizes in an array of
// them, and after each round a new thread goes on with the array, so that most blocks die in
// another thread than they were made in.
// Arguments: --threads=N, --rounds=N, --blocks=N (of an array).

#include <thread>
#include <vector>

#include "bench/programs/program.h"
#include BENCH_BACKEND

namespace {

namespace backend = bench::backend;
using bench::programs::mixed;
using bench::programs::Program;
using bench::programs::Random;

constexpr std::uint32_t kSmallest = 10;
constexpr std::uint32_t kLargest = 500;
constexpr std::uint64_t kReplaced = 100'000;  // a round

struct Block {
  backend::ArrayField<std::uint8_t> bytes{};
};

struct Blocks {
  backend::ArrayField<Block> blocks{};
};

std::uint64_t work(Block* blocks, std::uint32_t count, std::uint64_t seed) {
  Random random(seed);
  std::uint64_t checksum = 0;
  for (std::uint64_t i = 0; i < kReplaced; ++i) {
    Block& block = blocks[random.below(count)];
    const std::uint32_t size = kSmallest + random.below(kLargest - kSmallest);
    const backend::ArrayRef<std::uint8_t> bytes = backend::make_array<std::uint8_t>(size);
    bytes[0] = static_cast<std::uint8_t>(size);
    bytes[size - 1] = static_cast<std::uint8_t>(i);
    if (block.bytes != nullptr) {
      checksum = mixed(checksum, block.bytes[0]);
      backend::release_array(block.bytes);
    }
    block.bytes = bytes;
  }
  return checksum;
}

}  // namespace

int main(int argc, char** argv) {
  Program program(argc, argv);
  const unsigned threads = program.threads();
  const std::uint64_t rounds = program.number("--rounds", 300, 10);
  const auto count = static_cast<std::uint32_t>(program.number("--blocks", 20'000, 5'000));
  backend::start();
  static backend::GlobalArray<Blocks> arrays;
  arrays = backend::make_array<Blocks>(threads);
  for (unsigned t = 0; t < threads; ++t) arrays[t].blocks = backend::make_array<Block>(count);
  std::vector<std::uint64_t> checksums(threads);
  program.begin();
  for (std::uint64_t round = 0; round < rounds; ++round) {
    std::vector<std::thread> workers;
    for (unsigned t = 0; t < threads; ++t) {
      workers.emplace_back([&, t] {
        const backend::ThreadScope scope;
        const std::uint64_t sum =
            work(backend::raw(arrays[t].blocks), count, round * threads + t + 1);
        checksums[t] = mixed(checksums[t], sum);
      });
    }
    backend::blocking([&] {
      for (std::thread& worker : workers) worker.join();
    });
  }
  std::uint64_t checksum = 0;
  for (const std::uint64_t one : checksums) checksum = mixed(checksum, one);
  return program.end(checksum, backend::collections());
}
