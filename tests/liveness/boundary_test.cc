// [stacks.boundary]: one past the end of an object that fills its cell, as the only reference to it.
#include "tests/support.hpp"

#include <memory>

namespace tricolor::tests {
namespace {

// No hidden word behind it: sizeof is the cell's size.
template <std::size_t N>
struct Filler {
  gc::ptr<Node> node;
  std::array<std::uintptr_t, N / sizeof(void*) - 1> rest;
};

struct Witness {
  gc::weak<const void> holder;
  gc::weak<Node> node;

  bool alive() const {
    bool both = false;
    on_fresh_thread([&] {
      const Node* const n = node.lock();
      both = !holder.expired() && n != nullptr && n->intact();
    });
    return both;
  }
};

// A new object of N bytes, known to the caller by the inverted address behind it, and by
// `until_held` alone: a cycle may be running already.
template <std::size_t N>
std::uintptr_t make_hidden_end(Witness& witness, gc::root<void>& until_held) {
  static_assert(sizeof(Filler<N>) == N);
  std::uintptr_t hidden = 0;
  on_fresh_thread([&] {
    Filler<N>* const object = gc::make<Filler<N>>();
    object->node = gc::make<Node>(N);
    witness.holder = object;
    witness.node = object->node.get();
    // Its neighbour, so that the boundary is the start of a live cell too.
    gc::keep_alive(gc::make<Filler<N>>());
    until_held = object;
    hidden = hide(object + 1);
  });
  return hidden;
}

constexpr std::size_t kRounds = 20;

// Objects of N bytes still there after collections that saw nothing but `hold(end)`.
template <std::size_t N, class Hold>
std::size_t kept(Hold hold) {
  std::size_t alive = 0;
  for (std::size_t i = 0; i < kRounds; ++i) {
    Witness witness;
    gc::root<void> until_held;
    const std::uintptr_t hidden = make_hidden_end<N>(witness, until_held);
    hold(hidden, [&] {
      until_held = nullptr;
      shake(1);
      alive += witness.alive() ? 1 : 0;
    });
  }
  return alive;
}

struct OnStack {
  template <class Check>
  void operator()(std::uintptr_t hidden, Check check) const {
    char* volatile end = reveal<char>(hidden);
    check();
    gc::keep_alive(end);
  }
};

struct Nowhere {
  template <class Check>
  void operator()(std::uintptr_t, Check check) const {
    check();
  }
};

TEST_CASE("[stacks.boundary] the address behind an object keeps it alive from a stack") {
  CHECK(kept<16>(OnStack{}) == kRounds);
  CHECK(kept<32>(OnStack{}) == kRounds);
  CHECK(kept<48>(OnStack{}) == kRounds);
  CHECK(kept<64>(OnStack{}) == kRounds);
  CHECK(kept<256>(OnStack{}) == kRounds);
  CHECK(kept<4096>(OnStack{}) == kRounds);
  CHECK(kept<32768>(OnStack{}) == kRounds);
  CHECK(kept<40960>(OnStack{}) == kRounds);  // large, to the end of its last page
  CHECK(kept<std::size_t{1} << 20>(OnStack{}) == kRounds);
}

TEST_CASE("[stacks.boundary] without such a word the same objects go") {
  CHECK(kept<64>(Nowhere{}) <= kRounds / 4);
  CHECK(kept<256>(Nowhere{}) <= kRounds / 4);
  CHECK(kept<40960>(Nowhere{}) <= kRounds / 4);
}

TEST_CASE("[stacks.boundary] the same on a blocked thread's stack and on a fiber's") {
  const auto on_blocked_thread = [](std::uintptr_t hidden, auto check) {
    std::atomic<int> step{0};
    std::thread holder([&] {
      char* volatile end = reveal<char>(hidden);
      runtime::attach_thread();
      {
        const runtime::BlockingScope blocking;
        step = 1;
        while (step != 2) std::this_thread::yield();
      }
      gc::keep_alive(end);
    });
    while (step != 1) std::this_thread::yield();
    check();
    step = 2;
    holder.join();
  };
  CHECK(kept<64>(on_blocked_thread) == kRounds);
  CHECK(kept<40960>(on_blocked_thread) == kRounds);

  const auto on_registered_stack = [](std::uintptr_t hidden, auto check) {
    constexpr std::size_t kBytes = 64 << 10;
    const auto stack = std::make_unique<std::array<std::uintptr_t, kBytes / 8>>();
    (*stack)[100] = ~hidden;
    char* const lo = reinterpret_cast<char*>(stack->data());
    runtime::register_stack(lo, lo + kBytes);
    check();
    runtime::unregister_stack(lo);
  };
  CHECK(kept<64>(on_registered_stack) == kRounds);
  CHECK(kept<40960>(on_registered_stack) == kRounds);
}

TEST_CASE(
    "[stacks.boundary] a word of a collected object keeps what it points into, nothing before") {
  struct Ends {
    std::array<gc::ptr<char>, kRounds> end;
  };
  std::array<Witness, kRounds> witnesses;
  const gc::root<Ends> ends = gc::make<Ends>();
  for (std::size_t i = 0; i < kRounds; ++i) {
    gc::root<void> until_held;
    const std::uintptr_t hidden = make_hidden_end<256>(witnesses[i], until_held);
    on_fresh_thread([&] { ends->end[i] = reveal<char>(hidden); });
  }
  shake(2);
  std::size_t alive = 0;
  for (const Witness& witness : witnesses) alive += witness.alive() ? 1 : 0;
  // What an end points into is a neighbour; the witnesses are the objects before it.
  CHECK(alive <= kRounds / 4);
}

}  // namespace
}  // namespace tricolor::tests
