// Objects that do all they can to hide from marking: their only reference leaves a place that
// marking has not met yet for one that it has already left. Each way of moving a reference is a
// case of its own.
//
// The nodes start in the late table, at the end of a long chain. A mutator takes some out while the
// chain is being marked, so that nothing but its stack holds them, waits, checks them, and puts
// them into the early table, which was marked at once; then all the way back. New objects are
// marked from birth and could not get lost; these are old. Keys tell a node that was reclaimed and
// reused from the one that was there.
#include <unistd.h>

#include "tests/support.hpp"

namespace tricolor::tests {
namespace {

constexpr std::size_t kThreads = 3;
constexpr std::size_t kSlots = 64;
constexpr std::size_t kHeld = 8;

struct Table {
  std::array<gc::ptr<Node>, kSlots> slot;
};

struct Held {
  std::array<Node*, kHeld> node;
  std::array<std::uint64_t, kHeld> key;
  bool intact() const noexcept {
    for (std::size_t i = 0; i < kHeld; ++i) {
      if (!node[i]->intact() || node[i]->key != key[i]) return false;
      if (!node[i]->left->intact() || node[i]->left->key != ~key[i]) return false;
    }
    return true;
  }
};

// One mutator's two tables. A pointer to the late one on a stack would bring it forward, so only
// its disguised address is kept, which the chain makes good for.
class Hideout {
 public:
  explicit Hideout(std::uint64_t first_key) : early_(gc::make<Table>()) {
    gc::root<void> late;
    on_fresh_thread([&] {
      Table* const table = gc::make<Table>();
      for (std::size_t i = 0; i < kSlots; ++i) {
        table->slot[i] = gc::make<Node>(first_key + i);
        table->slot[i]->left = gc::make<Node>(~(first_key + i));
      }
      late = table;
      late_ = hide(table);
    });
    chain_ = make_chain(scaled(kLongChain) / kThreads, late);
  }

  // Nodes that nothing but the result refers to afterwards.
  [[gnu::noinline]] Held take(bool from_late, Random& random) {
    Table* const table = from_late ? reveal<Table>(late_) : early_.get();
    Held held;
    for (std::size_t i = 0, at = random.below(kSlots); i < kHeld; at = (at + 1) % kSlots) {
      Node* const node = table->slot[at];
      if (node == nullptr) continue;
      table->slot[at] = nullptr;
      held.node[i] = node;
      held.key[i] = node->key;
      ++i;
    }
    return held;
  }
  [[gnu::noinline]] void put(bool into_late, const Held& held) {
    Table* const table = into_late ? reveal<Table>(late_) : early_.get();
    for (std::size_t i = 0, at = 0; i < kHeld; ++at) {
      if (table->slot[at] == nullptr) table->slot[at] = held.node[i++];
    }
  }

 private:
  gc::root<Chain> chain_;
  gc::root<Table> early_;
  std::uintptr_t late_ = 0;
};

// Garbage of the nodes' own size takes the place of what was wrongly freed.
[[gnu::noinline]] void overwrite(std::size_t nodes) {
  for (std::size_t i = 0; i < nodes; ++i) gc::make<Node>(i)->left = nullptr;
}

// Runs `carry` on what was taken, between taking it and putting it back. Rounds come in blocks of
// eight takings one way and eight the other, so that both tables are full and empty in turn.
template <class Carry>
void hide_and_seek(const char* name, std::size_t rounds, Carry&& carry) {
  const std::uint64_t seed = announce_seed(name);
  Findings findings;
  CollectingThread collector;
  on_threads(kThreads, [&](std::size_t t) {
    Random random(seed + t);
    Hideout hideout(t * 1'000'000);
    for (std::size_t round = 0; round < rounds; ++round) {
      const bool from_late = round / 8 % 2 == 0;
      Held held = hideout.take(from_late, random);
      carry(held, random);
      findings.expect(held.intact(), "a hidden node was reclaimed");
      if (findings.count() != 0) return;
      hideout.put(!from_late, held);
      if (random.one_in(4)) overwrite(random.below(200));
    }
  });
  collector.stop();
  CHECK_MESSAGE(findings.count() == 0, findings.first());
  CHECK(collector.cycles() > 0);
}

TEST_CASE("stress hiding: on the stack, moving on at once") {
  hide_and_seek("moving on", stress_rounds(200'000), [](Held&, Random&) {});
}

TEST_CASE("stress hiding: on the stack, over the end of a cycle, the thread allocating") {
  hide_and_seek("allocating", stress_rounds(2500),
                [](Held&, Random& random) { overwrite(random.below(20'000)); });
}

TEST_CASE("stress hiding: on the stack, over the end of a cycle, the thread spinning") {
  hide_and_seek("spinning", stress_rounds(1500),
                [](Held&, Random& random) { spin(random.below(3'000'000)); });
}

TEST_CASE("stress hiding: on the stack of a thread that sleeps, with and without a BlockingScope") {
  hide_and_seek("sleeping", stress_rounds(800), [](Held&, Random& random) {
    const auto microseconds = static_cast<useconds_t>(random.below(4000));
    if (random.one_in(2)) {
      const runtime::BlockingScope scope;
      usleep(microseconds);
    } else {
      usleep(microseconds);
    }
  });
}

TEST_CASE("stress hiding: in fresh objects, through their constructors") {
  struct Pair {
    Pair(Node* a, Node* b) : first(a), second(b) {}
    gc::ptr<Node> first, second;
  };
  hide_and_seek("fresh objects", stress_rounds(8000), [](Held& held, Random& random) {
    std::array<Pair*, kHeld / 2> pairs;
    for (std::size_t i = 0; i < pairs.size(); ++i) {
      pairs[i] = gc::make<Pair>(held.node[2 * i], held.node[2 * i + 1]);
    }
    held.node.fill(nullptr);
    clear_stack();
    overwrite(random.below(6000));
    for (std::size_t i = 0; i < pairs.size(); ++i) {
      held.node[2 * i] = pairs[i]->first;
      held.node[2 * i + 1] = pairs[i]->second;
    }
  });
}

TEST_CASE("stress hiding: in roots") {
  hide_and_seek("roots", stress_rounds(8000), [](Held& held, Random& random) {
    std::array<gc::root<Node>, kHeld> roots;
    for (std::size_t i = 0; i < kHeld; ++i) roots[i] = held.node[i];
    held.node.fill(nullptr);
    clear_stack();
    overwrite(random.below(6000));
    std::swap(roots[0], roots[1]);
    std::swap(held.key[0], held.key[1]);
    for (std::size_t i = 0; i < kHeld; ++i) held.node[i] = roots[i];
  });
}

TEST_CASE("stress hiding: in a gc::atomic, by store, exchange and compare-exchange") {
  struct Mailbox {
    std::array<gc::atomic<Node>, kHeld> letter;
  };
  hide_and_seek("atomics", stress_rounds(8000), [](Held& held, Random& random) {
    // Old by the time it is used again: one mailbox per thread.
    thread_local gc::root<Mailbox> mailbox;
    if (mailbox == nullptr || random.one_in(1000)) mailbox = gc::make<Mailbox>();
    for (std::size_t i = 0; i < kHeld; ++i) {
      Node* expected = nullptr;
      switch (i % 3) {
        case 0:
          mailbox->letter[i].store(held.node[i], std::memory_order_relaxed);
          break;
        case 1:
          mailbox->letter[i].exchange(held.node[i], std::memory_order_relaxed);
          break;
        default:
          mailbox->letter[i].compare_exchange_strong(expected, held.node[i],
                                                     std::memory_order_relaxed);
      }
    }
    held.node.fill(nullptr);
    clear_stack();
    overwrite(random.below(6000));
    for (std::size_t i = 0; i < kHeld; ++i) held.node[i] = mailbox->letter[i].exchange(nullptr);
  });
}

TEST_CASE("stress hiding: behind weak references, locked late") {
  hide_and_seek("weak references", stress_rounds(8000), [](Held& held, Random& random) {
    std::array<gc::weak<Node>, kHeld> weaks;
    for (std::size_t i = 0; i < kHeld; ++i) weaks[i] = held.node[i];
    overwrite(random.below(3000));
    for (std::size_t i = 0; i < kHeld; ++i) {
      Node* const locked = weaks[i].lock();
      if (locked != held.node[i]) held.key[i] = 0;  // shows as damage
    }
    overwrite(random.below(3000));
  });
}

TEST_CASE("stress hiding: handed from thread to thread, never at rest") {
  struct Ring {
    std::array<gc::atomic<Node>, kThreads> seat;
  };
  const std::uint64_t seed = announce_seed("handed on");
  gc::root<Ring> ring = gc::make<Ring>();
  const gc::root<Chain> chain = make_chain(scaled(kLongChain));
  for (std::size_t t = 0; t < kThreads; ++t) {
    on_fresh_thread([&] {
      Node* const node = gc::make<Node>(t);
      node->left = gc::make<Node>(~t);
      ring->seat[t].store(node);
    });
  }
  Findings findings;
  CollectingThread collector;
  on_threads(kThreads, [&](std::size_t t) {
    runtime::attach_thread();  // it may receive a reference before it stores one
    Random random(seed + t);
    Node* mine = nullptr;
    for (std::size_t i = 0; i < stress_rounds(2'000'000); ++i) {
      // Whatever sits on one seat changes places with what this thread holds, which may be nothing.
      mine = ring->seat[random.below(kThreads)].exchange(mine, std::memory_order_acq_rel);
      if (mine != nullptr &&
          (!mine->intact() || !mine->left->intact() || mine->left->key != ~mine->key)) {
        findings.expect(false, "a node was lost between two threads");
        return;
      }
      if (i % 64 == 0) overwrite(8);
    }
  });
  collector.stop();
  CHECK_MESSAGE(findings.count() == 0, findings.first());
}

}  // namespace
}  // namespace tricolor::tests
