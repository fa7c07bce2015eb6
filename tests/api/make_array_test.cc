// gc::make_array and gc::array_size.
#include "tests/support.hpp"

#include <cstring>
#include <limits>
#include <new>
#include <stdexcept>
#include <string>

namespace tricolor::tests {
namespace {

// Sizes around what the allocator treats differently: cells, pages, spans, small and large.
constexpr std::size_t kSizes[] = {0,     1,     7,     8,      9,       15,     16,    17,    24,
                                  31,    32,    120,   121,    127,     128,    129,   247,   248,
                                  249,   1000,  1024,  4088,   4096,    8184,   8192,  8193,  16384,
                                  28672, 32752, 32759, 32760,  32761,   32768,  32769, 40960, 65528,
                                  65536, 65537, 99999, 262144, 1048576, 3000001};

TEST_CASE("make_array: size, zeroes and separate memory for every size") {
  struct Made {
    gc::root<unsigned char> bytes;
    std::size_t size;
  };
  for (int round = 0; round < 2; ++round) {  // the second round reuses what the first one dirtied
    std::vector<Made> all;
    for (std::size_t size : kSizes) {
      for (int copy = 0; copy < 3; ++copy) {
        unsigned char* const bytes = gc::make_array<unsigned char>(size);
        CHECK(gc::array_size(bytes) == size);
        for (std::size_t i = 0; i < size; ++i) {
          if (bytes[i] != 0) FAIL("byte " << i << " of " << size << " is not zero");
        }
        std::memset(bytes, static_cast<int>(all.size() % 251 + 1), size);
        all.push_back({bytes, size});
      }
    }
    shake(1);
    for (std::size_t k = 0; k < all.size(); ++k) {
      CHECK(gc::array_size(all[k].bytes.get()) == all[k].size);
      for (std::size_t i = 0; i < all[k].size; ++i) {
        if (all[k].bytes[i] != k % 251 + 1)
          FAIL("byte " << i << " of " << all[k].size << " has changed");
      }
    }
  }
  collect_all();
}

TEST_CASE("make_array: arrays of references of every size, all elements scanned") {
  for (std::size_t count :
       {0u, 1u, 2u, 3u, 15u, 16u, 63u, 64u, 500u, 4094u, 4095u, 4096u, 4097u, 10000u, 100001u}) {
    gc::root<gc::ptr<Node>> array;
    Census census;
    on_fresh_thread([&] {
      array = gc::make_array<gc::ptr<Node>>(count);
      for (std::size_t i = 0; i < count; ++i) array[i] = gc::make<Node>(i);
      if (count > 0) {
        census.add(array[0].get());
        census.add(array[count - 1].get());
        census.add(array[count / 2].get());
      }
    });
    shake(1);
    CHECK(census.alive() == census.size());
    on_fresh_thread([&] {
      CHECK(gc::array_size(array.get()) == count);
      for (std::size_t i = 0; i < count; ++i) {
        REQUIRE(array[i]->intact());
        REQUIRE(array[i]->key == i);
      }
      array = nullptr;
    });
    collect_all();
    CHECK(census.alive() == 0);
  }
}

TEST_CASE("make_array: of no elements") {
  std::vector<gc::root<Node>> roots;
  for (int i = 0; i < 100; ++i) {
    Node* const none = gc::make_array<Node>(0);
    CHECK(none != nullptr);
    CHECK(gc::array_size(none) == 0);
    roots.emplace_back(none);
  }
  shake(1);
  for (const auto& root : roots) CHECK(gc::array_size(root.get()) == 0);
  std::string* const strings = gc::make_array<std::string>(0);
  CHECK(gc::array_size(strings) == 0);
}

TEST_CASE("make_array: elements are value-initialised") {
  struct Defaulted {
    int a = 7;
    int b;
  };
  const Defaulted* const array = gc::make_array<Defaulted>(100);
  for (int i = 0; i < 100; ++i) {
    CHECK(array[i].a == 7);
    CHECK(array[i].b == 0);
  }
  const std::string* const strings = gc::make_array<std::string>(50);
  for (int i = 0; i < 50; ++i) CHECK(strings[i].empty());
  const double* const doubles = gc::make_array<double>(50);
  for (int i = 0; i < 50; ++i) CHECK(doubles[i] == 0.0);
}

TEST_CASE("make_array: a size that overflows throws and changes nothing") {
  constexpr std::size_t kMax = std::numeric_limits<std::size_t>::max();
  const auto inuse_before = mem_stats().heap_inuse;
  CHECK_THROWS_AS(gc::keep_alive(gc::make_array<std::uint64_t>(kMax)), std::bad_array_new_length);
  CHECK_THROWS_AS(gc::keep_alive(gc::make_array<std::uint64_t>(kMax / 8 + 1)),
                  std::bad_array_new_length);
  CHECK_THROWS_AS(gc::keep_alive(gc::make_array<Node>(kMax / sizeof(Node) + 1)),
                  std::bad_array_new_length);
  CHECK_THROWS_AS(gc::keep_alive(gc::make_array<char>(kMax)), std::bad_alloc);
  CHECK_THROWS_AS(gc::keep_alive(gc::make_array<char>(kMax - 8)), std::bad_alloc);
  CHECK_THROWS_AS(gc::keep_alive(gc::make_array<std::string>(kMax / sizeof(std::string))),
                  std::bad_alloc);
  CHECK_THROWS_AS(gc::keep_alive(gc::make_array<char>(kMax / 2)), std::bad_alloc);
  CHECK(mem_stats().heap_inuse < inuse_before + (64u << 20));
  shake(1);
}

std::vector<int> destroyed_order;  // written by this test's thread alone

struct Fussy {
  Fussy() : index(made++) {
    if (index == fail_at) throw std::runtime_error("element");
  }
  ~Fussy() { destroyed_order.push_back(index); }
  int index;
  std::string member = "a string that is longer than the small buffer";
  static inline int made = 0;
  static inline int fail_at = -1;
};

TEST_CASE("make_array: when an element's constructor throws, those before it are destroyed, once") {
  Fussy::made = 0;
  Fussy::fail_at = 37;
  destroyed_order.clear();
  CHECK_THROWS_AS(gc::keep_alive(gc::make_array<Fussy>(100)), std::runtime_error);
  Fussy::fail_at = -1;
  std::vector<bool> seen(37);
  CHECK(destroyed_order.size() == 37);
  for (int index : destroyed_order) {
    CHECK(!seen[static_cast<std::size_t>(index)]);
    seen[static_cast<std::size_t>(index)] = true;
  }
  collect_all();
  CHECK(destroyed_order.size() == 37);
}

struct alignas(256) Wide {
  std::uint64_t value = 3;
};

TEST_CASE("make_array: over-aligned elements") {
  for (std::size_t count : {1u, 2u, 5u, 100u, 200u, 1000u}) {
    Wide* const array = gc::make_array<Wide>(count);
    CHECK(reinterpret_cast<std::uintptr_t>(array) % 256 == 0);
    CHECK(gc::array_size(array) == count);
    for (std::size_t i = 0; i < count; ++i) CHECK(array[i].value == 3);
  }
}

TEST_CASE("make_array: a leaf array of a power of two takes no more than its bytes") {
  const GcPercent off(-1);
  for (const std::size_t size : {16u, 32u, 1024u, 4096u, 32768u, 65536u, 1048576u}) {
    const std::size_t count = 8;
    // A cycle's own bookkeeping is not counted; other threads do not allocate here.
    const std::uint64_t before = mem_stats().total_alloc;
    for (std::size_t i = 0; i < count; ++i) {
      char* const bytes = gc::make_array<char>(size);
      REQUIRE(gc::array_size(bytes) == size);
    }
    CHECK(mem_stats().total_alloc - before == count * size);
  }
  std::uint64_t* const words = gc::make_array<std::uint64_t>(512);
  CHECK(gc::array_size(words) == 512);
}

TEST_CASE("make_array: whole arrays are reclaimed, and reused as new") {
  for (int round = 0; round < 3; ++round) {
    Census census;
    on_fresh_thread([&] {
      for (std::size_t i = 0; i < 2000; ++i) {
        auto* const bytes = gc::make_array<unsigned char>(std::size_t{16} << i % 13);
        bool clear = true;
        for (std::size_t at = 0; at < gc::array_size(bytes); at += 16) clear &= bytes[at] == 0;
        REQUIRE(clear);
        std::memset(bytes, 0xab, gc::array_size(bytes));
        census.add(bytes);
      }
    });
    collect_all();
    CHECK(census.reclaimed());
  }
}

TEST_CASE("make_array: a gc::root one past the end keeps an array that does not fill its cell") {
  for (std::size_t size : {8u, 24u, 120u, 1000u, 8191u, 32760u, 65535u}) {
    gc::root<char> end;
    Census census;
    on_fresh_thread([&] {
      char* const bytes = gc::make_array<char>(size);
      census.add(bytes);
      std::memset(bytes, 'x', size);
      end = bytes + size;
    });
    shake(1);
    CHECK(census.alive() == 1);
    for (std::size_t i = 1; i <= size; ++i)
      REQUIRE(end.get()[-static_cast<std::ptrdiff_t>(i)] == 'x');
  }
}

TEST_CASE("make_array: of arrays' worth of aggregates with references inside") {
  struct Entry {
    std::uint32_t tag;
    gc::ptr<Node> node;
    std::uint16_t more;
  };
  gc::root<Entry> table;
  on_fresh_thread([&] {
    table = gc::make_array<Entry>(5000);
    for (std::uint32_t i = 0; i < 5000; ++i) {
      table[i].tag = i;
      table[i].node = gc::make<Node>(i);
      table[i].more = static_cast<std::uint16_t>(i);
    }
  });
  shake();
  for (std::uint32_t i = 0; i < 5000; ++i) {
    REQUIRE(table[i].tag == i);
    REQUIRE(table[i].node->intact());
    REQUIRE(table[i].node->key == i);
  }
}

}  // namespace
}  // namespace tricolor::tests
