// Lock-free structures on gc::atomic, and rings handed from thread to thread through roots.
#include "tests/support.hpp"

#include <condition_variable>
#include <deque>

namespace tricolor::tests {
namespace {

constexpr std::size_t kThreads = 4;

struct Item {
  Item(std::uint64_t v) : value(v), seal(mix(v)) {}
  bool intact() const { return seal == mix(value); }
  std::uint64_t value, seal;
};

struct Cell {
  explicit Cell(Item* i) : item(i) {}
  gc::ptr<Item> item;
  gc::atomic<Cell> next;
};

// Treiber's stack (1986), without tags or hazard pointers: a collected heap has no ABA.
struct Stack {
  gc::atomic<Cell> head;

  void push(Item* item) {
    Cell* const cell = gc::make<Cell>(item);
    Cell* old = head.load(std::memory_order_relaxed);
    do {
      cell->next.store(old, std::memory_order_relaxed);
    } while (!head.compare_exchange_weak(old, cell, std::memory_order_release,
                                         std::memory_order_relaxed));
  }
  Item* pop() {
    Cell* old = head.load(std::memory_order_acquire);
    while (old != nullptr &&
           !head.compare_exchange_weak(old, old->next.load(std::memory_order_relaxed),
                                       std::memory_order_acquire, std::memory_order_acquire)) {
    }
    return old == nullptr ? nullptr : old->item.get();
  }
};

// Michael and Scott's queue (1996).
struct Queue {
  Queue() {
    Cell* const dummy = gc::make<Cell>(nullptr);
    head.store(dummy);
    tail.store(dummy);
  }
  gc::atomic<Cell> head, tail;

  void push(Item* item) {
    Cell* const cell = gc::make<Cell>(item);
    for (;;) {
      Cell* last = tail.load(std::memory_order_acquire);
      Cell* next = last->next.load(std::memory_order_acquire);
      if (next != nullptr) {
        tail.compare_exchange_weak(last, next, std::memory_order_release,
                                   std::memory_order_relaxed);
      } else if (last->next.compare_exchange_weak(next, cell, std::memory_order_release,
                                                  std::memory_order_relaxed)) {
        tail.compare_exchange_strong(last, cell, std::memory_order_release,
                                     std::memory_order_relaxed);
        return;
      }
    }
  }
  Item* pop() {
    for (;;) {
      Cell* first = head.load(std::memory_order_acquire);
      Cell* last = tail.load(std::memory_order_acquire);
      Cell* const next = first->next.load(std::memory_order_acquire);
      if (next == nullptr) return nullptr;
      if (first == last) {
        tail.compare_exchange_weak(last, next, std::memory_order_release,
                                   std::memory_order_relaxed);
        continue;
      }
      if (head.compare_exchange_weak(first, next, std::memory_order_acq_rel,
                                     std::memory_order_relaxed)) {
        return next->item;
      }
    }
  }
};

// Each thread pushes its values and pops as many; every value must come out once.
template <class Structure>
void each_value_comes_out_once(std::size_t each) {
  gc::root<Structure> structure = gc::make<Structure>();
  std::vector<std::atomic<std::uint8_t>> seen(kThreads * each);
  Findings findings;
  CollectingThread collector(scaled(kLongChain));
  on_threads(kThreads, [&](std::size_t t) {
    const auto take = [&](const Item* item) {
      findings.expect(item->intact(), "an item was damaged");
      if (item->intact())
        findings.expect(seen[item->value].fetch_add(1) == 0, "an item came out twice");
    };
    std::size_t popped = 0;
    for (std::size_t i = 0; i < each; ++i) {
      structure->push(gc::make<Item>(t * each + i));
      if (i % 64 != 0) {
        if (const Item* item = structure->pop()) {
          take(item);
          ++popped;
        }
      }
    }
    while (popped < each) {
      const Item* const item = structure->pop();
      if (item == nullptr) break;  // another thread took more than its share
      take(item);
      ++popped;
    }
  });
  while (const Item* item = structure->pop()) {
    findings.expect(item->intact() && seen[item->value].fetch_add(1) == 0,
                    "an item came out twice");
  }
  collector.stop();
  std::size_t missing = 0;
  for (const auto& count : seen) missing += count == 1 ? 0 : 1;
  CHECK(missing == 0);
  CHECK_MESSAGE(findings.count() == 0, findings.first());
  CHECK(collector.cycles() > 0);
}

TEST_CASE("stress queues: a Treiber stack") {
  each_value_comes_out_once<Stack>(stress_rounds(2'000'000));
}

TEST_CASE("stress queues: a Michael-Scott queue") {
  each_value_comes_out_once<Queue>(stress_rounds(1'500'000));
}

// A doubly linked ring, handed on as one root.
struct Bead {
  explicit Bead(std::uint64_t k) : key(k), seal(mix(k)) {}
  std::uint64_t key, seal;
  gc::ptr<Bead> next, previous;
};

Bead* make_ring(std::uint64_t first, std::size_t size) {
  Bead* const start = gc::make<Bead>(first);
  start->next = start;
  start->previous = start;
  for (std::size_t i = 1; i < size; ++i) {
    Bead* const bead = gc::make<Bead>(first + i);
    bead->previous = start->previous;
    bead->next = start;
    start->previous->next = bead;
    start->previous = bead;
  }
  return start;
}

std::uint64_t check_ring(const Bead* start, std::size_t size, Findings& findings) {
  std::uint64_t sum = 0;
  const Bead* bead = start;
  for (std::size_t i = 0; i < size; ++i) {
    findings.expect(bead->seal == mix(bead->key), "a bead was damaged");
    findings.expect(bead->next->previous == bead, "a ring is torn");
    sum += bead->key;
    bead = bead->next;
  }
  findings.expect(bead == start, "a ring changed its length");
  return sum;
}

// Takes a bead out and puts it in again elsewhere; now and then a copy takes its place.
Bead* shuffle_ring(Bead* start, Random& random) {
  Bead* bead = start;
  for (std::size_t steps = random.below(10) + 1; steps > 0; --steps) bead = bead->next;
  if (bead == start) return start;
  bead->previous->next = bead->next;
  bead->next->previous = bead->previous;
  Bead* into = start;
  for (std::size_t steps = random.below(10); steps > 0; --steps) into = into->next;
  Bead* const moved = random.one_in(4) ? gc::make<Bead>(bead->key) : bead;
  bead->next = bead->previous = nullptr;
  moved->next = into->next;
  moved->previous = into;
  into->next->previous = moved;
  into->next = moved;
  return random.one_in(2) ? start : moved;
}

TEST_CASE("stress queues: rings shuffled and handed from thread to thread") {
  constexpr std::size_t kRings = 12, kBeads = 100;
  const std::uint64_t seed = announce_seed("rings");
  std::mutex mutex;
  std::deque<std::pair<std::uint64_t, gc::root<Bead>>>
      waiting;  // the sum of a ring's keys, and the ring
  Findings findings;
  for (std::size_t i = 0; i < kRings; ++i) {
    Bead* const ring = make_ring(i * 1000, kBeads);
    waiting.emplace_back(check_ring(ring, kBeads, findings), ring);
  }
  CollectingThread collector(scaled(kLongChain));
  on_threads(kThreads, [&](std::size_t t) {
    Random random(seed + t);
    for (std::size_t i = 0; i < stress_rounds(250'000); ++i) {
      std::pair<std::uint64_t, gc::root<Bead>> taken;
      {
        const std::lock_guard lock(mutex);
        taken = std::move(waiting.front());
        waiting.pop_front();
      }
      for (int n = 0; n < 5; ++n) taken.second = shuffle_ring(taken.second, random);
      if (i % 16 == 0) {
        findings.expect(check_ring(taken.second, kBeads, findings) == taken.first,
                        "a ring has the wrong beads");
      }
      const std::lock_guard lock(mutex);
      waiting.push_back(std::move(taken));
    }
  });
  collector.stop();
  CHECK(waiting.size() == kRings);
  for (const auto& [sum, ring] : waiting) CHECK(check_ring(ring, kBeads, findings) == sum);
  CHECK_MESSAGE(findings.count() == 0, findings.first());
}

}  // namespace
}  // namespace tricolor::tests
