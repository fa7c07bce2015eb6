// gc::set_finalizer: once, in order, on its own thread, with the object alive; resurrection;
// cycles.
#include "tests/support.hpp"

#include <algorithm>
#include <list>
#include <map>
#include <stdexcept>
#include <string>
#include <unordered_map>

namespace tricolor::tests {
namespace {

// What finalizers write: the keys in the order in which they ran.
class Log {
 public:
  void add(std::uint64_t key) {
    const std::lock_guard lock(mutex_);
    keys_.push_back(key);
  }
  std::vector<std::uint64_t> keys() const {
    const std::lock_guard lock(mutex_);
    return keys_;
  }
  std::size_t size() const { return keys().size(); }

 private:
  mutable std::mutex mutex_;
  std::vector<std::uint64_t> keys_;
};

// [finalizer.exactly-once]
TEST_CASE("finalizer: runs once for each dropped object, which is intact then") {
  constexpr std::size_t kCount = 2000;
  Log log;
  std::atomic<int> broken{0};
  on_fresh_thread([&] {
    for (std::uint64_t i = 0; i < kCount; ++i) {
      Node* const node = gc::make<Node>(i);
      node->left = gc::make<Node>(i + 1);
      gc::set_finalizer(node, [&](Node* n) {
        if (!n->intact() || !n->left->intact() || n->left->key != n->key + 1) ++broken;
        log.add(n->key);
      });
    }
    churn(2000);
  });
  for (int i = 0; i < 3; ++i) collect_all();
  std::vector<std::uint64_t> keys = log.keys();
  std::sort(keys.begin(), keys.end());
  CHECK(std::adjacent_find(keys.begin(), keys.end()) == keys.end());
  CHECK(keys.size() >= kCount * 95 / 100);
  CHECK(broken == 0);
}

TEST_CASE("finalizer: does not run while the object is reachable") {
  std::vector<gc::root<Node>> kept;
  std::atomic<int> ran{0};
  on_fresh_thread([&] {
    for (std::uint64_t i = 0; i < 200; ++i) {
      kept.emplace_back(gc::make<Node>(i));
      gc::set_finalizer(kept.back().get(), [&](Node*) { ++ran; });
    }
  });
  for (int i = 0; i < 3; ++i) collect_all();
  CHECK(ran == 0);
  on_fresh_thread([&] { kept.clear(); });
  collect_all();
  CHECK(ran >= 190);
}

thread_local bool program_thread = false;

// [finalizer.own-thread]
TEST_CASE("finalizer: runs on a thread that is none of the program's") {
  std::atomic<int> ran{0}, on_program_thread{0};
  program_thread = true;
  on_fresh_thread([&] {
    program_thread = true;
    for (int i = 0; i < 100; ++i) {
      gc::set_finalizer(gc::make<Node>(), [&](Node*) {
        ++ran;
        if (program_thread) ++on_program_thread;
      });
    }
    runtime::collect();
    churn();
  });
  collect_all();
  CHECK(ran >= 95);
  CHECK(on_program_thread == 0);
}

// [specials.contents]
TEST_CASE("finalizer: in a chain the referring object comes first, one link per cycle") {
  constexpr std::uint64_t kLength = 8;
  Log log;
  on_fresh_thread([&] {
    Node* next = nullptr;
    for (std::uint64_t i = 0; i < kLength; ++i) {
      Node* const node = gc::make<Node>(kLength - 1 - i);
      node->left = next;
      next = node;
      gc::set_finalizer(node, [&](Node* n) { log.add(n->key); });
    }
  });
  for (std::uint64_t i = 0; i < 2 * kLength + 4; ++i) collect_all();
  CHECK(log.keys() == std::vector<std::uint64_t>{0, 1, 2, 3, 4, 5, 6, 7});
}

TEST_CASE("finalizer: the order follows references through objects without finalizers") {
  Log log;
  on_fresh_thread([&] {
    Node* const last = gc::make<Node>(2);
    Node* const between = gc::make<Node>(100);
    Node* const first = gc::make<Node>(1);
    first->right = between;
    between->left = last;
    gc::set_finalizer(last, [&](Node* n) { log.add(n->key); });
    gc::set_finalizer(first, [&](Node* n) { log.add(n->right->left->key * 10 + n->key); });
  });
  for (int i = 0; i < 6; ++i) collect_all();
  CHECK(log.keys() == std::vector<std::uint64_t>{21, 2});
}

TEST_CASE("finalizer: objects in a cycle with finalizers are not collected") {
  constexpr int kPairs = 50;
  Log log;
  Census census;
  on_fresh_thread([&] {
    for (int i = 0; i < kPairs; ++i) {
      Node* const a = gc::make<Node>(1);
      Node* const b = gc::make<Node>(2);
      a->left = b;
      b->left = a;
      gc::set_finalizer(a, [&](Node* n) { log.add(n->key); });
      gc::set_finalizer(b, [&](Node* n) { log.add(n->key); });
    }
  });
  for (int i = 0; i < 4; ++i) collect_all();
  CHECK(log.size() == 0);
}

// What points into itself: text in place, headers of empty containers, a second base, a reference.
struct ShortText {
  std::string text = "short";
};
struct EmptyContainers {
  std::list<int> list;
  std::map<int, int> map;
  std::unordered_map<int, int> table;
  ~EmptyContainers() = default;
};
struct FirstBase {
  virtual ~FirstBase() = default;
  long a = 0;
};
struct SecondBase {
  virtual ~SecondBase() = default;
  long b = 0;
};
struct BothBases : FirstBase, virtual SecondBase {
  gc::ptr<SecondBase> second;
  BothBases() { second = this; }
};
struct RefersToItself {
  gc::ptr<RefersToItself> self;
  RefersToItself() { self = this; }
};
// Large enough to be scanned in pieces, the words in the second and the last one.
struct LargeSelf {
  std::array<char, 200'000> front;
  void* middle;
  std::array<char, 200'000> back;
  void* last;
  LargeSelf() : middle(this), last(&back) {}
};

// [specials.contents]
TEST_CASE_TEMPLATE("finalizer: an object that refers to itself is finalized and collected", T,
                   ShortText, EmptyContainers, BothBases, RefersToItself, LargeSelf) {
  constexpr int kCount = 200;
  std::atomic<int> ran{0};
  Census census;
  on_fresh_thread([&] {
    for (int i = 0; i < kCount; ++i) {
      T* const object = gc::make<T>();
      gc::set_finalizer(object, [&](T*) { ++ran; });
      census.add(object);
    }
  });
  for (int i = 0; i < 4; ++i) collect_all();
  CHECK(ran >= kCount * 95 / 100);
  CHECK(census.reclaimed());
}

// [specials.in_cycles]
TEST_CASE("finalizer: in cycles on request, with all that the objects refer to alive") {
  constexpr std::size_t kPairs = 200;
  std::atomic<int> ran{0}, broken{0}, locked{0};
  std::vector<gc::weak<Node>> weaks(kPairs);
  on_fresh_thread([&] {
    for (std::size_t i = 0; i < kPairs; ++i) {
      Node* const a = gc::make<Node>(i);
      Node* const b = gc::make<Node>(i + 1);
      a->left = b;
      b->left = a;
      b->right = gc::make<Node>(i + 2);
      weaks[i] = a;
      const auto check = [&](Node* n) {
        ++ran;
        if (!n->intact() || !n->left->intact() || n->left->left.get() != n) ++broken;
        const Node* const below = n->right ? n->right.get() : n->left->right.get();
        if (!below->intact()) ++broken;
      };
      gc::set_finalizer(
          a,
          [&, check, weak = weaks[i]](Node* n) {
            check(n);
            if (!weak.expired()) ++locked;
          },
          gc::in_cycles);
      gc::set_finalizer(b, check, gc::in_cycles);
    }
    churn(2000);
  });
  for (int i = 0; i < 4; ++i) collect_all();
  CHECK(ran >= static_cast<int>(2 * kPairs * 95 / 100));
  CHECK(ran <= static_cast<int>(2 * kPairs));
  CHECK(broken == 0);
  CHECK(locked == 0);
}

// [specials.in_cycles]
TEST_CASE("finalizer: one for cycles may lock a weak reference to what its object refers to") {
  constexpr std::size_t kObjects = 500;
  std::atomic<int> ran{0}, denied{0};
  on_fresh_thread([&] {
    for (std::size_t i = 0; i < kObjects; ++i) {
      Node* const a = gc::make<Node>(i);
      a->left = a;
      a->right = gc::make<Node>(i + 1);
      const gc::weak<Node> below(a->right.get());
      gc::set_finalizer(
          a,
          [&ran, &denied, below](Node* n) {
            ++ran;
            if (below.lock() != n->right.get()) ++denied;
          },
          gc::in_cycles);
      if (i % 50 == 0) runtime::collect();
    }
  });
  for (int i = 0; i < 3; ++i) collect_all();
  CHECK(ran >= static_cast<int>(kObjects * 95 / 100));
  CHECK(denied == 0);
}

TEST_CASE("finalizer: one for cycles comes before that of an object outside that it refers to") {
  Log log;
  on_fresh_thread([&] {
    Node* const a = gc::make<Node>(1);
    Node* const b = gc::make<Node>(2);
    a->left = a;
    a->right = b;
    gc::set_finalizer(b, [&](Node* n) { log.add(n->key); });
    gc::set_finalizer(
        a, [&](Node* n) { log.add(n->right->key * 10 + n->key); }, gc::in_cycles);
  });
  for (int i = 0; i < 4; ++i) collect_all();
  CHECK(log.keys() == std::vector<std::uint64_t>{21, 2});
}

TEST_CASE("finalizer: by hand it runs where the program says, and nowhere else") {
  collect_all();
  CHECK(runtime::finalize_by_hand(true) == false);
  std::atomic<int> ran{0}, elsewhere{0};
  const auto here = std::this_thread::get_id();
  on_fresh_thread([&] {
    for (int i = 0; i < 100; ++i) {
      gc::set_finalizer(gc::make<Node>(), [&](Node*) {
        ++ran;
        if (std::this_thread::get_id() != here) ++elsewhere;
        if (runtime::run_finalizers() != 0) ++elsewhere;
      });
    }
  });
  runtime::collect();
  CHECK(ran == 0);
  CHECK(mem_stats().finalizer_queue >= 95);
  CHECK(runtime::run_finalizers(10) == 10);
  CHECK(ran == 10);
  CHECK(runtime::run_finalizers() >= 85);
  CHECK(runtime::run_finalizers() == 0);
  CHECK(elsewhere == 0);
  CHECK(runtime::finalize_by_hand(false) == true);
}

TEST_CASE("finalizer: a cycle that hangs below it goes in time") {
  Log log;
  Census census;
  on_fresh_thread([&] {
    for (std::uint64_t i = 0; i < 100; ++i) {
      Node* const top = gc::make<Node>(i);
      Node* const a = gc::make<Node>(1);
      Node* const b = gc::make<Node>(2);
      top->left = a;
      a->left = b;
      b->left = a;
      census.add(a);
      gc::set_finalizer(top, [&](Node* n) { log.add(n->left->left->key); });
    }
  });
  for (int i = 0; i < 3; ++i) collect_all();
  CHECK(log.size() >= 95);
  const auto keys = log.keys();
  CHECK(std::all_of(keys.begin(), keys.end(), [](std::uint64_t key) { return key == 2; }));
  CHECK(census.reclaimed());
}

// [specials.once]
TEST_CASE("finalizer: may make the object reachable again; it does not run twice") {
  std::atomic<int> ran{0};
  gc::root<Node> saved;
  on_fresh_thread([&] {
    Node* const node = gc::make<Node>(123);
    node->left = gc::make<Node>(124);
    gc::set_finalizer(node, [&](Node* n) {
      ++ran;
      saved = n;
    });
  });
  for (int i = 0; i < 3 && ran == 0; ++i) collect_all();
  REQUIRE(ran == 1);
  shake();
  Census census;
  on_fresh_thread([&] {
    REQUIRE(saved->intact());
    CHECK(saved->left->intact());
    CHECK(saved->left->key == 124);
    census.add(saved.get());
    saved = nullptr;
  });
  for (int i = 0; i < 2; ++i) collect_all();
  CHECK(ran == 1);
  CHECK(census.alive() == 0);
}

TEST_CASE("finalizer: may set another one from inside") {
  static Log log;
  struct Again {
    static void run(Node* n) {
      log.add(log.size());
      if (log.size() < 3) gc::set_finalizer(n, &run);
    }
  };
  on_fresh_thread([] { gc::set_finalizer(gc::make<Node>(), &Again::run); });
  for (int i = 0; i < 8; ++i) collect_all();
  CHECK(log.keys() == std::vector<std::uint64_t>{0, 1, 2});
}

TEST_CASE("finalizer: a second one replaces the first, clear removes it") {
  std::atomic<int> first{0}, second{0}, cleared{0};
  on_fresh_thread([&] {
    for (int i = 0; i < 100; ++i) {
      Node* const node = gc::make<Node>();
      gc::set_finalizer(node, [&](Node*) { ++first; });
      gc::set_finalizer(node, [&](Node*) { ++second; });
      Node* const other = gc::make<Node>();
      gc::set_finalizer(other, [&](Node*) { ++cleared; });
      gc::clear_finalizer(other);
      gc::clear_finalizer(gc::make<Node>());  // has none
    }
  });
  for (int i = 0; i < 3; ++i) collect_all();
  CHECK(first == 0);
  CHECK(second >= 95);
  CHECK(cleared == 0);
}

TEST_CASE("finalizer: weak references are null by the time it runs") {
  std::atomic<int> ran{0}, locked{0};
  std::vector<gc::weak<Node>> weaks(100);
  on_fresh_thread([&] {
    for (std::size_t i = 0; i < 100; ++i) {
      Node* const node = gc::make<Node>(i);
      weaks[i] = node;
      gc::set_finalizer(node, [&, weak = weaks[i]](Node*) {
        ++ran;
        if (!weak.expired()) ++locked;
      });
    }
  });
  collect_all();
  CHECK(ran >= 95);
  CHECK(locked == 0);
}

struct WithDestructor {
  ~WithDestructor() { log->add(2); }
  Log* log = nullptr;
};

TEST_CASE("finalizer: the destructor runs after it") {
  Log log;
  on_fresh_thread([&] {
    auto* const object = gc::make<WithDestructor>();
    object->log = &log;
    gc::set_finalizer(object, [&](WithDestructor*) { log.add(1); });
  });
  for (int i = 0; i < 4; ++i) collect_all();
  CHECK(log.keys() == std::vector<std::uint64_t>{1, 2});
}

TEST_CASE("finalizer: may allocate, start threads and use roots") {
  std::atomic<int> good{0};
  gc::root<Node> shared = gc::make<Node>(4);
  on_fresh_thread([&] {
    for (int i = 0; i < 10; ++i) {
      gc::set_finalizer(gc::make<Node>(), [&](Node*) {
        churn(5000);
        on_fresh_thread([&] { good += gc::make<Node>(1)->intact() && shared->intact() ? 1 : 0; });
      });
    }
  });
  collect_all();
  CHECK(good >= 9);
}

TEST_CASE("finalizer: set on what is no object is refused") {
  int local = 0;
  CHECK_THROWS_AS(gc::set_finalizer(&local, [](int*) {}), std::invalid_argument);
  int* const array = gc::make_array<int>(100);
  CHECK_THROWS_AS(gc::set_finalizer(array + 1, [](int*) {}), std::invalid_argument);
  CHECK_THROWS_AS(gc::set_finalizer(static_cast<int*>(nullptr), [](int*) {}),
                  std::invalid_argument);
  gc::set_finalizer(array, [](int*) {});
  gc::clear_finalizer(array);
}

TEST_CASE("finalizer: what it captures is released with it") {
  auto token = std::make_shared<int>(1);
  on_fresh_thread([&] { gc::set_finalizer(gc::make<Node>(), [token](Node*) {}); });
  CHECK(token.use_count() == 2);
  for (int i = 0; i < 3; ++i) collect_all();
  CHECK(token.use_count() == 1);
  Node* const node = gc::make<Node>();
  gc::set_finalizer(node, [token](Node*) {});
  gc::clear_finalizer(node);
  CHECK(token.use_count() == 1);
}

}  // namespace
}  // namespace tricolor::tests
