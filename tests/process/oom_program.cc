// Allocates until memory is gone, twice over, and goes on each time.
//
//     oom_program        small objects in a list
//     oom_program large  arrays of a mebibyte
#include <memory>
#include <new>
#include <string_view>
#include <vector>

#include "tests/process/program_support.hpp"

using namespace tricolor::tests;

namespace {

constexpr std::size_t kEnough = 8u << 20;  // items, far more than the limits of the tests allow

bool fill_with_items() {
  gc::root<Item> list;
  std::size_t length = 0;
  bool thrown = false;
  try {
    for (; length < kEnough; ++length) {
      Item* const item = gc::make<Item>(length);
      item->next = list.get();
      item->other = item;
      list = item;
    }
  } catch (const std::bad_alloc&) {
    thrown = true;
  }
  std::printf("%zu items\n", length);
  return thrown && length > 100'000 && check_list(list, length);
}

using Arrays = std::vector<gc::root<unsigned char>>;

// `arrays` has its room already: malloc may find none once the heap has had it all.
bool fill_with_arrays(Arrays& arrays) {
  bool thrown = false;
  try {
    while (arrays.size() < arrays.capacity()) {
      unsigned char* const bytes = gc::make_array<unsigned char>(1 << 20);
      bytes[0] = bytes[(1 << 20) - 1] = static_cast<unsigned char>(arrays.size());
      arrays.emplace_back(bytes);
    }
  } catch (const std::bad_alloc&) {
    thrown = true;
  }
  std::printf("%zu arrays\n", arrays.size());
  for (std::size_t i = 0; i < arrays.size(); ++i) {
    if (arrays[i][0] != static_cast<unsigned char>(i) || arrays[i][(1 << 20) - 1] != arrays[i][0])
      return false;
  }
  const bool many = arrays.size() > 30;
  arrays.clear();
  return thrown && many;
}

}  // namespace

int main(int argc, char** argv) {
  const bool large = argc > 1 && std::string_view(argv[1]) == "large";
  const gc::root<Item> survivor = make_list(1000);
  Arrays arrays;
  arrays.reserve(1 << 16);
  bool good = true;
  for (int round = 0; round < 2 && good; ++round) {
    // On a thread of its own, so that no stale reference holds the list of the last round.
    std::thread([&] { good = large ? fill_with_arrays(arrays) : fill_with_items(); }).join();
    runtime::collect();
    make_garbage(1u << 20);
    good = good && check_list(survivor, 1000);
  }
  return finish(good);
}
