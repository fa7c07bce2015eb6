// What the helper programs of the process tests share: a live graph, garbage, and a last word on
// stdout.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <thread>

#include <tricolor/prelude.hpp>

namespace tricolor::tests {

struct Item {
  explicit Item(std::uint64_t k) noexcept : key(k), seal(k * 0x9e3779b97f4a7c15) {}
  bool intact() const noexcept { return seal == key * 0x9e3779b97f4a7c15; }
  std::uint64_t key, seal;
  gc::ptr<Item> next, other;
};

inline Item* make_list(std::size_t length) {
  Item* head = nullptr;
  for (std::size_t i = 0; i < length; ++i) {
    Item* const item = gc::make<Item>(i);
    item->next = head;
    item->other = gc::make<Item>(i + length);
    head = item;
  }
  return head;
}

// Whether the list has `length` items and all of them are whole.
inline bool check_list(const Item* head, std::size_t length) {
  std::size_t count = 0;
  for (const Item* item = head; item != nullptr; item = item->next, ++count) {
    if (!item->intact() || !item->other->intact() || item->key != length - 1 - count) return false;
  }
  return count == length;
}

inline void make_garbage(std::size_t bytes) {
  for (std::size_t done = 0; done < bytes; done += 96) {
    Item* const item = gc::make<Item>(done);
    item->next = gc::make<Item>(done + 1);
  }
}

inline std::size_t argument(int argc, char** argv, int index, std::size_t otherwise) {
  return index < argc ? std::strtoull(argv[index], nullptr, 0) : otherwise;
}

// Prints the outcome, which the tests look for, and gives the exit code.
inline int finish(bool good) {
  std::puts(good ? "ok" : "damaged");
  return good ? 0 : 1;
}

}  // namespace tricolor::tests
