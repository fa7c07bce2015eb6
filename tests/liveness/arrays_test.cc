// Huge arrays: references anywhere in them count, wherever marking cuts them into pieces.
#include "tests/support.hpp"

namespace tricolor::tests {
namespace {

constexpr std::size_t kHuge = (160u << 20) / sizeof(void*);  // elements

// [map.limit] An array above the limit would be found by nobody.
TEST_CASE("arrays: references spread thinly over hundreds of megabytes") {
  const std::size_t size = scaled(kHuge);
  const std::size_t step = 4099;  // prime: meets every offset within pages, chunks and cache lines
  gc::root<gc::ptr<Node>> array;
  Census census;
  on_fresh_thread([&] {
    array = gc::make_array<gc::ptr<Node>>(size);
    for (std::size_t i = 0; i < size; i += step) {
      array[i] = gc::make<Node>(i);
      if (i % 7 == 0) census.add(array[i].get());
    }
    array[size - 1] = gc::make<Node>(size - 1);
    census.add(array[size - 1].get());
  });
  shake(2);
  CHECK(census.alive() == census.size());
  on_fresh_thread([&] {
    std::size_t wrong = 0;
    for (std::size_t i = 0; i < size; ++i) {
      const Node* const node = array[i];
      const bool expected = i % step == 0 || i == size - 1;
      if (expected ? node == nullptr || !node->intact() || node->key != i : node != nullptr)
        ++wrong;
    }
    CHECK(wrong == 0);
    array = nullptr;
  });
  collect_all();
  CHECK(census.reclaimed());
}

TEST_CASE("arrays: every element of a long one, and a list hanging from each") {
  const std::size_t size = scaled(400'000);
  gc::root<gc::ptr<Node>> array;
  on_fresh_thread([&] {
    array = gc::make_array<gc::ptr<Node>>(size);
    for (std::size_t i = 0; i < size; ++i) {
      array[i] = gc::make<Node>(i);
      array[i]->left = gc::make<Node>(i + 1);
      array[i]->left->right = gc::make<Node>(i + 2);
    }
  });
  shake(2);
  on_fresh_thread([&] {
    for (std::size_t i = 0; i < size; ++i) {
      REQUIRE(array[i]->key == i);
      REQUIRE(array[i]->left->key == i + 1);
      REQUIRE(array[i]->left->right->intact());
      REQUIRE(array[i]->left->right->key == i + 2);
    }
  });
}

TEST_CASE("arrays: a chain of large arrays, each referred to from the end of the last") {
  constexpr std::size_t kLength = 60;
  struct Block {
    std::array<gc::ptr<Block>, 20000> next;
    std::uint64_t key = 0;
  };
  gc::root<Block> first;
  Census census;
  on_fresh_thread([&] {
    Block* block = nullptr;
    for (std::size_t i = 0; i < kLength; ++i) {
      Block* const outer = gc::make<Block>();
      outer->key = kLength - 1 - i;
      outer->next[(i * 7919) % outer->next.size()] = block;
      census.add(outer);
      block = outer;
    }
    first = block;
  });
  shake(2);
  CHECK(census.alive() == kLength);
  on_fresh_thread([&] {
    const Block* block = first;
    for (std::size_t i = 0; i < kLength; ++i) {
      REQUIRE(block->key == i);
      const Block* next = nullptr;
      for (const auto& element : block->next) {
        if (element != nullptr) next = element;
      }
      block = next;
    }
    CHECK(block == nullptr);
    first = nullptr;
  });
  collect_all();
  CHECK(census.reclaimed());
}

TEST_CASE("arrays: held by a pointer to any of their pages") {
  constexpr std::size_t kSize = 2'000'000;
  for (std::size_t offset :
       {std::size_t{0}, std::size_t{1}, std::size_t{8191}, std::size_t{8192}, std::size_t{65536},
        std::size_t{262144}, std::size_t{1'000'001}, kSize - 1, kSize}) {
    gc::root<unsigned char> inside;
    Census census;
    on_fresh_thread([&] {
      unsigned char* const bytes = gc::make_array<unsigned char>(kSize);
      for (std::size_t i = 0; i < kSize; i += 997) bytes[i] = static_cast<unsigned char>(i);
      inside = bytes + offset;
      census.add(bytes);
    });
    collect_all();
    churn(2000);
    CAPTURE(offset);
    CHECK(census.alive() == 1);
    on_fresh_thread([&] {
      const unsigned char* const bytes = inside.get() - offset;
      for (std::size_t i = 0; i < kSize; i += 997)
        REQUIRE(bytes[i] == static_cast<unsigned char>(i));
      inside = nullptr;
    });
    collect_all();
    CHECK(census.alive() == 0);
  }
}

TEST_CASE("arrays: leaf arrays keep their bytes over collections") {
  const std::size_t size = scaled(64u << 20);
  gc::root<std::uint64_t> numbers = gc::make_array<std::uint64_t>(size / 8);
  for (std::size_t i = 0; i < size / 8; ++i) numbers[i] = mix(i);
  shake(2);
  std::size_t wrong = 0;
  for (std::size_t i = 0; i < size / 8; ++i) wrong += numbers[i] == mix(i) ? 0 : 1;
  CHECK(wrong == 0);
}

TEST_CASE("arrays: written at both ends while it is being marked") {
  const std::size_t size = scaled(8u << 20);
  gc::root<gc::ptr<Node>> array = gc::make_array<gc::ptr<Node>>(size);
  Random random(announce_seed("array under marking"));
  CollectingThread collector;
  // One node at a time moves from the end that was marked last to the one that was marked first,
  // and back.
  array[0] = gc::make<Node>(7);
  for (std::size_t i = 0; i < scaled(100'000) || collector.cycles() < 2; ++i) {
    const std::size_t from = i % 2 == 0 ? 0 : size - 1;
    Node* const node = array[from];
    REQUIRE(node != nullptr);
    REQUIRE(node->intact());
    Node* const fresh = gc::make<Node>(random.next());
    fresh->left = node;
    node->left = nullptr;
    array[from] = nullptr;
    array[size - 1 - from] = fresh;
  }
}

TEST_CASE("arrays: a large object's memory is returned and reused") {
  collect_all();
  const auto before = mem_stats();
  for (int i = 0; i < 40; ++i) {
    on_fresh_thread([&] {
      gc::keep_alive(
          gc::make_array<gc::ptr<Node>>(scaled(4'000'000) + static_cast<std::size_t>(i)));
    });
    if (i % 4 == 3) collect_all();
  }
  collect_all();
  CHECK(mem_stats().heap_inuse < before.heap_inuse + (64u << 20));
  CHECK(mem_stats().heap_sys < before.heap_sys + (512u << 20));
}

}  // namespace
}  // namespace tricolor::tests
