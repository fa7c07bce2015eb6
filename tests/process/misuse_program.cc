// Breaks rule 1 or 2 of the references in the way named; the checking build reports it.
//
//     misuse_program raw-field      a collected object holds another by a raw pointer alone
//     misuse_program ptr-in-heap    a gc::ptr in malloc memory
//     misuse_program ptr-global     a gc::ptr with static storage
//     misuse_program ptr-constinit  one that is initialised at compile time
//     misuse_program delete         deletes a collected object; unique-ptr, delete-array: so they do
//     misuse_program atomic-global  a gc::atomic with static storage
//     misuse_program atomic-heap    one in malloc memory
//     misuse_program tagged         keeps the rules: tagged words, with their barrier
//     misuse_program none           keeps the rules
#include <memory>
#include <string_view>

#include "tests/process/program_support.hpp"

using namespace tricolor::tests;

namespace {

struct Offender {
  std::uint64_t first = 1;
  std::uint64_t second = 2;
  Item* raw = nullptr;  // offset 16: not a reference
};

[[gnu::noinline]] gc::ptr<Item>& global_ptr() {
  static gc::ptr<Item> reference;
  return reference;
}

constinit gc::ptr<Item> constant_ptr;

template <class T>
T* printed(T* object) {
  std::printf("object %p\n", static_cast<void*>(object));
  std::fflush(stdout);
  return object;
}

[[gnu::noinline]] gc::atomic<Item>& global_atomic() {
  static gc::atomic<Item> reference;
  return reference;
}

struct Tagged {
  std::uintptr_t word = 0;
  void set(Item* item, unsigned tag) {
    word = reinterpret_cast<std::uintptr_t>(item) | tag;
    gc::write_barrier(item, &word);
  }
};

}  // namespace

int main(int argc, char** argv) {
  const std::string_view mode = argc > 1 ? argv[1] : "none";
  if (mode == "raw-field") {
    gc::root<Offender> offender;
    std::thread([&] {
      offender = gc::make<Offender>();
      offender->raw = gc::make<Item>(1);
    }).join();
    std::printf("object %p\n", static_cast<void*>(offender.get()));
    std::fflush(stdout);
    for (int i = 0; i < 2; ++i) runtime::collect();
  } else if (mode == "ptr-in-heap") {
    const auto reference = std::make_unique<gc::ptr<Item>>();
    std::printf("object %p\n", static_cast<void*>(reference.get()));
    std::fflush(stdout);
    *reference = gc::make<Item>(1);
  } else if (mode == "ptr-global") {
    global_ptr() = gc::make<Item>(1);
    std::printf("object %p\n", static_cast<void*>(&global_ptr()));
  } else if (mode == "ptr-constinit") {
    constant_ptr = gc::make<Item>(1);
    std::printf("object %p\n", static_cast<void*>(&constant_ptr));
  } else if (mode == "delete") {
    delete printed(gc::make<Item>(1));
  } else if (mode == "unique-ptr") {
    const std::unique_ptr<Item> owner(printed(gc::make<Item>(1)));
  } else if (mode == "delete-array") {
    delete[] printed(gc::make_array<char>(100));
  } else if (mode == "atomic-global") {
    global_atomic() = gc::make<Item>(1);
    std::printf("object %p\n", static_cast<void*>(&global_atomic()));
  } else if (mode == "atomic-heap") {
    const auto reference = std::make_unique<gc::atomic<Item>>();
    std::printf("object %p\n", static_cast<void*>(reference.get()));
  } else if (mode == "tagged") {
    gc::root<Tagged> words;
    std::thread([&] {
      words = gc::make_array<Tagged>(8);
      for (unsigned tag = 0; tag < 8; ++tag) words[tag].set(gc::make<Item>(tag), tag);
    }).join();
    runtime::collect();
    for (unsigned tag = 0; tag < 8; ++tag) {
      const auto* const item = reinterpret_cast<const Item*>(words[tag].word - tag);
      if (!item->intact() || item->key != tag) return finish(false);
    }
    return finish(true);
  } else {
    const gc::root<Item> list = make_list(1000);
    const gc::ptr<Item> local = list.get();
    runtime::collect();
    return finish(check_list(local, 1000));
  }
  return 0;
}
