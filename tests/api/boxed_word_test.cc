// gc::boxed_word and gc::write_barrier.
#include "tests/support.hpp"

#include <bit>

namespace tricolor::tests {
namespace {

// The two usual ways to box: a reference under a tag of ones, or plain among shifted doubles.
constexpr std::uint64_t kTag = 0xfffc'0000'0000'0000;
constexpr std::uint64_t kMask = gc::boxed_word::kAddressMask;

struct Value {
  gc::boxed_word word;
  static std::uint64_t bits(Node* node, std::uint64_t tag) {
    return tag | reinterpret_cast<std::uintptr_t>(node);
  }
  void set(Node* node, std::uint64_t tag) { word.set(bits(node, tag), node); }
  void set(double number) { word.set(std::bit_cast<std::uint64_t>(number), nullptr); }
  Node* node() const { return reinterpret_cast<Node*>(word.bits() & kMask); }
};
struct Frame {
  std::array<Value, 8> slots;
};
static_assert(sizeof(gc::boxed_word) == 8 && std::is_trivially_destructible_v<gc::boxed_word>);

TEST_CASE("boxed_word: what a boxed word refers to stays alive, in objects and arrays") {
  gc::root<Frame> frame = gc::make<Frame>();
  gc::root<Value> large = gc::make_array<Value>(20'000);
  on_fresh_thread([&] {
    for (std::size_t i = 0; i < 8; ++i) {
      frame->slots[i].set(gc::make<Node>(i), i % 2 == 0 ? kTag : 0x7ff8'0000'0000'0000);
    }
    for (std::size_t i = 0; i < 20'000; ++i) large[i].set(gc::make<Node>(i), kTag);
  });
  shake(2);
  for (std::size_t i = 0; i < 8; ++i) CHECK(frame->slots[i].node()->intact());
  for (std::size_t i = 0; i < 20'000; ++i) REQUIRE(large[i].node()->intact());
  Census census;
  on_fresh_thread([&] {
    for (std::size_t i = 0; i < 20'000; ++i) {
      if (i % 100 == 0) census.add(large[i].node());
      large[i].set(0.5);
    }
  });
  collect_all();
  CHECK(census.reclaimed());
}

TEST_CASE("boxed_word: bits on a stack are a root") {
  std::uint64_t bits = Value::bits(gc::make<Node>(77), kTag);
  clear_stack();
  shake(2);
  asm volatile("" : "+r"(bits));
  CHECK(reinterpret_cast<Node*>(bits & kMask)->intact());
}

// [boxed.announced] Words are handed from object to object while cycles run; the copy is all that there is.
TEST_CASE("boxed_word: copies pass the barrier") {
  CollectingThread collecting(scaled(kLongChain));
  const std::size_t n = 256;
  gc::root<gc::ptr<Frame>> frames = gc::make_array<gc::ptr<Frame>>(n);
  for (std::size_t i = 0; i < n; ++i) {
    frames[i] = gc::make<Frame>();
    for (Value& slot : frames[i]->slots) slot.set(gc::make<Node>(i), kTag);
  }
  Random random(announce_seed("boxed words"));
  for (std::size_t round = 0; round < scaled(1'000'000); ++round) {
    Value& a = frames[random.below(n)]->slots[random.below(8)];
    Value& b = frames[random.below(n)]->slots[random.below(8)];
    std::swap(a, b);
    if (round % 8 == 0) a.set(gc::make<Node>(round), kTag);
  }
  collecting.stop();
  std::size_t damaged = 0;
  for (std::size_t i = 0; i < n; ++i) {
    for (const Value& slot : frames[i]->slots) damaged += slot.node()->intact() ? 0 : 1;
  }
  CHECK(damaged == 0);
}

// A reference under a tag in the low bits is an interior pointer; its stores need the barrier
// alone.
struct Tagged {
  std::uintptr_t word = 0;
  void set(Node* node, std::uintptr_t tag) {
    word = reinterpret_cast<std::uintptr_t>(node) | tag;
    gc::write_barrier(node, &word);
  }
  Node* node() const { return reinterpret_cast<Node*>(word & ~std::uintptr_t{15}); }
};

TEST_CASE("write_barrier: words with a tag in the low bits") {
  CollectingThread collecting(scaled(kLongChain));
  const std::size_t n = 1000;
  gc::root<Tagged> words = gc::make_array<Tagged>(n);
  for (std::size_t i = 0; i < n; ++i) words[i].set(gc::make<Node>(i), i % 8);
  Random random(announce_seed("tagged words"));
  for (std::size_t round = 0; round < scaled(1'000'000); ++round) {
    Tagged& a = words[random.below(n)];
    Tagged& b = words[random.below(n)];
    Node* const node = a.node();
    a.set(b.node(), round % 8);
    b.set(node, 3);
    if (round % 8 == 0) a.set(gc::make<Node>(round), 5);
  }
  collecting.stop();
  std::size_t damaged = 0;
  for (std::size_t i = 0; i < n; ++i) damaged += words[i].node()->intact() ? 0 : 1;
  CHECK(damaged == 0);
}

}  // namespace
}  // namespace tricolor::tests
