// Says that it is ready, then waits until a signal from outside has caused a collection.
#include "tests/process/program_support.hpp"

#include <chrono>

using namespace tricolor::tests;

int main() {
  debug::set_gc_percent(-1);
  const gc::root<Item> list = make_list(1000);
  runtime::MemStats stats;
  runtime::read_mem_stats(stats);
  const auto cycles = stats.num_gc;
  std::puts("ready");
  std::fflush(stdout);
  for (int i = 0; i < 60'000; ++i) {
    runtime::read_mem_stats(stats);
    if (stats.num_gc > cycles) return finish(check_list(list, 1000));
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  std::puts("no collection");
  return 2;
}
