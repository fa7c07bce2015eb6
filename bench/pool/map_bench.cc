// What a map costs that threads share: sync::Map, or (BENCH_LOCKED) an unordered_map behind a
// shared_mutex. map.go is the same for Go's sync.Map. Nanoseconds an operation and thread, the
// median of 5 runs, on 1, 2 and 4 threads:
//
//   read      99 loads and a store, 10,000 keys
//   half      loads and stores in turns, 10,000 keys
//   disjoint  each thread stores and deletes keys of its own
//   hot       one key: 9 loads and a store

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <mutex>
#include <shared_mutex>
#include <thread>
#include <unordered_map>
#include <vector>

#include "bench/process.h"

#include <tricolor/sync.hpp>

namespace {

namespace gc = tricolor::gc;

struct Value {
  std::uint64_t n = 0;
};

#ifdef BENCH_LOCKED
class Map {
 public:
  Value* load(std::uint64_t key) {
    const std::shared_lock guard(lock_);
    const auto at = map_.find(key);
    return at == map_.end() ? nullptr : at->second.get();
  }
  void store(std::uint64_t key, Value* value) {
    const std::unique_lock guard(lock_);
    map_[key] = value;
  }
  void erase(std::uint64_t key) {
    const std::unique_lock guard(lock_);
    map_.erase(key);
  }

 private:
  std::shared_mutex lock_;
  std::unordered_map<std::uint64_t, gc::root<Value>> map_;
};
#else
class Map {
 public:
  Value* load(std::uint64_t key) { return map_.load(key).first; }
  void store(std::uint64_t key, Value* value) { map_.store(key, value); }
  void erase(std::uint64_t key) { map_.erase(key); }

 private:
  tricolor::sync::Map<std::uint64_t, Value> map_;
};
#endif

constexpr std::uint64_t kKeys = 10'000;
std::size_t g_operations = 2'000'000;

// Nanoseconds a call of operation(map, thread, number), on so many threads.
template <class F>
double measure(unsigned threads, F operation) {
  std::vector<double> runs;
  for (int run = 0; run < 5; ++run) {
    Map map;
    for (std::uint64_t key = 0; key < kKeys; ++key) map.store(key, gc::make<Value>());
    std::atomic<unsigned> ready{0};
    std::vector<double> seconds(threads);
    std::vector<std::thread> all;
    for (unsigned t = 0; t < threads; ++t) {
      all.emplace_back([&, t] {
        tricolor::runtime::attach_thread();
        Value* const value = gc::make<Value>();
        ready.fetch_add(1);
        while (ready.load() < threads) std::this_thread::yield();
        const double start = bench::now_s();
        for (std::size_t n = 0; n < g_operations; ++n) operation(map, value, t, n);
        seconds[t] = bench::now_s() - start;
      });
    }
    for (std::thread& thread : all) thread.join();
    double sum = 0;
    for (const double s : seconds) sum += s;
    runs.push_back(sum / threads * 1e9 / static_cast<double>(g_operations));
  }
  std::sort(runs.begin(), runs.end());
  return runs[2];
}

std::uint64_t key_of(unsigned thread, std::size_t n) { return (n * 7919 + thread * 1013) % kKeys; }

void use(Value* value) { asm volatile("" : : "r"(value) : "memory"); }

}  // namespace

int main(int argc, char** argv) {
  const bench::Arguments arguments(argc, argv);
  if (arguments.has("--quick")) g_operations /= 20;
  bench::Figures figures;
  for (const unsigned threads : {1u, 2u, 4u}) {
    const std::string on = " " + std::to_string(threads) + " ns";
    figures.add("read" + on, measure(threads, [](Map& map, Value* v, unsigned t, std::size_t n) {
                  n % 100 == 0 ? map.store(key_of(t, n), v) : use(map.load(key_of(t, n)));
                }));
    figures.add("half" + on, measure(threads, [](Map& map, Value* v, unsigned t, std::size_t n) {
                  n % 2 == 0 ? map.store(key_of(t, n), v) : use(map.load(key_of(t, n)));
                }));
    figures.add("disjoint" + on,
                measure(threads, [](Map& map, Value* v, unsigned t, std::size_t n) {
                  const std::uint64_t key = kKeys + t * 1'000'000 + n / 2 % 1000;
                  n % 2 == 0 ? map.store(key, v) : map.erase(key);
                }));
    figures.add("hot" + on, measure(threads, [](Map& map, Value* v, unsigned, std::size_t n) {
                  n % 10 == 0 ? map.store(7, v) : use(map.load(7));
                }));
  }
  figures.print();
}
