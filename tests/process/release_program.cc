// Fills 64 MiB, drops them and gives them back to the system, twice; prints what was released.
#include "tests/process/program_support.hpp"

using namespace tricolor::tests;

int main() {
  for (int i = 0; i < 2; ++i) {
    std::thread([] {
      gc::root<Item> list = make_list(400'000);
      if (!check_list(list, 400'000)) std::abort();
    }).join();
    debug::free_os_memory();
  }
  runtime::MemStats stats;
  runtime::read_mem_stats(stats);
  std::printf("released %llu\n", static_cast<unsigned long long>(stats.heap_released));
  return finish(stats.heap_released > 0);
}
