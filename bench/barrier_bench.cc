// What storing a reference costs: gc::ptr against a plain pointer, the same loops. An operation is
// one store into a table of 4,096 slots.
//
//   idle/ORDER     no cycle runs
//   marking/ORDER  a cycle marks; only stretches that lie inside one are counted

#include <fmt/format.h>

#include <array>
#include <atomic>
#include <chrono>
#include <memory>
#include <random>
#include <thread>
#include <tricolor/tricolor.hpp>

#include "bench/micro/comparison.h"

namespace {

namespace gc = tricolor::gc;
namespace runtime = tricolor::runtime;

struct Node {
  gc::ptr<Node> next;
  std::uint64_t payload;
};

constexpr std::size_t kSlots = 4096;
constexpr std::size_t kTargets = 64;

using Order = std::array<std::uint32_t, kSlots>;

Order order_of(bool random) {
  Order order;
  for (std::uint32_t i = 0; i < kSlots; ++i) order[i] = i;
  if (random) std::shuffle(order.begin(), order.end(), std::mt19937_64(42));
  return order;
}

// The empty asm keeps the compiler from making a vector copy of the plain stores.
template <typename Slot>
__attribute__((noinline)) void store_all(Slot* slots, const Order& order, Node* const* targets) {
  for (std::size_t i = 0; i < kSlots; ++i) {
    slots[order[i]] = targets[i % kTargets];
    asm volatile("");
  }
}

struct Plain {
  static constexpr const char* kName = "plain";
  Plain() : slots_(new Node*[kSlots]()) {}
  Node** slots() { return slots_.get(); }

 private:
  std::unique_ptr<Node*[]> slots_;
};

struct Collected {
  static constexpr const char* kName = "gc::ptr";
  Collected() : slots_(gc::make_array<gc::ptr<Node>>(kSlots)) {}
  gc::ptr<Node>* slots() { return slots_; }

 private:
  gc::root<gc::ptr<Node>> slots_;
};

class Targets {
 public:
  Targets() : array_(gc::make_array<gc::ptr<Node>>(kTargets)) {
    for (std::size_t i = 0; i < kTargets; ++i) {
      Node* const node = gc::make<Node>();
      array_.get()[i] = node;
      raw_[i] = node;
    }
  }
  Node* const* raw() const { return raw_.data(); }

 private:
  gc::root<gc::ptr<Node>> array_;
  std::array<Node*, kTargets> raw_{};
};

template <typename Table>
void idle(benchmark::State& state, bool random) {
  const Order order = order_of(random);
  Table table;
  const Targets targets;
  runtime::collect();
  double stores = 0;
  for ([[maybe_unused]] auto round : state) {
    store_all(table.slots(), order, targets.raw());
    stores += kSlots;
  }
  state.counters["operations"] = stores;
}

// A long list in a shuffled order, which takes a collector long as one edge leads to the next, and
// a thread that has it marked over and over.
class Marking {
 public:
  Marking() {
    constexpr std::size_t kNodes = 1'000'000;
    {
      gc::ptr<Node>* const nodes = gc::make_array<gc::ptr<Node>>(kNodes);
      for (std::size_t i = 0; i < kNodes; ++i) nodes[i] = gc::make<Node>();
      std::shuffle(nodes, nodes + kNodes, std::mt19937_64(42));
      for (std::size_t i = 1; i < kNodes; ++i) nodes[i - 1]->next = nodes[i];
      list_ = nodes[0];
    }
    thread_ = std::thread([this] {
      while (!stop_.load(std::memory_order_relaxed)) runtime::collect();
    });
  }
  ~Marking() {
    stop_.store(true, std::memory_order_relaxed);
    thread_.join();
  }
  Marking(const Marking&) = delete;
  Marking& operator=(const Marking&) = delete;

  static bool on() { return gc::detail::load_word(gc::detail::tls.marking); }

 private:
  gc::root<Node> list_;
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

template <typename Table>
void marking(benchmark::State& state, bool random) {
  using Clock = std::chrono::steady_clock;
  const Order order = order_of(random);
  Table table;
  const Targets targets;
  const Marking collector;
  double stores = 0;
  for ([[maybe_unused]] auto round : state) {
    for (;;) {
      const bool before = Marking::on();
      const Clock::time_point start = Clock::now();
      store_all(table.slots(), order, targets.raw());
      const Clock::time_point end = Clock::now();
      if (!before || !Marking::on()) continue;
      state.SetIterationTime(std::chrono::duration<double>(end - start).count());
      break;
    }
    stores += kSlots;
  }
  state.counters["operations"] = stores;
}

template <typename Table>
void add_table() {
  for (const bool random : {false, true}) {
    const char* const order = random ? "random" : "sequential";
    bench::add_contender(fmt::format("idle/{}", order), Table::kName,
                         [random](benchmark::State& state) { idle<Table>(state, random); });
    bench::add_contender(
        fmt::format("marking/{}", order), Table::kName,
        [random](benchmark::State& state) { marking<Table>(state, random); },
        bench::Timing::kManual);
  }
}

}  // namespace

int main(int argc, char** argv) {
  runtime::attach_thread();
  add_table<Plain>();
  add_table<Collected>();
  return bench::compare_main(argc, argv);
}
