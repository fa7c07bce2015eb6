// Touches memory that is nobody's, one way per mode; AddressSanitizer ends the program there.
//
//     poison_program swept      an object that was reclaimed, through a pointer in malloc memory
//     poison_program destroyed  an object that gc::destroy has ended
//     poison_program behind     the byte behind an array of ten
//     poison_program owned      leaves a collected object that owns malloc memory (LeakSanitizer)
//     poison_program leak       loses memory of new's
//     poison_program none       an array that grows into its room, and what is alive
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "tests/process/program_support.hpp"

#include <tricolor/containers.hpp>

using namespace tricolor::tests;

namespace {

// Stores only here, so that no stack has the address when this returns.
[[gnu::noinline]] void store_into(Item* volatile* place) {
  std::thread([place] { *place = gc::make<Item>(7); }).join();
}

std::uint64_t read_swept() {
  Item** const place = static_cast<Item**>(std::calloc(1, sizeof(Item*)));
  store_into(place);
  runtime::collect();
  runtime::collect();
  return (*place)->key;
}

std::uint64_t read_destroyed() {
  Item* const item = gc::make<Item>(7);
  gc::destroy(item);
  return item->key;
}

void write_behind() {
  char* volatile array = gc::make_array<char>(10);
  array[10] = 1;
}

struct Owner {
  std::string name = std::string(1000, 'x');
  std::vector<int> numbers = std::vector<int>(100);
  gc::ptr<Owner> next;
};

void leave_owners() {
  static gc::root<Owner> owners;
  owners = gc::make<Owner>();
  owners->next = gc::make<Owner>();
}

[[gnu::noinline]] void leak() {
  volatile int* const lost = new int[50];
  lost[0] = 1;
}

std::uint64_t keep_rules() {
  const gc::root<gc::vector<char>> bytes = gc::make<gc::vector<char>>();
  for (int i = 0; i < 1000; ++i) {
    bytes->push_back(static_cast<char>(i));
    if (i % 100 == 0) runtime::collect();
  }
  const gc::root<Item> list = make_list(1000);
  make_garbage(1u << 20);
  runtime::collect();
  make_garbage(1u << 20);
  return check_list(list, 1000) ? bytes->size() : 0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view mode = argc > 1 ? argv[1] : "none";
  if (mode == "swept") return read_swept() == 7 ? 0 : 3;
  if (mode == "destroyed") return read_destroyed() == 7 ? 0 : 3;
  if (mode == "behind") {
    write_behind();
    return 0;
  }
  if (mode == "owned" || mode == "leak") {
    leave_owners();
    if (mode == "leak") std::thread(leak).join();
    return 0;
  }
  return keep_rules() == 1000 ? 0 : 3;
}
