// Raw pointers on stacks: in deep recursion, in locals of every form, on blocked, spinning and
// signalled threads.
#include <sys/resource.h>

#include "tests/support.hpp"

#include <alloca.h>
#include <pthread.h>

#include <barrier>
#include <optional>
#include <tuple>
#include <variant>

namespace tricolor::tests {
namespace {

// Every frame holds the only reference to its node; the deepest one collects.
[[gnu::noinline]] std::size_t recurse(std::size_t depth, std::uint64_t salt) {
  Node* const node = gc::make<Node>(depth ^ salt);
  node->left = gc::make<Node>(depth);
  std::size_t good;
  if (depth == 0) {
    shake();
    good = 0;
  } else {
    good = recurse(depth - 1, salt);
  }
  if (node->intact() && node->key == (depth ^ salt) && node->left->intact()) ++good;
  return good;
}

TEST_CASE("stack: a deep recursion with a reference in each frame") {
  const std::size_t depth = kSanitized ? 2000 : 20000;
  CHECK(recurse(depth, 0x5555) == depth + 1);
}

TEST_CASE("stack: deep recursions on several threads at once, cycles running") {
  CollectingThread collector;
  Findings findings;
  on_threads(4, [&](std::size_t t) {
    for (std::size_t i = 0; i < 3; ++i) {
      findings.expect(recurse(1000, t) == 1001, "a frame lost its node");
    }
  });
  CHECK_MESSAGE(findings.count() == 0, findings.first());
}

TEST_CASE("stack: nodes in local arrays, alloca memory, structs, variants and optionals") {
  constexpr std::size_t kNodes = 200;
  Node* array[kNodes];
  auto** const allocated = static_cast<Node**>(alloca(kNodes * sizeof(Node*)));
  for (std::size_t i = 0; i < kNodes; ++i) {
    array[i] = gc::make<Node>(i);
    allocated[i] = gc::make<Node>(i + 1000);
  }
  struct Local {
    int before;
    Node* node;
    int after;
  };
  const Local local{1, gc::make<Node>(5), 2};
  const std::optional<Node*> maybe = gc::make<Node>(6);
  const std::variant<int, Node*> choice = gc::make<Node>(7);
  const std::tuple<char, Node*> tuple{'c', gc::make<Node>(8)};
  const gc::ptr<Node> smart = gc::make<Node>(9);
  shake();
  for (std::size_t i = 0; i < kNodes; ++i) {
    CHECK(array[i]->intact());
    CHECK(array[i]->key == i);
    CHECK(allocated[i]->intact());
    CHECK(allocated[i]->key == i + 1000);
  }
  CHECK(local.node->key == 5);
  CHECK((*maybe)->key == 6);
  CHECK(std::get<1>(choice)->key == 7);
  CHECK(std::get<1>(tuple)->key == 8);
  CHECK(smart->key == 9);
}

TEST_CASE("stack: interior pointers as the only references") {
  std::uint64_t* const inner = &gc::make_array<Node>(100)[57].seal;
  const char* const last = gc::make_array<char>(10000) + 9999;
  gc::ptr<Node>* const field = &gc::make<Node>(3)->right;
  *field = gc::make<Node>(4);
  shake();
  const Node* const node =
      reinterpret_cast<Node*>(reinterpret_cast<char*>(inner) - offsetof(Node, seal));
  for (int i = -57; i < 43; ++i) CHECK(node[i].intact());
  CHECK(last[-9999] == 0);
  CHECK((*field)->key == 4);
}

// [stacks.outgrown]
TEST_CASE("stack: a main stack that grows beyond the limit it began with is scanned to its end") {
  rlimit before{};
  REQUIRE(getrlimit(RLIMIT_STACK, &before) == 0);
  constexpr std::size_t kFrame = std::size_t{64} << 10;
  const std::size_t depth = std::min<std::size_t>(before.rlim_cur, 64u << 20) / kFrame + 64;
  rlimit raised = before;
  raised.rlim_cur = (depth + 64) * kFrame;
  if (raised.rlim_cur > before.rlim_max || before.rlim_cur == RLIM_INFINITY) return;
  REQUIRE(setrlimit(RLIMIT_STACK, &raised) == 0);
  // A frame of 64 KiB each; the references lie near its upper end, far from the stack pointer.
  const auto descend = [](auto& self, std::size_t left) -> std::size_t {
    volatile char frame[kFrame];
    Node* volatile node = gc::make<Node>(left);
    frame[0] = 1;
    std::size_t intact = 0;
    if (left == 0) {
      shake();
    } else {
      intact = self(self, left - 1);
    }
    Node* const kept = node;
    return intact + (kept->intact() && kept->key == left && frame[0] == 1 ? 1 : 0);
  };
  CHECK(descend(descend, depth) == depth + 1);
  CHECK(setrlimit(RLIMIT_STACK, &before) == 0);
}

TEST_CASE("stack: a thread that spins without allocating keeps its locals") {
  Findings findings;
  std::atomic<int> ready{0};
  std::atomic<bool> stop{false};
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < 3; ++t) {
    threads.emplace_back([&, t] {
      Node* const node = gc::make<Node>(t);
      node->left = gc::make<Node>(t + 1);
      ++ready;
      std::uint64_t spins = 0;
      while (!stop.load(std::memory_order_relaxed)) {
        ++spins;
        if (!node->left->intact()) findings.expect(false, "a spinning thread's node was reclaimed");
      }
      findings.expect(node->intact() && node->key == t && spins > 0,
                      "a spinning thread's node was reclaimed");
    });
  }
  while (ready < 3) std::this_thread::yield();
  shake(kSanitized ? 2 : 6);
  stop = true;
  for (auto& thread : threads) thread.join();
  CHECK_MESSAGE(findings.count() == 0, findings.first());
}

TEST_CASE("stack: references that wander between two locals while they are scanned") {
  // At every moment the node is in one of two places; a scan that reads them one after the other
  // may miss it.
  std::atomic<bool> stop{false};
  Findings findings;
  std::thread swapper([&] {
    Node* volatile places[2] = {gc::make<Node>(11), nullptr};
    places[0]->left = gc::make<Node>(12);
    for (std::size_t from = 0; !stop.load(std::memory_order_relaxed); from ^= 1) {
      Node* const node = places[from];
      places[from ^ 1] = node;
      places[from] = nullptr;
      if (!node->intact() || !node->left->intact()) {
        findings.expect(false, "a wandering node was reclaimed");
        break;
      }
    }
  });
  shake(kSanitized ? 3 : 20);
  stop = true;
  swapper.join();
  CHECK_MESSAGE(findings.count() == 0, findings.first());
}

TEST_CASE(
    "stack: references popped from an object into locals and pushed back, without allocation") {
  // The deletion that no barrier records: the only reference moves from the heap to the stack and
  // back.
  struct Slots {
    std::array<gc::ptr<Node>, 64> slot;
  };
  Findings findings;
  CollectingThread collector;
  on_threads(2, [&](std::size_t t) {
    Random random(t);
    gc::root<Slots> slots = gc::make<Slots>();
    for (std::size_t i = 0; i < 64; ++i) slots->slot[i] = gc::make<Node>(i);
    for (std::size_t i = 0; i < scaled(3'000'000); ++i) {
      const std::size_t a = random.below(64), b = random.below(64);
      Node* const first = slots->slot[a];
      slots->slot[a] = nullptr;
      Node* const second = slots->slot[b];
      slots->slot[b] = first == nullptr ? second : first;
      if (second != nullptr && first != nullptr) slots->slot[a] = second;
      if (first != nullptr && !first->intact())
        findings.expect(false, "a moved node was reclaimed");
    }
    for (const auto& node : slots->slot) {
      if (node != nullptr) findings.expect(node->intact(), "a node in a slot was reclaimed");
    }
  });
  collector.stop();
  CHECK_MESSAGE(findings.count() == 0, findings.first());
  CHECK(collector.cycles() > 0);
}

TEST_CASE("stack: on threads with small and with large stacks") {
  for (std::size_t size : {std::size_t{128} << 10, std::size_t{1} << 20, std::size_t{64} << 20}) {
    if (kSanitized && size < (1u << 20)) continue;
    pthread_attr_t attributes;
    REQUIRE(pthread_attr_init(&attributes) == 0);
    REQUIRE(pthread_attr_setstacksize(&attributes, size) == 0);
    pthread_t thread;
    std::atomic<std::size_t> good{0};
    const auto body = [](void* out) -> void* {
      *static_cast<std::atomic<std::size_t>*>(out) = recurse(50, 77);
      return nullptr;
    };
    REQUIRE(pthread_create(&thread, &attributes, body, &good) == 0);
    REQUIRE(pthread_join(thread, nullptr) == 0);
    pthread_attr_destroy(&attributes);
    CHECK(good == 51);
  }
}

TEST_CASE("stack: on a stack that the program gave to pthread_create") {
  constexpr std::size_t kSize = 1 << 20;
  const auto memory = std::make_unique<std::array<std::uint64_t, kSize / 8>>();
  pthread_attr_t attributes;
  REQUIRE(pthread_attr_init(&attributes) == 0);
  REQUIRE(pthread_attr_setstack(&attributes, memory->data(), kSize) == 0);
  pthread_t thread;
  std::atomic<std::size_t> good{0};
  const auto body = [](void* out) -> void* {
    *static_cast<std::atomic<std::size_t>*>(out) = recurse(50, 78);
    return nullptr;
  };
  REQUIRE(pthread_create(&thread, &attributes, body, &good) == 0);
  REQUIRE(pthread_join(thread, nullptr) == 0);
  pthread_attr_destroy(&attributes);
  CHECK(good == 51);
}

TEST_CASE("stack: what a thread held goes when it ends") {
  Census census;
  on_threads(8, [&](std::size_t) {
    static std::mutex mutex;
    Node* nodes[40];
    for (auto& node : nodes) node = gc::make<Node>(1);
    const std::lock_guard lock(mutex);
    for (Node* node : nodes) census.add(node);
  });
  collect_all();
  CHECK(census.reclaimed());
}

[[gnu::noinline]] void leave_on_stack(Census& census) {
  Node* volatile left[200];
  for (auto& node : left) {
    Node* const fresh = gc::make<Node>(1);
    census.add(fresh);
    node = fresh;
  }
}

// Its array holds what was on the stack before.
[[gnu::noinline]] void collect_above_what_was_left() {
  Node* untouched[200];
  asm volatile("" : "=m"(untouched));
  runtime::collect();
  asm volatile("" : : "m"(untouched));
}

// The C library gives the first thread's stack to the second.
TEST_CASE("[stacks.left] stack: what a thread left keeps nothing alive on the next that has it") {
  Census census;
  on_fresh_thread([&] { leave_on_stack(census); });
  on_fresh_thread([] { collect_above_what_was_left(); });
  CHECK(census.reclaimed());
}

}  // namespace
}  // namespace tricolor::tests
