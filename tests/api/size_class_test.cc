// Objects of every size around every size class, of all three kinds: no two overlap, none is cut
// short.
#include "tests/support.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

namespace tricolor::tests {
namespace {

using gc::detail::class_size;
using gc::detail::kSmallClasses;

constexpr std::size_t kCopies = 4;

// One live object of the test: where it is and what must be in it.
struct Live {
  gc::root<unsigned char> bytes;
  std::size_t size;
  unsigned char pattern;

  bool intact() const {
    for (std::size_t i = 0; i < size; ++i) {
      if (bytes[i] != pattern) return false;
    }
    return true;
  }
};

// Templates of a size do no more than must be done for each: a sanitizer's build of them is slow.
void add(std::vector<Live>& all, unsigned char* bytes, std::size_t size) {
  CHECK(reinterpret_cast<std::uintptr_t>(bytes) % 16 == 0);
  const auto pattern = static_cast<unsigned char>(all.size() % 255 + 1);
  std::memset(bytes, pattern, size);
  all.push_back({bytes, size, pattern});
}

template <std::size_t N>
[[gnu::noinline]] void add_leaf(std::vector<Live>& all) {
  struct Leaf {
    unsigned char bytes[N];
  };
  for (std::size_t i = 0; i < kCopies; ++i) add(all, gc::make<Leaf>()->bytes, N);
}

template <std::size_t... Classes>
void add_leaves(std::vector<Live>& all, std::index_sequence<Classes...>) {
  (add_leaf<class_size(Classes + 1) - 1>(all), ...);
  (add_leaf<class_size(Classes + 1)>(all), ...);
  (add_leaf<class_size(Classes + 1) + 1>(all), ...);
}

TEST_CASE("size classes: leaf objects one byte under, at and over every class") {
  std::vector<Live> all;
  for (int round = 0; round < 2; ++round) {
    add_leaves(all, std::make_index_sequence<kSmallClasses>());
    shake(1);
  }
  for (const Live& live : all) {
    CAPTURE(live.size);
    CHECK(live.intact());
  }
}

// References at both ends and one in the middle; the words between them are none.
struct Scanned {
  Scanned(gc::ptr<Node>* refs, std::size_t count, std::uint64_t k)
      : first(refs), words(count), key(k) {
    for (std::size_t i = 0; i < words; ++i) {
      if (is_set(i)) refs[i] = gc::make<Node>(key + i);
    }
  }
  bool is_set(std::size_t i) const { return i == 0 || i == words - 1 || i == words / 2; }
  bool intact() const {
    for (std::size_t i = 0; i < words; ++i) {
      const gc::ptr<Node>& ref = first[i];
      if (is_set(i) ? !ref->intact() || ref->key != key + i : ref != nullptr) return false;
    }
    return true;
  }
  gc::root<gc::ptr<Node>> first;
  std::size_t words;
  std::uint64_t key;
};

void check_scanned(const std::vector<Scanned>& all) {
  runtime::collect();
  churn(500);
  runtime::collect();
  for (const Scanned& scanned : all) {
    CAPTURE(scanned.words);
    CHECK(scanned.intact());
  }
}

template <std::size_t Words>
struct References {
  gc::ptr<Node> refs[Words];
};

template <std::size_t Words>
[[gnu::noinline]] void check_scanned() {
  std::vector<Scanned> all;
  for (std::size_t i = 0; i < kCopies; ++i) {
    all.emplace_back(gc::make<References<Words>>()->refs, Words, i * 1000);
  }
  check_scanned(all);
}

template <std::size_t... Classes>
void check_all_scanned(std::index_sequence<Classes...>) {
  (check_scanned<class_size(Classes + 1) / 8>(), ...);
  (check_scanned<class_size(Classes + 1) / 8 + 1>(), ...);
}

TEST_CASE("size classes: the first and the last word of objects of every class are scanned") {
  check_all_scanned(std::make_index_sequence<kSmallClasses>());
}

std::atomic<int> damaged{0};
std::atomic<int> destroyed{0};

void destroy(const unsigned char* bytes, std::size_t size, unsigned char pattern) {
  destroyed.fetch_add(1);
  const auto* const end = bytes + size;
  if (std::find_if(bytes, end, [&](unsigned char byte) { return byte != pattern; }) != end) {
    damaged.fetch_add(1);
  }
}

template <std::size_t N>
struct Guarded {
  explicit Guarded(unsigned char p) : pattern(p) { std::memset(bytes, p, sizeof bytes); }
  ~Guarded() { destroy(bytes, sizeof bytes, pattern); }
  unsigned char pattern;
  unsigned char bytes[N - 1];
};

template <std::size_t N>
[[gnu::noinline]] int make_guarded() {
  for (std::size_t i = 0; i < kCopies; ++i) {
    gc::keep_alive(gc::make<Guarded<N>>(static_cast<unsigned char>(N % 250 + i)));
  }
  return kCopies;
}

template <std::size_t... Classes>
int make_all_guarded(std::index_sequence<Classes...>) {
  int made = 0;
  ((made += make_guarded<class_size(Classes + 1) - 8>()), ...);
  ((made += make_guarded<class_size(Classes + 1) - 7>()), ...);
  ((made += make_guarded<class_size(Classes + 1)>()), ...);
  return made;
}

TEST_CASE("size classes: destructors of objects of every class run, over unharmed contents") {
  damaged = 0;
  destroyed = 0;
  int made = 0;
  on_fresh_thread([&] { made = make_all_guarded(std::make_index_sequence<kSmallClasses>()); });
  collect_all();
  CHECK(damaged == 0);
  CHECK(destroyed >= made * 95 / 100);
  CHECK(destroyed <= made);
}

TEST_CASE("size classes: neighbours survive when every other object of a class dies") {
  Random random(announce_seed("size classes"));
  struct Slot {
    gc::root<unsigned char> bytes;
    std::size_t size = 0;
    unsigned char pattern = 0;
  };
  std::vector<Slot> slots(scaled(4000));
  for (int round = 0; round < 6; ++round) {
    for (std::size_t i = 0; i < slots.size(); ++i) {
      if (round > 0 && random.one_in(2)) continue;
      const std::size_t size = 1 + random.below(random.one_in(20) ? 50000 : 600);
      slots[i].bytes = gc::make_array<unsigned char>(size);
      slots[i].size = size;
      slots[i].pattern = static_cast<unsigned char>(random.below(256));
      std::memset(slots[i].bytes.get(), slots[i].pattern, size);
    }
    if (round % 2 == 0) runtime::collect();
    for (const Slot& slot : slots) {
      REQUIRE(gc::array_size(slot.bytes.get()) == slot.size);
      for (std::size_t i = 0; i < slot.size; ++i) {
        if (slot.bytes[i] != slot.pattern)
          FAIL("an array of " << slot.size << " bytes was overwritten at " << i);
      }
    }
  }
}

}  // namespace
}  // namespace tricolor::tests
