// What an object costs that is used for a while and then given up: sync::Pool, a free list behind a
// mutex, a collected object each time, malloc and free. One contender a process (contender.h);
// go/pool.go is the same for Go's sync.Pool. Figures of the cases that a contender has no part in
// are left out.
//
//   pair        put and get in turns, on 1 thread and on all processors; per pair and thread
//   overflow    100 puts, then 100 gets; per object
//   starvation  67 puts, then 100 gets of which 33 find nothing, on all processors; per object
//   handover    one thread makes and puts, the others get; per object
//   hook        100,000 objects in a pool: what its part of a collection takes. 5,000 pools the same
//   expensive   an object takes 1 ms to make; 100 in hand at a time, 32 KiB of garbage between them
//   hit         1 KiB objects of which so many percent are put back; per object
//   pools       a pair in each of 5,000 pools in turns
//   request     a pool made, 2 gets, 2 puts, and its end; on 1 thread and on all processors

#include <array>
#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

#include "bench/pool/contender.h"
#include "bench/process.h"

namespace {

namespace gc = tricolor::gc;
namespace runtime = tricolor::runtime;
using bench::Making;
using Contender = bench::BENCH_CONTENDER;

constexpr std::size_t kSmall = 64, kLarge = 1024;

bool g_quick = false;
unsigned g_threads = 1;

std::size_t scaled(std::size_t n) { return g_quick ? n / 20 : n; }

// The compiler does not know what happens to the object: it is in use.
template <class T>
void use(T* object) {
  asm volatile("" : : "r"(object) : "memory");
}

// Seconds that f(thread) takes on a thread, the mean over `threads` that begin together.
template <class F>
double time_on(unsigned threads, F f) {
  std::atomic<unsigned> ready{0};
  std::vector<double> seconds(threads);
  const auto body = [&](unsigned t) {
    runtime::attach_thread();
    ready.fetch_add(1);
    while (ready.load() < threads) std::this_thread::yield();
    const double start = bench::now_s();
    f(t);
    seconds[t] = bench::now_s() - start;
  };
  std::vector<std::thread> others;
  for (unsigned t = 1; t < threads; ++t) others.emplace_back(body, t);
  body(0);
  const runtime::BlockingScope blocked;
  double sum = 0;
  for (std::thread& thread : others) thread.join();
  for (const double s : seconds) sum += s;
  return sum / threads;
}

// Nanoseconds an operation takes: the median of some runs of f(thread), which does `operations`.
template <class F>
double ns_each(unsigned threads, std::size_t operations, F f) {
  std::vector<double> times;
  for (int i = 0; i < (g_quick ? 3 : 5); ++i) times.push_back(time_on(threads, f));
  return bench::median(times) * 1e9 / static_cast<double>(operations);
}

// A function of its own, so that the loop shares its registers with nothing.
__attribute__((noinline)) void turn(Contender::Source<kSmall>& source, std::size_t pairs) {
  for (std::size_t i = 0; i < pairs; ++i) {
    auto* const object = source.get();
    use(object);
    source.put(object);
  }
}

double pair(unsigned threads) {
  Contender::Source<kSmall> source;
  const std::size_t pairs = scaled(10'000'000);
  return ns_each(threads, pairs, [&](unsigned) { turn(source, pairs); });
}

double overflow() {
  Contender::Source<kSmall> source;
  std::array<bench::Object<kSmall>*, 100> held{};
  const std::size_t rounds = scaled(40'000);
  return ns_each(1, rounds * held.size(), [&](unsigned) {
    for (std::size_t r = 0; r < rounds; ++r) {
      for (auto*& object : held) object = source.get();
      for (auto* const object : held) source.put(object);
    }
  });
}

double starvation() {
  Contender::Source<kSmall, Making::kNever> source;
  const std::size_t rounds = scaled(20'000);
  return ns_each(g_threads, rounds * 100, [&](unsigned) {
    std::array<bench::Object<kSmall>*, 67> held{};
    for (std::size_t r = 0; r < rounds; ++r) {
      for (auto*& object : held) {
        if (object == nullptr) object = Contender::make<kSmall>();
        source.put(std::exchange(object, nullptr));
      }
      for (std::size_t i = 0, kept = 0; i < 100; ++i) {
        auto* const object = source.get();
        if (object == nullptr) continue;
        if (kept < held.size()) {
          held[kept++] = object;
        } else if (!Contender::kCollected) {
          delete object;
        }
      }
    }
    if (Contender::kCollected) return;
    for (auto* const object : held) delete object;
  });
}

double handover() {
  Contender::Source<kSmall, Making::kNever> source;
  const std::size_t objects = scaled(400'000);
  std::atomic<std::size_t> taken{0};
  const auto run = [&](unsigned t) {
    if (t == 0) {
      for (std::size_t i = 0; i < objects; ++i) {
        while (i > taken.load(std::memory_order_relaxed) + 1000) std::this_thread::yield();
        source.put(Contender::make<kSmall>());
      }
      // The last one may lie in the slot that is this thread's alone.
      while (taken.load(std::memory_order_relaxed) + 1 < objects) std::this_thread::yield();
      taken = objects;
      return;
    }
    while (taken.load(std::memory_order_relaxed) + 1 < objects) {
      auto* const object = source.get();
      if (object == nullptr) {
        std::this_thread::yield();
        continue;
      }
      if (!Contender::kCollected) delete object;
      taken.fetch_add(1, std::memory_order_relaxed);
    }
  };
  std::vector<double> times;
  for (int i = 0; i < (g_quick ? 3 : 5); ++i) {
    taken = 0;
    // No collection: it would drop what waits to be taken.
    const int percent = tricolor::debug::set_gc_percent(-1);
    times.push_back(time_on(std::max(g_threads, 2u), run));
    tricolor::debug::set_gc_percent(percent);
    runtime::collect();
  }
  return bench::median(times) * 1e9 / static_cast<double>(objects);
}

double hits(unsigned percent) {
  Contender::Source<kLarge> source;
  const std::size_t objects = scaled(400'000);
  return ns_each(1, objects, [&](unsigned) {
    unsigned sum = 0;
    for (std::size_t i = 0; i < objects; ++i) {
      auto* const object = source.get();
      use(object);
      sum += percent;
      if (sum >= 100) {
        sum -= 100;
        source.put(object);
      } else if (!Contender::kCollected) {
        delete object;
      }
    }
  });
}

using SmallPool = Contender::Source<kSmall>;

double pools() {
  std::vector<std::unique_ptr<SmallPool>> all(5000);
  for (auto& pool : all) pool = std::make_unique<SmallPool>();
  const std::size_t rounds = scaled(400);
  return ns_each(1, rounds * all.size(), [&](unsigned) {
    for (std::size_t r = 0; r < rounds; ++r) {
      for (const auto& pool : all) {
        auto* const object = pool->get();
        use(object);
        pool->put(object);
      }
    }
  });
}

double requests(unsigned threads) {
  const std::size_t count = scaled(200'000);
  return ns_each(threads, count, [&](unsigned) {
    for (std::size_t i = 0; i < count; ++i) {
      SmallPool pool;
      auto* const first = pool.get();
      auto* const second = pool.get();
      pool.put(first);
      pool.put(second);
    }
  });
}

#ifdef BENCH_ROTATES

// Times what lies between two hooks, the pools' one.
class HookTime {
 public:
  HookTime() {
    runtime::register_pre_mark_hook([this] { began_ = bench::now_s(); });
    bench::Pooled::Source<kSmall> first;  // its first use registers the pools' hook
    first.put(first.get());
    runtime::register_pre_mark_hook([this] { us_.push_back((bench::now_s() - began_) * 1e6); });
  }
  // Of the collections since the last call.
  std::vector<double> take() {
    std::sort(us_.begin(), us_.end());
    return std::exchange(us_, {});
  }

 private:
  double began_ = 0;
  std::vector<double> us_;  // written by the collector's thread, read between collections
};

void measure_hook(HookTime& hook, bench::Figures& figures) {
  {
    bench::Pooled::Source<kSmall> source;
    hook.take();
    for (int i = 0; i < (g_quick ? 10 : 100); ++i) {
      for (int k = 0; k < 100'000; ++k) source.put(bench::Pooled::make<kSmall>());
      runtime::collect();
    }
    const std::vector<double> us = hook.take();
    figures.add("hook p50 us", bench::percentile(us, 0.5));
    figures.add("hook p95 us", bench::percentile(us, 0.95));
  }
  std::vector<std::unique_ptr<SmallPool>> all(5000);
  for (auto& pool : all) pool = std::make_unique<SmallPool>();
  hook.take();
  for (int i = 0; i < (g_quick ? 5 : 50); ++i) {
    for (auto& pool : all) pool->put(pool->get());
    runtime::collect();
  }
  figures.add("hook 5000 pools p50 us", bench::percentile(hook.take(), 0.5));
}

void measure_expensive(bench::Figures& figures) {
  bench::Pooled::Source<kSmall, Making::kSlow> source;
  gc::root<std::byte> ballast(gc::make_array<std::byte>(std::size_t{8} << 20));
  const std::size_t rounds = scaled(500);
  runtime::MemStats before, after;
  runtime::read_mem_stats(before);
  const double seconds = time_on(g_threads, [&](unsigned) {
    std::array<bench::Object<kSmall>*, 100> held{};
    for (std::size_t r = 0; r < rounds; ++r) {
      for (auto*& object : held) {
        object = source.get();
        use(gc::make_array<std::byte>(32 << 10));
      }
      for (auto*& object : held) source.put(std::exchange(object, nullptr));
    }
  });
  runtime::read_mem_stats(after);
  const auto all = static_cast<double>(rounds * g_threads);
  figures.add("expensive us", seconds * 1e6 / static_cast<double>(rounds));
  figures.add("expensive collections", static_cast<double>(after.num_gc - before.num_gc) / all);
  figures.add("expensive misses", static_cast<double>(source.misses()) / all);
}

#endif

}  // namespace

int main(int argc, char** argv) {
  const bench::Arguments arguments(argc, argv);
  g_quick = arguments.has("--quick");
  g_threads = std::max(1u, std::thread::hardware_concurrency());
  bench::Figures figures;
  if (const std::string only = arguments.text("--only", ""); only == "pair") {
    figures.add("pair ns", pair(1));
    figures.print();
    return 0;
  }
#ifdef BENCH_ROTATES
  auto& hook = *new HookTime;  // before any pool is used; a collection may begin at any time
#endif
  figures.add("pair ns", pair(1));
  figures.add("pair all ns", pair(g_threads));
  figures.add("overflow ns", overflow());
  if constexpr (Contender::kReuses) {
    figures.add("starvation ns", starvation());
    figures.add("handover ns", handover());
    figures.add("pools ns", pools());
    figures.add("request ns", requests(1));
    figures.add("request all ns", requests(g_threads));
  }
  for (const unsigned percent : {100u, 90u, 75u, 50u, 25u, 10u})
    figures.add(fmt::format("hit {} ns", percent), hits(percent));
#ifdef BENCH_ROTATES
  measure_hook(hook, figures);
  measure_expensive(figures);
#endif
  figures.print();
}
