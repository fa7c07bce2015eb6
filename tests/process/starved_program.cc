// Allocates until memory is gone, catches, drops everything and goes on, many times: plain objects,
// objects with destructors, weak references, finalizers and cleanups. At the end each destructor,
// finalizer and cleanup has run once, and what was kept all the while is whole.
//
//     starved_program LIMIT ROUNDS   with at most LIMIT bytes of data (RLIMIT_DATA) more than at the start
#include <sys/resource.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <new>
#include <vector>

#include "tests/process/program_support.hpp"

using namespace tricolor::tests;

namespace {

constexpr std::uint32_t kMost = 1u << 20;  // of each kind, in all rounds together

struct Counted {
  std::unique_ptr<std::atomic<std::uint8_t>[]> runs { new std::atomic<std::uint8_t>[ kMost ]() };
  std::uint32_t made = 0;

  bool full() const noexcept { return made == kMost; }
  void ran(std::uint32_t number) noexcept { ++runs[number]; }
  std::uint32_t twice() const noexcept {
    return count([](unsigned n) { return n > 1; });
  }
  std::uint32_t never() const noexcept {
    return count([](unsigned n) { return n == 0; });
  }

 private:
  template <class Test>
  std::uint32_t count(Test test) const noexcept {
    std::uint32_t found = 0;
    for (std::uint32_t i = 0; i < made; ++i) found += test(runs[i].load()) ? 1 : 0;
    return found;
  }
};
Counted g_destructors, g_finalizers, g_cleanups;
std::atomic<std::uint32_t> g_damaged{0};

struct Destroyed {
  explicit Destroyed(std::uint32_t n) noexcept : number(n), seal(~std::uint64_t{n}) {}
  ~Destroyed() {
    if (seal != ~std::uint64_t{number}) ++g_damaged;
    g_destructors.ran(number);
  }
  std::uint32_t number;
  std::uint64_t seal;
  gc::ptr<Destroyed> next;
};

struct Batch {
  gc::root<Item> items;
  gc::root<Destroyed> destroyed;
  std::vector<gc::weak<Item>> weak;

  bool intact() const {
    for (const Item* i = items.get(); i != nullptr; i = i->next) {
      if (!i->intact()) return false;
    }
    for (const Destroyed* d = destroyed.get(); d != nullptr; d = d->next) {
      if (g_destructors.runs[d->number].load() != 0) return false;
    }
    // All of them are in the list.
    for (const gc::weak<Item>& w : weak) {
      const auto item = w.lock();
      if (item == nullptr || !item->intact()) return false;
    }
    return true;
  }
};

void add_item(Batch& batch, std::uint64_t key) {
  Item* const item = gc::make<Item>(key);
  item->next = batch.items.get();
  batch.items = item;
  if (key % 3 == 0) batch.weak.emplace_back(item);
  if (key % 5 == 0 && !g_finalizers.full()) {
    // One that refers to nothing: the others' finalizers do not have to wait for its own.
    Item* const watched = gc::make<Item>(key);
    item->other = watched;
    const std::uint32_t number = g_finalizers.made;
    gc::set_finalizer(watched, [number](Item* dead) {
      if (!dead->intact()) ++g_damaged;
      g_finalizers.ran(number);
    });
    ++g_finalizers.made;
  }
  if (key % 7 == 0 && !g_cleanups.full()) {
    gc::add_cleanup(
        item, [](std::uint32_t number) { g_cleanups.ran(number); }, g_cleanups.made);
    ++g_cleanups.made;
  }
}

void add_destroyed(Batch& batch) {
  if (g_destructors.full()) return;
  Destroyed* const object = gc::make<Destroyed>(g_destructors.made);
  ++g_destructors.made;
  object->next = batch.destroyed.get();
  batch.destroyed = object;
}

// True if memory was used up, and what there was by then was whole.
bool fill(std::uint64_t& made) {
  Batch batch;
  bool thrown = false;
  try {
    for (std::uint64_t i = 0; i < (64u << 20); ++i) {
      add_item(batch, made);
      ++made;
      if (i % 2 == 0) add_destroyed(batch);
    }
  } catch (const std::bad_alloc&) {
    thrown = true;
  }
  return thrown && batch.intact();
}

bool limit_data(std::size_t more) {
  std::FILE* const status = std::fopen("/proc/self/status", "r");
  if (status == nullptr) return false;
  char line[256];
  unsigned long kib = 0;
  while (std::fgets(line, sizeof line, status) != nullptr) {
    if (std::sscanf(line, "VmData: %lu", &kib) == 1) break;
  }
  std::fclose(status);
  rlimit limit{};
  getrlimit(RLIMIT_DATA, &limit);
  limit.rlim_cur = (kib << 10) + more;
  return kib != 0 && setrlimit(RLIMIT_DATA, &limit) == 0;
}

bool ran_once(const char* what, const Counted& counted) {
  // A stale word of a stack may keep what it points to, and the list behind it; the lists of all
  // rounds but the last have been overwritten often.
  std::printf("%s: %u asked for, %u never run, %u more than once\n", what, counted.made,
              counted.never(), counted.twice());
  return counted.twice() == 0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::size_t more = argument(argc, argv, 1, 64u << 20);
  const std::size_t rounds = argument(argc, argv, 2, 20);
  const gc::root<Item> survivor = make_list(1000);
  // The finalizer thread is there before memory is short.
  std::uint64_t made = 0;
  std::thread([&made] {
    Batch batch;
    for (; made < 100; ++made) {
      add_item(batch, made);
      add_destroyed(batch);
    }
  }).join();
  runtime::collect();
  runtime::wait_for_finalizers();
  if (!limit_data(more)) {
    std::puts("RLIMIT_DATA cannot be set");
    return 77;
  }
  bool good = true;
  for (std::size_t round = 0; round < rounds && good; ++round) {
    std::thread([&] { good = fill(made); }).join();
    if (!good) std::printf("round %zu: not used up, or damaged\n", round);
    good = good && check_list(survivor, 1000);
  }
  std::printf("%llu items\n", static_cast<unsigned long long>(made));
  for (int i = 0; i < 3; ++i) {
    runtime::collect();
    runtime::wait_for_finalizers();
  }
  good = ran_once("destructors", g_destructors) && good;
  good = ran_once("finalizers", g_finalizers) && good;
  good = ran_once("cleanups", g_cleanups) && good;
  const std::uint32_t never = g_destructors.never() + g_finalizers.never() + g_cleanups.never();
  const std::uint32_t all = g_destructors.made + g_finalizers.made + g_cleanups.made;
  return finish(good && g_damaged == 0 && never <= all / 20 && check_list(survivor, 1000));
}
