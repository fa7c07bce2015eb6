// What the behavioural tests share: how much work to do, churn, clean stacks, checked nodes,
// censuses.
//
// Liveness is tested from both sides. What is alive must keep its contents: nodes carry a seal
// computed from their key, and churn() reuses whatever memory was wrongly freed. What was dropped
// must go: because stacks are scanned conservatively, objects are made and dropped on a thread of
// their own (on_fresh_thread), and a Census accepts one in twenty left over.
//
// Environment: TRICOLOR_SEED repeats a run, TRICOLOR_STRESS_SECONDS (2) scales the stress tests. The amount of
// work follows from these and the build alone, never from a clock.
#pragma once

#include <doctest/doctest.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <functional>
#include <mutex>
#include <random>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <tricolor/prelude.hpp>

namespace tricolor::tests {

inline constexpr bool kThreadSanitizer = TRICOLOR_TSAN != 0;
inline constexpr bool kAddressSanitizer = TRICOLOR_ASAN != 0;
inline constexpr bool kSanitized = kThreadSanitizer || kAddressSanitizer;

inline bool debug_setting(std::string_view setting) {
  const char* const value = std::getenv("GODEBUG");
  return value != nullptr && std::string_view(value).find(setting) != std::string_view::npos;
}

// How many times slower than a plain build this one runs.
inline std::size_t slowdown() {
  static const std::size_t factor = [] {
    std::size_t f = kThreadSanitizer ? 12 : kAddressSanitizer ? 4 : 1;
#if TRICOLOR_CHECKS
    f *= 4;
#endif
    if (debug_setting("gcstress=")) f *= 10;
    if (debug_setting("gccheckmark=1")) f *= 2;
    return f;
  }();
  return factor;
}

// A size or a number of rounds for this build; at least 1.
inline std::size_t scaled(std::size_t n) { return n / slowdown() > 0 ? n / slowdown() : 1; }

// The same for a stress test that was tuned to take two seconds.
inline std::size_t stress_rounds(std::size_t n) {
  static const double seconds = [] {
    const char* const value = std::getenv("TRICOLOR_STRESS_SECONDS");
    const double parsed = value == nullptr ? 2.0 : std::strtod(value, nullptr);
    return parsed > 0 ? parsed : 2.0;
  }();
  return scaled(static_cast<std::size_t>(static_cast<double>(n) * seconds / 2.0));
}

inline std::uint64_t mix(std::uint64_t x) noexcept {  // splitmix64's finaliser
  x += 0x9e3779b97f4a7c15;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

class Random {
 public:
  explicit Random(std::uint64_t seed) noexcept : state_(seed) {}
  std::uint64_t next() noexcept { return mix(state_++); }
  std::size_t below(std::size_t n) noexcept { return static_cast<std::size_t>(next() % n); }
  bool one_in(std::size_t n) noexcept { return below(n) == 0; }

 private:
  std::uint64_t state_;
};

// The seed of a test, printed so that a failure can be repeated.
inline std::uint64_t announce_seed(const char* test) {
  const char* const given = std::getenv("TRICOLOR_SEED");
  const std::uint64_t seed =
      given == nullptr ? std::random_device{}() : std::strtoull(given, nullptr, 0);
  std::fprintf(stderr, "%s: TRICOLOR_SEED=%llu\n", test, static_cast<unsigned long long>(seed));
  return seed;
}

// Overwrites what returned calls left below the caller's frame.
[[gnu::noinline]] inline void clear_stack() noexcept {
  volatile char below[128 * 1024];
  for (volatile char& c : below) c = 0;
}

// Keeps the processor busy without a call, an allocation or a store.
inline void spin(std::size_t steps) noexcept {
  for (std::size_t i = 0; i < steps; ++i) asm volatile("");
}

// Runs `f` on a thread that has ended when this returns: none of its references is left on any
// stack.
template <class F>
[[gnu::noinline]] void on_fresh_thread(F&& f) {
  std::exception_ptr thrown;
  std::thread([&] {
    try {
      f();
    } catch (...) {
      thrown = std::current_exception();
    }
  }).join();
  if (thrown) std::rethrow_exception(thrown);
}

// Collects what is unreachable and waits until its finalizers and destructors have run.
inline void collect_all() {
  clear_stack();
  runtime::collect();
  runtime::wait_for_finalizers();
}

// An address that is no reference.
inline std::uintptr_t hide(const void* address) noexcept {
  return ~reinterpret_cast<std::uintptr_t>(address);
}
template <class T>
T* reveal(std::uintptr_t hidden) noexcept {
  return reinterpret_cast<T*>(~hidden);
}

// A node whose contents can be checked.
struct Node {
  Node() noexcept : Node(0) {}
  explicit Node(std::uint64_t k) noexcept : key(k), seal(mix(k)) {}
  bool intact() const noexcept { return seal == mix(key); }

  std::uint64_t key;
  gc::ptr<Node> left, right;
  std::uint64_t seal;
};

// A leaf object of N bytes, every byte of which can be checked.
template <std::size_t N>
struct Blob {
  explicit Blob(std::uint64_t k) noexcept { fill(k); }
  void fill(std::uint64_t k) noexcept {
    for (std::size_t i = 0; i < N; ++i)
      bytes[i] = static_cast<unsigned char>(mix(k) >> (i % 8 * 8));
  }
  bool holds(std::uint64_t k) const noexcept {
    for (std::size_t i = 0; i < N; ++i) {
      if (bytes[i] != static_cast<unsigned char>(mix(k) >> (i % 8 * 8))) return false;
    }
    return true;
  }
  std::array<unsigned char, N> bytes;
};

// Allocates about `objects` short-lived objects of several sizes and kinds, written all over, so
// that the memory of objects that were wrongly freed is reused and dirtied.
[[gnu::noinline]] inline void churn(std::size_t objects = 20000) {
  Node* chain = nullptr;
  for (std::size_t i = 0; i < objects; ++i) {
    switch (i % 8) {
      case 0:
        gc::keep_alive(gc::make<Blob<16>>(i));
        break;
      case 1:
        gc::keep_alive(gc::make<Blob<64>>(i));
        break;
      case 2:
        gc::keep_alive(gc::make<Blob<200>>(i));
        break;
      case 3:
        gc::keep_alive(gc::make<std::array<std::uintptr_t, 6>>(
            std::array<std::uintptr_t, 6>{i, i, i, i, i, i}));
        break;
      default: {
        Node* const node = gc::make<Node>(i);
        node->left = i % 64 < 8 ? nullptr : chain;
        chain = node;
      }
    }
  }
  gc::keep_alive(chain);
}

// Several collections with churn in between: what is not kept alive by something is gone and
// overwritten.
inline void shake(int cycles = 3) {
  for (int i = 0; i < cycles; ++i) {
    runtime::collect();
    churn(scaled(20000));
  }
}

// Watches objects without keeping them alive.
class Census {
 public:
  template <class T>
  void add(T* object) {
    watched_.emplace_back(object);
  }
  std::size_t size() const noexcept { return watched_.size(); }
  std::size_t alive() const {
    std::size_t count = 0;
    on_fresh_thread([&] {
      for (const gc::weak<const void>& weak : watched_) count += weak.expired() ? 0 : 1;
    });
    return count;
  }
  // At least 95 in 100 have gone.
  bool reclaimed() const { return alive() <= watched_.size() / 20; }

 private:
  std::vector<gc::weak<const void>> watched_;
};

// Collects what the threads of a stress test find, because doctest's checks are too slow for their
// loops.
class Findings {
 public:
  void expect(bool holds, const char* what) noexcept {
    if (!holds) record(what);
  }
  std::uint64_t count() const noexcept { return count_.load(std::memory_order_relaxed); }
  std::string first() const {
    const char* const what = first_.load(std::memory_order_relaxed);
    return what == nullptr ? "" : what;
  }

 private:
  void record(const char* what) noexcept {
    const char* none = nullptr;
    first_.compare_exchange_strong(none, what, std::memory_order_relaxed);
    count_.fetch_add(1, std::memory_order_relaxed);
  }
  std::atomic<std::uint64_t> count_{0};
  std::atomic<const char*> first_{nullptr};  // a string literal
};

// A chain that takes marking a while to follow, so that mutators run in the middle of a cycle and
// not only between two. What hangs at its end is met last.
struct Chain {
  gc::ptr<Chain> next;
  gc::ptr<void> load;
};

inline gc::root<Chain> make_chain(std::size_t length, const gc::root<void>& load = {}) {
  gc::root<Chain> head;
  on_fresh_thread([&] {
    Chain* chain = gc::make<Chain>();
    chain->load = load.get();
    for (std::size_t i = 1; i < length; ++i) {
      Chain* const link = gc::make<Chain>();
      link->next = chain;
      chain = link;
    }
    head = chain;
  });
  return head;
}

inline constexpr std::size_t kLongChain = 300'000;

// A thread that collects back to back from construction to stop(), with a chain to keep marking
// busy.
class CollectingThread {
 public:
  explicit CollectingThread(std::size_t chain_length = 0)
      : chain_(make_chain(chain_length + 1)), thread_([this] {
          do {  // once at least, however late this thread gets to run
            runtime::collect();
            cycles_.fetch_add(1, std::memory_order_relaxed);
          } while (!stop_.load(std::memory_order_relaxed));
        }) {}
  ~CollectingThread() { stop(); }
  void stop() {
    stop_ = true;
    if (thread_.joinable()) thread_.join();
  }
  std::uint64_t cycles() const noexcept { return cycles_.load(std::memory_order_relaxed); }

 private:
  gc::root<Chain> chain_;
  std::atomic<bool> stop_{false};
  std::atomic<std::uint64_t> cycles_{0};
  std::thread thread_;
};

// Runs `body(index)` on `count` threads and waits for them.
template <class F>
void on_threads(std::size_t count, F&& body) {
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < count; ++i) threads.emplace_back([&body, i] { body(i); });
  for (std::thread& thread : threads) thread.join();
}

// Waits for a condition that must come; a minute later the test is told that it did not.
template <class F>
bool eventually(F&& condition) {
  for (int i = 0; i < 60000; ++i) {
    if (condition()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return false;
}

inline runtime::MemStats mem_stats() {
  runtime::MemStats stats;
  runtime::read_mem_stats(stats);
  return stats;
}

// A knob turned for one scope.
class GcPercent {
 public:
  explicit GcPercent(int percent) : previous_(debug::set_gc_percent(percent)) {}
  ~GcPercent() { debug::set_gc_percent(previous_); }
  GcPercent(const GcPercent&) = delete;
  GcPercent& operator=(const GcPercent&) = delete;

 private:
  int previous_;
};

class MaxHeap {
 public:
  explicit MaxHeap(std::size_t bytes) : previous_(debug::set_max_heap(bytes)) {}
  ~MaxHeap() { debug::set_max_heap(previous_); }
  MaxHeap(const MaxHeap&) = delete;
  MaxHeap& operator=(const MaxHeap&) = delete;

 private:
  std::size_t previous_;
};

}  // namespace tricolor::tests
