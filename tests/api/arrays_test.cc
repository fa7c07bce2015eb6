// gc::make_with_tail, make_array_for_overwrite and try_extend_array.
#include "tests/support.hpp"

#include <new>
#include <stdexcept>
#include <string>

namespace tricolor::tests {
namespace {

struct Header {
  gc::ptr<Node> owner;
  unsigned length = 0;
};
struct Plain {
  int length = 0;
};
struct Named {
  std::string name;
};

std::atomic<int> g_alive{0};
struct Guest {
  Guest() { ++g_alive; }
  ~Guest() { --g_alive; }
  Guest(const Guest&) = delete;
  Guest& operator=(const Guest&) = delete;
  gc::ptr<Node> node;
};

TEST_CASE("make_with_tail: header and tail are scanned as their types say") {
  for (std::size_t n : {0u, 1u, 5u, 100u, 4000u, 5000u, 100'000u}) {
    gc::root<Header> letters, nodes;
    Census census;
    on_fresh_thread([&] {
      letters = gc::make_with_tail<Header, char>(n);
      letters->owner = gc::make<Node>(n);
      census.add(letters->owner.get());
      nodes = gc::make_with_tail<Header, gc::ptr<Node>>(n, Header{nullptr, 7});
      for (gc::ptr<Node>& node : gc::tail<gc::ptr<Node>>(nodes.get())) {
        node = gc::make<Node>(n);
        census.add(node.get());
      }
    });
    shake(1);
    CHECK(census.alive() == census.size());
    on_fresh_thread([&] {
      CHECK(letters->owner->intact());
      CHECK(gc::tail<char>(letters.get()).size() == n);
      CHECK(nodes->length == 7);
      std::size_t intact = 0;
      for (const auto& node : gc::tail<gc::ptr<Node>>(nodes.get())) {
        intact += node->intact() ? 1 : 0;
      }
      CHECK(intact == n);
      for (char c : gc::tail<char>(letters.get())) REQUIRE(c == 0);
    });
    nodes = nullptr;
    letters = nullptr;
    collect_all();
    CHECK(census.reclaimed());
  }
}

TEST_CASE("make_with_tail: destructors of both run once, also by gc::destroy") {
  g_alive = 0;
  Named* const named = gc::make_with_tail<Named, Guest>(10, "a name that does not fit inside");
  CHECK(g_alive == 10);
  gc::destroy(named);
  CHECK(g_alive == 0);
  on_fresh_thread([] {
    for (int i = 0; i < 50; ++i) gc::keep_alive(gc::make_with_tail<Plain, Guest>(4));
    for (int i = 0; i < 50; ++i) gc::keep_alive(gc::make_with_tail<Named, char>(30, "another"));
  });
  collect_all();
  CHECK(g_alive <= 8);
}

TEST_CASE("make_with_tail: a constructor that throws, and a length beyond everything") {
  struct Throws {
    Throws() { throw std::domain_error("no"); }
  };
  g_alive = 0;
  CHECK_THROWS_AS((void)(gc::make_with_tail<Throws, Guest>(3)), std::domain_error);
  CHECK(g_alive == 0);
  CHECK_THROWS_AS((void)(gc::make_with_tail<Plain, long>(SIZE_MAX / 8)), std::bad_array_new_length);
  CHECK_THROWS_AS((void)(gc::make_with_tail<Plain, long>(SIZE_MAX / 32)), std::bad_alloc);
}

TEST_CASE("make_array_for_overwrite: separate memory of every size") {
  std::vector<gc::root<unsigned char>> all;
  for (std::size_t n = 0; n < 100'000; n = n * 3 / 2 + 1) {
    unsigned char* const bytes = gc::make_array_for_overwrite<unsigned char>(n);
    CHECK(gc::array_size(bytes) == n);
    std::fill_n(bytes, n, static_cast<unsigned char>(all.size()));
    all.emplace_back(bytes);
  }
  shake(1);
  for (std::size_t i = 0; i < all.size(); ++i) {
    const std::size_t n = gc::array_size(all[i].get());
    CHECK(std::count(all[i].get(), all[i].get() + n, static_cast<unsigned char>(i)) ==
          static_cast<std::ptrdiff_t>(n));
  }
}

TEST_CASE("try_extend_array: grows in the cell, and says no beyond it") {
  std::size_t grown = 0;
  for (std::size_t n = 0; n < 3000; n += 7) {
    gc::ptr<Node>* const array = gc::make_array<gc::ptr<Node>>(n);
    int* const leaves = gc::make_array_for_overwrite<int>(n);
    if (n > 0) array[n - 1] = gc::make<Node>(n);
    std::fill_n(leaves, n, -1);
    std::size_t size = n;
    while (gc::try_extend_array(array, size + 1)) {
      REQUIRE(array[size] == nullptr);
      array[size] = gc::make<Node>(size);
      ++size;
      ++grown;
      REQUIRE(size < n + 1000);
    }
    REQUIRE(gc::array_size(array) == size);
    std::size_t leaf = n;
    while (gc::try_extend_array(leaves, leaf + 1)) REQUIRE(leaves[leaf++] == 0);
    REQUIRE(gc::try_extend_array(array, n / 2));
    REQUIRE(gc::array_size(array) == size);
    if (n % 700 == 0) shake(1);
    if (n > 0) REQUIRE(array[n - 1]->intact());
    for (std::size_t i = n; i < size; ++i) REQUIRE(array[i]->intact());
  }
  CHECK(grown > 0);
}

}  // namespace
}  // namespace tricolor::tests
