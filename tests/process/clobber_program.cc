// Reads reclaimed memory on purpose: prints how many of 1000 dropped objects still have their
// contents. Between them live neighbours keep the spans in use.
#include <vector>

#include "tests/process/program_support.hpp"

using namespace tricolor::tests;

int main() {
  debug::set_gc_percent(-1);
  std::vector<gc::root<Item>> neighbours;
  std::vector<std::uintptr_t> hidden;
  std::thread([&] {
    for (std::uint64_t i = 0; i < 1000; ++i) {
      neighbours.emplace_back(gc::make<Item>(i));
      hidden.push_back(~reinterpret_cast<std::uintptr_t>(gc::make<Item>(i + 5000)));
    }
  }).join();
  runtime::collect();
  int left_over = 0;
  for (std::uint64_t i = 0; i < 1000; ++i) {
    const auto* const item = reinterpret_cast<const volatile std::uint64_t*>(~hidden[i]);
    if (item[0] == i + 5000 && item[1] == (i + 5000) * 0x9e3779b97f4a7c15) ++left_over;
  }
  std::printf("%d\n", left_over);
  for (const auto& item : neighbours) {
    if (!item->intact()) return 1;
  }
  return 0;
}
