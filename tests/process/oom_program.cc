// Allocates until memory is gone, twice over, and goes on each time.
//
//     oom_program        small objects in a list
//     oom_program large  arrays of a mebibyte
//     oom_program roots  small objects, beside more roots and finalizers than a mark stack has room for
#include <atomic>
#include <cstdint>
#include <memory>
#include <new>
#include <optional>
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

// Each root holds an item of its own, each finalizer one that nothing else leads to.
class Many {
 public:
  static constexpr std::uint64_t kCount = 60'000;

  Many() {
    roots_.reserve(kCount);
    for (std::uint64_t i = 0; i < kCount; ++i) {
      roots_.emplace_back(gc::make<Item>(i));
      roots_.back()->other = gc::make<Item>(i + 1);
      Item* const watched = gc::make<Item>(i);
      watched->other = gc::make<Item>(i + 2);
      gc::set_finalizer(watched, [i](Item* item) {
        if (item->key != i || item->other->key != i + 2) damaged = true;
        ++finalized;
      });
    }
  }
  bool intact() const {
    for (std::uint64_t i = 0; i < kCount; ++i) {
      if (roots_[i]->key != i || roots_[i]->other->key != i + 1) return false;
    }
    return !damaged;
  }

  static inline std::atomic<bool> damaged{false};
  static inline std::atomic<std::uint64_t> finalized{0};

 private:
  std::vector<gc::root<Item>> roots_;
};

}  // namespace

int main(int argc, char** argv) {
  const std::string_view mode = argc > 1 ? argv[1] : "small";
  const bool large = mode == "large";
  std::optional<Many> many;
  if (mode == "roots") std::thread([&] { many.emplace(); }).join();
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
    if (many) good = good && many->intact();
  }
  runtime::wait_for_finalizers();
  if (many) good = good && many->intact() && Many::finalized > Many::kCount / 2;
  return finish(good);
}
