// Destructors of collected objects: exactly once, on a thread of their own, after death and never
// before.
#include "tests/support.hpp"

#include <condition_variable>
#include <memory>
#include <stdexcept>
#include <string>

namespace tricolor::tests {
struct Skipped {
  ~Skipped() { ++ran; }
  static inline std::atomic<int> ran{0};
};
}  // namespace tricolor::tests
template <>
inline constexpr bool tricolor::gc::skip_destructor<tricolor::tests::Skipped> = true;

namespace tricolor::tests {
namespace {

// A slot per object counts its destructions, so that "twice" and "never" show up object by object.
constexpr std::size_t kSlots = 20000;
std::array<std::atomic<std::uint8_t>, kSlots> destructions;
std::atomic<int> broken{0};
std::atomic<int> on_wrong_thread{0};
std::thread::id main_thread;
thread_local bool program_thread = false;

void reset() {
  for (int i = 0; i < 2; ++i)
    collect_all();  // what the test before has dropped dies before we count
  for (auto& slot : destructions) slot = 0;
  broken = 0;
  on_wrong_thread = 0;
  main_thread = std::this_thread::get_id();
  program_thread = true;
}

struct Tally {
  std::size_t never = 0, once = 0, more = 0;
};
Tally tally(std::size_t count) {
  Tally result;
  for (std::size_t i = 0; i < count; ++i) {
    const int times = destructions[i];
    ++(times == 0 ? result.never : times == 1 ? result.once : result.more);
  }
  return result;
}

template <std::size_t Bytes>
struct Counted {
  explicit Counted(std::size_t s) : slot(s), seal(mix(s)) {}
  ~Counted() {
    if (seal != mix(slot)) {
      ++broken;
    } else {
      ++destructions[slot];
    }
    if (program_thread) ++on_wrong_thread;
    seal = 0;
  }
  std::size_t slot;
  std::uint64_t seal;
  std::array<char, Bytes> payload{};
};

// [dead.queued] Cells of one span die in every cycle, while those of the cycles before still wait.
TEST_CASE(
    "destructor: wait_for_finalizers waits for all that are dead, in spans that had their turn "
    "before too") {
  reset();
  constexpr std::size_t kRounds = 20;
  constexpr std::size_t kEach = kSlots / kRounds;
  std::vector<gc::root<Counted<8>>> objects(kSlots);
  on_fresh_thread([&] {
    // Each round's lie among all the others'.
    for (std::size_t i = 0; i < kEach; ++i) {
      for (std::size_t round = 0; round < kRounds; ++round) {
        const std::size_t slot = round * kEach + i;
        objects[slot] = gc::make<Counted<8>>(slot);
      }
    }
  });
  for (std::size_t round = 0; round < kRounds; ++round) {
    for (std::size_t i = 0; i < kEach; ++i) objects[round * kEach + i] = nullptr;
    runtime::collect();
  }
  runtime::wait_for_finalizers();
  const Tally result = tally(kSlots);
  CAPTURE(result.never);
  CHECK(result.more == 0);
  CHECK(result.never <= kSlots / 100);  // what a stale word keeps
  CHECK(broken == 0);
}

// [finalizer.exactly-once] [finalizer.own-thread] [dead.once]
TEST_CASE_TEMPLATE("destructor: exactly once each, with the contents intact, on another thread", T,
                   Counted<1>, Counted<100>, Counted<2000>, Counted<40000>) {
  reset();
  const std::size_t count = scaled(std::min<std::size_t>(kSlots, 100'000'000 / sizeof(T)));
  on_fresh_thread([&] {
    program_thread = true;
    for (std::size_t i = 0; i < count; ++i) gc::keep_alive(gc::make<T>(i));
    churn(5000);
  });
  for (int i = 0; i < 3; ++i) {
    collect_all();
    churn(2000);
  }
  const Tally result = tally(count);
  CHECK(result.once >= count * 95 / 100);
  CHECK(result.more == 0);
  CHECK(broken == 0);
  CHECK(on_wrong_thread == 0);
}

TEST_CASE("destructor: does not run while the object is reachable") {
  reset();
  std::vector<gc::root<Counted<8>>> kept;
  on_fresh_thread([&] {
    for (std::size_t i = 0; i < 1000; ++i) kept.emplace_back(gc::make<Counted<8>>(i));
  });
  for (int i = 0; i < 3; ++i) collect_all();
  CHECK(tally(1000).never == 1000);
  on_fresh_thread([&] { kept.resize(500); });
  collect_all();
  const Tally half = tally(1000);
  CHECK(half.once >= 450);
  CHECK(half.once <= 500);
  for (std::size_t i = 0; i < 500; ++i) CHECK(destructions[i] == 0);
}

struct Elements {
  Elements() : slot(next++), seal(mix(slot)) {}
  ~Elements() {
    if (seal != mix(slot)) ++broken;
    ++destructions[slot];
  }
  std::size_t slot;
  std::uint64_t seal;
  static inline std::size_t next = 0;
};

TEST_CASE("destructor: of every element of an array, once") {
  reset();
  Elements::next = 0;
  on_fresh_thread([] {
    for (std::size_t count : {1u, 2u, 3u, 100u, 1000u, 5000u})
      gc::keep_alive(gc::make_array<Elements>(count));
  });
  for (int i = 0; i < 2; ++i) collect_all();
  const Tally result = tally(6106);
  CHECK(Elements::next == 6106);
  CHECK(result.more == 0);
  CHECK(result.once >= 6106 - 5000);  // one stale reference may hold one of the arrays
  CHECK(broken == 0);
}

struct Owner {
  std::string text = std::string(100, 't');
  std::vector<gc::root<Node>> roots;
  std::shared_ptr<int> token;
  std::unique_ptr<Counted<8>> counted;
};

TEST_CASE("destructor: members of every kind are destroyed, roots among them") {
  reset();
  auto token = std::make_shared<int>(1);
  Census census;
  on_fresh_thread([&] {
    for (std::size_t i = 0; i < 100; ++i) {
      Owner* const owner = gc::make<Owner>();
      owner->token = token;
      owner->counted = std::make_unique<Counted<8>>(i);
      owner->roots.emplace_back(gc::make<Node>(i));
      census.add(owner->roots.back().get());
    }
  });
  for (int i = 0; i < 3; ++i) collect_all();
  CHECK(token.use_count() <= 6);
  CHECK(tally(100).once >= 95);
  CHECK(census.reclaimed());
}

struct Base {
  virtual ~Base() { base_destroyed.fetch_add(1); }
  static inline std::atomic<int> base_destroyed{0};
};
struct Child : Base {
  ~Child() override { child_destroyed.fetch_add(1); }
  static inline std::atomic<int> child_destroyed{0};
  gc::ptr<Base> other;
};

TEST_CASE("destructor: virtual ones run for the type that was made") {
  Base::base_destroyed = 0;
  Child::child_destroyed = 0;
  on_fresh_thread([] {
    for (int i = 0; i < 200; ++i) {
      gc::root<Base> base = gc::make<Child>();
      gc::keep_alive(base);
    }
  });
  collect_all();
  CHECK(Child::child_destroyed >= 190);
  CHECK(Base::base_destroyed == Child::child_destroyed);
}

TEST_CASE("destructor: one that may be skipped does not run") {
  on_fresh_thread([] {
    for (int i = 0; i < 100; ++i) gc::keep_alive(gc::make<Skipped>());
  });
  collect_all();
  CHECK(Skipped::ran == 0);
}

struct DefaultedVirtual {
  virtual ~DefaultedVirtual() = default;
  std::uint64_t content[3] = {};
};

// What the collector knows it knows from the first that have died; without optimisation a defaulted
// destructor does something.
TEST_CASE("destructor: a defaulted virtual one that does nothing is not queued") {
#ifdef __OPTIMIZE__
  if (kSanitized) return;
  constexpr std::uint64_t kObjects = 1000;
  collect_all();
  runtime::finalize_by_hand(true);
  const auto waiting = [] {
    on_fresh_thread([] {
      for (std::uint64_t i = 0; i < kObjects; ++i) gc::keep_alive(gc::make<DefaultedVirtual>());
    });
    runtime::collect();
    return mem_stats().finalizer_queue;
  };
  const std::uint64_t first = waiting();
  runtime::run_finalizers();
  const std::uint64_t second = waiting();
  runtime::run_finalizers();
  runtime::finalize_by_hand(false);
  CHECK(first >= kObjects / 2);
  CHECK(second <= kObjects / 10);  // others in the same words of cells
#endif
}

TEST_CASE("destructor: objects in cycles are destroyed") {
  Child::child_destroyed = 0;
  on_fresh_thread([] {
    for (int i = 0; i < 200; ++i) {
      Child* const a = gc::make<Child>();
      Child* const b = gc::make<Child>();
      a->other = b;
      b->other = a;
    }
  });
  collect_all();
  CHECK(Child::child_destroyed >= 380);
  CHECK(Child::child_destroyed <= 400);
}

struct Allocates {
  ~Allocates() {
    Node* const node = gc::make<Node>(5);
    churn(200);
    if (!node->intact()) ++broken;
    ran.fetch_add(1);
  }
  static inline std::atomic<int> ran{0};
};

TEST_CASE("destructor: may allocate") {
  reset();
  Allocates::ran = 0;
  on_fresh_thread([] {
    for (int i = 0; i < 100; ++i) gc::keep_alive(gc::make<Allocates>());
  });
  collect_all();
  CHECK(Allocates::ran >= 95);
  CHECK(broken == 0);
}

// Dies in spans whose dead are being destroyed: each makes another, until there have been enough.
struct Successor {
  explicit Successor(std::size_t s) : slot(s) {}
  ~Successor() {
    ++destructions[slot];
    const std::size_t next = made.fetch_add(1);
    if (next < kSlots) gc::keep_alive(gc::make<Successor>(next));
    if (next % 64 == 0) runtime::collect();
  }
  std::size_t slot;
  static inline std::atomic<std::size_t> made{0};
};

// [dead.queued]
TEST_CASE("destructor: of objects that die while others of their span are destroyed") {
  reset();
  constexpr std::size_t kFirst = 3000;
  Successor::made = kFirst;
  on_fresh_thread([] {
    for (std::size_t i = 0; i < kFirst; ++i) gc::keep_alive(gc::make<Successor>(i));
  });
  for (int i = 0; i < 4; ++i) collect_all();
  const std::size_t count = std::min(kSlots, Successor::made.load());
  CHECK(count >= 2 * kFirst * 95 / 100);
  const Tally result = tally(count);
  CHECK(result.more == 0);
  CHECK(result.once >= count * 90 / 100);
}

// What objects own outside: the heap alone would see nothing of it.
struct OwnsOutside {
  OwnsOutside() {
    runtime::adjust_external_memory(kBytes);
    raise(now.fetch_add(1) + 1);
  }
  ~OwnsOutside() {
    runtime::adjust_external_memory(-kBytes);
    --now;
  }
  static void raise(long value) {
    long seen = most;
    while (value > seen && !most.compare_exchange_weak(seen, value)) continue;
  }
  static constexpr std::ptrdiff_t kBytes = 1 << 20;
  static inline std::atomic<long> now{0}, most{0};
};

// [pacing.external] [pacing.dead]
TEST_CASE("destructor: memory outside that objects own counts as heap") {
  collect_all();
  const auto before = mem_stats();
  on_fresh_thread([] {
    for (int i = 0; i < 3000; ++i) gc::keep_alive(gc::make<OwnsOutside>());
  });
  CHECK(mem_stats().num_gc > before.num_gc);
  CHECK(OwnsOutside::most < 1000);  // of 3,000 MiB
  for (int i = 0; i < 2; ++i) collect_all();
  CHECK(OwnsOutside::now <= 5);
  CHECK(mem_stats().external_bytes <= before.external_bytes + (5u << 20));
  CHECK_THROWS_AS(runtime::adjust_external_memory(-(std::ptrdiff_t{1} << 50)),
                  std::invalid_argument);
  CHECK_THROWS_AS(runtime::adjust_external_memory(PTRDIFF_MAX), std::invalid_argument);
}

struct Slow {
  ~Slow() {
    std::unique_lock lock(mutex);
    wake.wait(lock, [] { return open; });
    ran.fetch_add(1);
  }
  static inline std::mutex mutex;
  static inline std::condition_variable wake;
  static inline bool open = false;
  static inline std::atomic<int> ran{0};
};

TEST_CASE("destructor: one that blocks holds up neither the program nor its collections") {
  on_fresh_thread([] { gc::keep_alive(gc::make<Slow>()); });
  clear_stack();
  runtime::collect();
  const auto cycles = mem_stats().num_gc;
  churn();
  runtime::collect();
  runtime::collect();
  CHECK(mem_stats().num_gc >= cycles + 2);
  {
    const std::lock_guard lock(Slow::mutex);
    Slow::open = true;
  }
  Slow::wake.notify_all();
  runtime::wait_for_finalizers();
  CHECK(Slow::ran == 1);
}

TEST_CASE("destructor: the memory of destroyed objects is used again") {
  reset();
  const auto live = mem_stats().heap_inuse;
  for (std::size_t i = 0; i < scaled(200); ++i) {
    on_fresh_thread([&] {
      for (std::size_t k = 0; k < 1000; ++k) gc::keep_alive(gc::make<Counted<1000>>(k));
    });
    if (i % 8 == 7) collect_all();
  }
  collect_all();
  collect_all();
  CHECK(mem_stats().heap_inuse < live + (32u << 20));
  CHECK(broken == 0);
}

}  // namespace
}  // namespace tricolor::tests
