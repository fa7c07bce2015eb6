// One object in 400 outlives the rest of a heap of 192 MiB, at addresses all over it.
//
//     survivors_program asked|idle
//
// asked: free_os_memory() is to give back most of what was resident; idle: the collector, by
// itself. Then everything is filled anew. Prints "ok" if it was so, and all objects stayed whole.
#include <unistd.h>

#include <cstring>

#include "tests/process/program_support.hpp"

using namespace tricolor::tests;

namespace {

constexpr std::size_t kItems = std::size_t{192} << 20 >> 7;
constexpr std::size_t kEvery = 400;

// 128 bytes: 512 of them in a span, so that hardly one is left without a survivor.
struct Large : Item {
  using Item::Item;
  char rest[88] = {};
};

long resident_mib() {
  std::FILE* const file = std::fopen("/proc/self/statm", "r");
  long all = 0;
  long resident = 0;
  if (file == nullptr || std::fscanf(file, "%ld %ld", &all, &resident) != 2) std::abort();
  std::fclose(file);
  return resident * sysconf(_SC_PAGESIZE) >> 20;
}

runtime::MemStats mem_stats() {
  runtime::MemStats stats;
  runtime::read_mem_stats(stats);
  return stats;
}

void add(gc::root<Item>& list, std::size_t key) {
  Item* const item = gc::make<Large>(key);
  item->next = list.get();
  item->other = item;
  list = item;
}

gc::root<Item> survivors() {
  gc::root<Item> kept;
  std::thread([&] {
    gc::root<Item> dropped;
    for (std::size_t i = 0; i < kItems; ++i) {
      if (i % kEvery == 0) {
        add(kept, i / kEvery);
      } else {
        add(dropped, i);
      }
    }
  }).join();
  return kept;
}

}  // namespace

int main(int argc, char** argv) {
  const bool asked = argc > 1 && std::strcmp(argv[1], "asked") == 0;
  gc::root<Item> kept = survivors();
  const std::size_t count = (kItems + kEvery - 1) / kEvery;
  const long peak = resident_mib();
  runtime::collect();
  if (asked) debug::free_os_memory();
  // Two minutes at most; without progress the program's end says so.
  for (int look = 0; !asked && look < 1200 && resident_mib() > peak / 2; ++look) usleep(100'000);
  const long left = resident_mib();
  const auto stats = mem_stats();
  std::printf("%ld MiB resident, then %ld; %llu KiB returned in spans\n", peak, left,
              static_cast<unsigned long long>(stats.heap_inuse_released >> 10));
  bool good = left <= peak / 2 && stats.heap_inuse_released >= stats.heap_inuse / 2;
  good = good && check_list(kept.get(), count);

  gc::root<Item> again;
  for (std::size_t i = 0; i < kItems / 2; ++i) add(again, i);
  good = good && check_list(again.get(), kItems / 2) && check_list(kept.get(), count);
  const auto refilled = mem_stats();
  std::printf("filled: %llu KiB returned in spans\n",
              static_cast<unsigned long long>(refilled.heap_inuse_released >> 10));
  good = good && refilled.heap_inuse_released < refilled.heap_inuse / 8 * 5;
  return finish(good);
}
