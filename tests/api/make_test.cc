// gc::make: construction in all its forms, zeroed memory, alignment, constructors that throw.
#include "tests/support.hpp"

#include <algorithm>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

namespace tricolor::tests {
namespace {

struct Aggregate {
  int a;
  gc::ptr<Node> node;
  std::array<int, 3> rest;
};

struct MoveOnly {
  explicit MoveOnly(std::unique_ptr<int> v, int& counter) : value(std::move(v)) { ++counter; }
  std::unique_ptr<int> value;
};

template <std::size_t N>
struct Untouched {
  Untouched() noexcept {}  // NOLINT: leaves its members alone
  bool zero() const {
    return std::all_of(bytes.begin(), bytes.end(), [](unsigned char c) { return c == 0; });
  }
  std::array<unsigned char, N> bytes;
};

template <std::size_t A>
struct alignas(A) Aligned {
  explicit Aligned(std::uint64_t k) : key(k) {}
  std::uint64_t key;
};

struct Throws {
  explicit Throws(int& destructions, bool now) : destructions_(destructions) {
    member = gc::make<Node>(1);
    if (now) throw std::runtime_error("constructor");
  }
  ~Throws() { ++destructions_; }
  gc::ptr<Node> member;
  int& destructions_;
};

TEST_CASE("make: constructors with arguments, aggregates, scalars") {
  Node* const node = gc::make<Node>(17);
  CHECK(node->key == 17);
  const auto* const aggregate = gc::make<Aggregate>(5, node, std::array<int, 3>{1, 2, 3});
  CHECK(aggregate->a == 5);
  CHECK(aggregate->node == node);
  CHECK(aggregate->rest[2] == 3);
  CHECK(*gc::make<int>(42) == 42);
  CHECK(*gc::make<int>() == 0);
  CHECK(*gc::make<double>(1.5) == 1.5);
  CHECK(*gc::make<const int>(3) == 3);
  enum class Colour : std::uint8_t { red, green };
  CHECK(*gc::make<Colour>(Colour::green) == Colour::green);
  CHECK(*gc::make<std::string>(300, 'x') == std::string(300, 'x'));
  CHECK(gc::make<std::optional<int>>()->has_value() == false);
}

TEST_CASE("make: arguments are forwarded, moved and by reference") {
  int counter = 0;
  MoveOnly* const object = gc::make<MoveOnly>(std::make_unique<int>(9), counter);
  CHECK(*object->value == 9);
  CHECK(counter == 1);
}

TEST_CASE("make: the type decides, the result is a pointer to it") {
  static_assert(std::is_same_v<decltype(gc::make<Node>()), Node*>);
  static_assert(std::is_same_v<decltype(gc::make<const int>(1)), const int*> ||
                std::is_same_v<decltype(gc::make<const int>(1)), int*>);
  CHECK(gc::make<Node>() != gc::make<Node>());
}

TEST_CASE_TEMPLATE("make: memory is zero before construction, also when it is reused", T,
                   Untouched<1>, Untouched<16>, Untouched<40>, Untouched<256>, Untouched<1000>,
                   Untouched<8192>, Untouched<32768>, Untouched<32769>, Untouched<300000>) {
  const std::size_t count = scaled(std::max<std::size_t>(64, 2'000'000 / sizeof(T)));
  for (int round = 0; round < 3; ++round) {
    on_fresh_thread([&] {
      for (std::size_t i = 0; i < count; ++i) {
        T* const object = gc::make<T>();
        REQUIRE(object->zero());
        object->bytes.fill(0xff);
      }
    });
    collect_all();
  }
}

TEST_CASE_TEMPLATE("make: over-aligned types", T, Aligned<16>, Aligned<32>, Aligned<64>,
                   Aligned<128>, Aligned<256>, Aligned<512>, Aligned<1024>, Aligned<2048>,
                   Aligned<4096>, Aligned<8192>) {
  std::vector<gc::root<T>> live;
  for (std::uint64_t i = 0; i < 100; ++i) {
    live.emplace_back(gc::make<T>(i));
    CHECK(reinterpret_cast<std::uintptr_t>(live.back().get()) % alignof(T) == 0);
    churn(50);
  }
  shake(1);
  for (std::uint64_t i = 0; i < 100; ++i) CHECK(live[i]->key == i);
}

struct alignas(64) AlignedDestructor {
  explicit AlignedDestructor(std::atomic<int>* c) : counter(c) {}
  ~AlignedDestructor() {
    if (reinterpret_cast<std::uintptr_t>(this) % 64 == 0) ++*counter;
  }
  std::array<char, 100> payload{};
  std::atomic<int>* counter;
};

TEST_CASE("make: over-aligned types with a destructor") {
  static std::atomic<int> destroyed{0};
  on_fresh_thread([] {
    for (int i = 0; i < 200; ++i) {
      const auto* const object = gc::make<AlignedDestructor>(&destroyed);
      CHECK(reinterpret_cast<std::uintptr_t>(object) % 64 == 0);
    }
  });
  collect_all();
  CHECK(destroyed >= 190);
  CHECK(destroyed <= 200);
}

TEST_CASE("make: every object is aligned to 16 bytes at least") {
  for (int i = 0; i < 100; ++i) {
    CHECK(reinterpret_cast<std::uintptr_t>(gc::make<char>('a')) % 16 == 0);
    CHECK(reinterpret_cast<std::uintptr_t>(gc::make<Node>()) % 16 == 0);
    CHECK(reinterpret_cast<std::uintptr_t>(gc::make<Blob<24>>(1)) % 16 == 0);
    CHECK(reinterpret_cast<std::uintptr_t>(gc::make<Blob<40000>>(1)) % 16 == 0);
  }
}

TEST_CASE("make: what a constructor throws passes through, and no destructor runs") {
  int destructions = 0;
  on_fresh_thread([&] {
    for (int i = 0; i < 200; ++i) {
      try {
        gc::keep_alive(gc::make<Throws>(destructions, true));
        FAIL("it did not throw");
      } catch (const std::runtime_error& error) {
        CHECK(std::string_view(error.what()) == "constructor");
      }
    }
  });
  collect_all();
  CHECK(destructions == 0);
}

TEST_CASE("make: the memory of a failed construction comes back") {
  // 20,000 failed constructions of 8 KiB would need 160 MB if they leaked.
  struct Big {
    Big() { throw 1; }
    std::array<gc::ptr<Node>, 1024> words;
  };
  const MaxHeap cap(mem_stats().heap_inuse + (64u << 20));
  std::size_t thrown = 0;
  for (std::size_t i = 0; i < scaled(20000); ++i) {
    try {
      gc::keep_alive(gc::make<Big>());
    } catch (int) {
      ++thrown;
    }
  }
  CHECK(thrown == scaled(20000));
}

TEST_CASE("make: a constructor may allocate, collect and publish its object") {
  struct Busy {
    explicit Busy(gc::root<Busy>& out) {
      out = this;
      first = gc::make<Node>(1);
      runtime::collect();
      churn(2000);
      second = gc::make<Node>(2);
    }
    gc::ptr<Node> first, second;
  };
  gc::root<Busy> published;
  Busy* const made = gc::make<Busy>(published);
  CHECK(published == made);
  shake(1);
  CHECK(published->first->intact());
  CHECK(published->second->key == 2);
}

struct Virtual {
  virtual ~Virtual() = default;
  virtual int value() const { return 1; }
};
struct VirtualChild : Virtual {
  explicit VirtualChild(int v) : v_(v) {}
  int value() const override { return v_; }
  int v_;
};

TEST_CASE("make: virtual functions work through collections") {
  std::vector<gc::root<Virtual>> objects;
  for (int i = 0; i < 1000; ++i) objects.emplace_back(gc::make<VirtualChild>(i));
  shake();
  for (int i = 0; i < 1000; ++i) CHECK(objects[static_cast<std::size_t>(i)]->value() == i);
}

}  // namespace
}  // namespace tricolor::tests
