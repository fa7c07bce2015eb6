// What lies in traced memory, ranges, globals and thread-locals keeps its object, and goes with it.
#include <sys/mman.h>

#include <algorithm>
#include <condition_variable>
#include <coroutine>
#include <future>

#include "tests/support.hpp"

#include <tricolor/traced.hpp>

namespace tricolor::tests {
namespace {

// Hidden in a list, a reference is found again after collections if the list is read.
constexpr std::size_t kNodes = 2000;

template <class List>
void fill(List& list) {
  on_fresh_thread([&] {
    for (std::size_t i = 0; i < kNodes; ++i) list.insert(list.end(), gc::make<Node>(i));
  });
}
template <class List>
std::size_t intact(const List& list) {
  return static_cast<std::size_t>(
      std::count_if(list.begin(), list.end(), [](const Node* node) { return node->intact(); }));
}

gc::traced::vector<Node*> g_traced_list;
gc::atomic_root<Node> g_atomic;
gc::rooted<std::vector<Node*, gc::traced_allocator<Node*>>> g_rooted;
Node* g_plain;
thread_local Node* t_plain;

class Globals {
 public:
  Globals() { runtime::scan_globals(true); }
  ~Globals() { runtime::scan_globals(false); }
};

}  // namespace

TEST_CASE("traced roots: std containers of plain pointers") {
  gc::traced::vector<Node*> vector;
  gc::traced::deque<Node*> deque;
  gc::traced::list<gc::ptr<Node>> list;
  gc::traced::set<Node*> set;
  gc::traced::map<int, Node*> map;
  gc::traced::unordered_map<int, gc::ptr<Node>> hashed;
  fill(vector);
  fill(deque);
  fill(g_traced_list);
  fill(set);
  on_fresh_thread([&] {
    for (int i = 0; i < 500; ++i) {
      list.push_back(gc::make<Node>(static_cast<std::uint64_t>(i)));
      map[i] = gc::make<Node>(static_cast<std::uint64_t>(i));
      hashed[i] = gc::make<Node>(static_cast<std::uint64_t>(i));
    }
  });
  shake();
  CHECK(intact(vector) == kNodes);
  CHECK(intact(deque) == kNodes);
  CHECK(intact(g_traced_list) == kNodes);
  CHECK(intact(set) == kNodes);
  for (const auto& node : list) CHECK(node->intact());
  for (const auto& [key, node] : map) CHECK(node->key == static_cast<std::uint64_t>(key));
  for (const auto& [key, node] : hashed) CHECK(node->key == static_cast<std::uint64_t>(key));
  g_traced_list = {};
}

TEST_CASE("traced roots: what is freed keeps nothing") {
  Census census;
  {
    gc::traced::list<Node*> list;
    on_fresh_thread([&] {
      for (std::size_t i = 0; i < kNodes; ++i) {
        Node* const node = gc::make<Node>(i);
        census.add(node);
        list.push_back(node);
      }
    });
    collect_all();
    CHECK(census.alive() == kNodes);
  }
  collect_all();
  CHECK(census.reclaimed());
}

TEST_CASE("traced roots: a range, while its guard lives") {
  constexpr std::size_t kBytes = 1 << 20;
  auto** const words = static_cast<Node**>(
      mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  Census census;
  {
    runtime::RootRange guard =
        runtime::register_roots(words, reinterpret_cast<char*>(words) + kBytes);
    on_fresh_thread([&] {
      for (std::size_t i = 0; i < kNodes; ++i) census.add(words[i] = gc::make<Node>(i));
    });
    shake();
    runtime::RootRange moved = std::move(guard);
    CHECK_FALSE(guard);
    shake();
    for (std::size_t i = 0; i < kNodes; ++i) CHECK(words[i]->intact());
  }
  munmap(words, kBytes);
  collect_all();
  CHECK(census.reclaimed());
  CHECK_THROWS_AS(static_cast<void>(runtime::register_roots(words + 1, words)),
                  std::invalid_argument);
  CHECK_THROWS_AS(static_cast<void>(runtime::register_roots(nullptr, words)),
                  std::invalid_argument);
}

// [ranges.place]
TEST_CASE("traced roots: ranges come and go beside cycles") {
  CollectingThread collecting;
  on_threads(3, [](std::size_t) {
    for (std::size_t i = 0; i < scaled(300); ++i) {
      std::vector<std::uintptr_t> memory(64);
      const runtime::RootRange guard =
          runtime::register_roots(memory.data(), memory.data() + memory.size());
      Node* const node = gc::make<Node>(i);
      memory[7] = reinterpret_cast<std::uintptr_t>(node);
      churn(64);
      REQUIRE(reinterpret_cast<Node*>(memory[7])->intact());
    }
  });
  collecting.stop();
}

// [globals.fresh]
TEST_CASE("traced roots: globals and thread-locals") {
  const Globals globals;
  on_fresh_thread([] { g_plain = gc::make<Node>(7); });
  std::atomic<int> step{0};
  bool kept = false;
  std::thread other([&] {
    [] { t_plain = gc::make<Node>(8); }();
    clear_stack();
    step = 1;
    while (step != 2) std::this_thread::yield();
    kept = t_plain->intact();
  });
  while (step != 1) std::this_thread::yield();
  on_fresh_thread([] { t_plain = nullptr; });
  shake();
  step = 2;
  other.join();
  CHECK(kept);
  CHECK(g_plain->intact());
  g_plain = nullptr;
}

TEST_CASE("traced roots: gc::rooted owns, copies and moves its value") {
  gc::rooted<std::pair<Node*, int>> pair;
  on_fresh_thread([&] {
    pair = gc::rooted<std::pair<Node*, int>>(std::in_place, gc::make<Node>(1), 5);
    g_rooted->push_back(gc::make<Node>(2));
  });
  gc::rooted<std::pair<Node*, int>> copy = pair;
  shake();
  CHECK(copy->first->intact());
  CHECK(copy.get() != pair.get());
  static_assert(std::is_nothrow_move_constructible_v<decltype(copy)>);
  const auto* const at = copy.get();
  gc::rooted<std::pair<Node*, int>> moved = std::move(copy);
  CHECK(moved.get() == at);
  CHECK(copy.get() == nullptr);
  copy = moved;
  CHECK((*copy).second == 5);
  CHECK(g_rooted->front()->intact());
  g_rooted->clear();
  const gc::rooted<std::string> text("abc");
  CHECK(text->size() == 3);
  CHECK_THROWS_AS(gc::rooted<std::vector<int>>(std::in_place, std::vector<int>().max_size() + 1),
                  std::length_error);
}

TEST_CASE("traced roots: a gc::rooted in an exception") {
  std::exception_ptr thrown;
  on_fresh_thread([&] {
    try {
      throw gc::rooted<Node*>(gc::make<Node>(3));
    } catch (...) {
      thrown = std::current_exception();
    }
  });
  shake();
  bool kept = false;
  try {
    std::rethrow_exception(thrown);
  } catch (const gc::rooted<Node*>& node) {
    kept = (*node)->intact();
  }
  CHECK(kept);
}

TEST_CASE("traced roots: gc::atomic_root") {
  CHECK(g_atomic.load() == nullptr);
  on_fresh_thread([] { g_atomic = gc::make<Node>(1); });
  shake();
  CHECK(g_atomic.load()->intact());
  Node* expected = nullptr;
  CHECK_FALSE(g_atomic.compare_exchange_strong(expected, gc::make<Node>(2)));
  CHECK(expected == g_atomic.load());
  CHECK(g_atomic.compare_exchange_weak(expected, gc::make<Node>(2)));
  CHECK(g_atomic.load()->key == 2);
  CollectingThread collecting;
  on_threads(3, [](std::size_t thread) {
    for (std::size_t i = 0; i < scaled(20000); ++i) {
      if (thread == 0) {
        g_atomic.store(gc::make<Node>(i));
      } else if (thread == 1) {
        REQUIRE(g_atomic.load()->intact());
      } else {
        REQUIRE(g_atomic.exchange(gc::make<Node>(i))->intact());
      }
    }
  });
  g_atomic = nullptr;
  CHECK(g_atomic == nullptr);
}

namespace {

struct Generator {
  struct promise_type : gc::traced_frame {
    Node* current = nullptr;
    Generator get_return_object() {
      return Generator{std::coroutine_handle<promise_type>::from_promise(*this)};
    }
    std::suspend_always initial_suspend() noexcept { return {}; }
    std::suspend_always final_suspend() noexcept { return {}; }
    std::suspend_always yield_value(Node* node) noexcept {
      current = node;
      return {};
    }
    void return_void() {}
    void unhandled_exception() { std::terminate(); }
  };
  explicit Generator(std::coroutine_handle<promise_type> h) : handle(h) {}
  Generator(Generator&& other) noexcept : handle(std::exchange(other.handle, {})) {}
  ~Generator() {
    if (handle) handle.destroy();
  }
  Node* next() {
    handle.resume();
    return handle.promise().current;
  }
  std::coroutine_handle<promise_type> handle;
};

struct Connection {
  std::uint64_t key, seal;
  explicit Connection(std::uint64_t k) : key(k), seal(mix(k)) {}
  // The frame alone keeps `this`, and the node that is taken out of the argument.
  Generator serve(gc::ptr<Node> node) {
    Node* const local = node;
    node = nullptr;
    for (;;) co_yield seal == mix(key) && local->intact() ? local : nullptr;
  }
};

}  // namespace

TEST_CASE("traced roots: coroutine frames") {
  std::vector<Generator> suspended;
  on_fresh_thread([&] {
    for (std::size_t i = 0; i < kNodes; ++i)
      suspended.push_back(gc::make<Connection>(i)->serve(gc::make<Node>(i)));
  });
  for (int round = 0; round < 3; ++round) {
    shake(1);
    for (Generator& g : suspended) REQUIRE(g.next() != nullptr);
  }
  Census census;
  for (Generator& g : suspended) census.add(g.next());
  suspended.clear();
  collect_all();
  CHECK(census.reclaimed());
}

// [known.first] The consumer never allocates, stores or asks anything of the library.
TEST_CASE("traced roots: a thread that only takes pointers out of a queue") {
  std::mutex lock;
  std::condition_variable some;
  gc::traced::deque<Node*> queue;
  bool done = false;
  std::size_t wrong = 0;
  CollectingThread collecting;
  std::thread consumer([&] {
    for (;;) {
      std::unique_lock guard(lock);
      some.wait(guard, [&] { return done || !queue.empty(); });
      if (queue.empty()) return;
      Node* const node = queue.front();
      queue.pop_front();
      guard.unlock();
      spin(200);
      wrong += node->intact() ? 0 : 1;
    }
  });
  for (std::size_t i = 0; i < scaled(100'000); ++i) {
    Node* const node = gc::make<Node>(i);
    const std::lock_guard guard(lock);
    queue.push_back(node);
    some.notify_one();
  }
  {
    const std::lock_guard guard(lock);
    done = true;
  }
  some.notify_one();
  consumer.join();
  CHECK(wrong == 0);
}

// [open.stop] [open.some] [tracked.arm-first] References change hands among stacks, traced cells and collected objects.
TEST_CASE("traced roots: references on the move") {
  constexpr std::size_t kPlaces = 64;
  struct Shelf {
    gc::ptr<Node> places[kPlaces];
  };
  struct Places {
    std::mutex lock[kPlaces];
    gc::traced::vector<Node*> traced = gc::traced::vector<Node*>(kPlaces);
    gc::root<Shelf> shelf = gc::make<Shelf>();
  } all;
  for (std::size_t i = 0; i < kPlaces; ++i) all.traced[i] = gc::make<Node>(i);
  const std::uint64_t seed = announce_seed("references on the move");
  Findings findings;
  CollectingThread collecting(1000);
  on_threads(4, [&](std::size_t thread) {
    Random random(seed + thread);
    for (std::size_t i = 0; i < stress_rounds(200'000); ++i) {
      const std::size_t from = random.below(kPlaces);
      const std::size_t to = random.below(kPlaces);
      Node* node = nullptr;
      {
        const std::lock_guard guard(all.lock[from]);
        node = std::exchange(all.traced[from], nullptr);
        if (node == nullptr) {
          node = all.shelf->places[from];
          all.shelf->places[from] = nullptr;
        }
      }
      if (node == nullptr) continue;
      findings.expect(node->intact(), "a node was reclaimed");
      if (random.one_in(4)) node = gc::make<Node>(random.next());
      spin(random.below(100));
      const std::lock_guard guard(all.lock[to]);
      if (random.one_in(2)) {
        all.traced[to] = node;
      } else {
        all.shelf->places[to] = node;
      }
    }
  });
  collecting.stop();
  CHECK_MESSAGE(findings.count() == 0, findings.first());
}

}  // namespace tricolor::tests
