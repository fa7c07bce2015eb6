// The pre-mark hook: what survives a collection, what does not, and what the rotation costs whom.
#include "pool/rotation.h"

#include "tests/pool/pool_support.hpp"

namespace tricolor::tests {
namespace {

template <class Pool>
std::size_t count_gets(Pool& pool) {
  std::size_t count = 0;
  while (pool.get() != nullptr) ++count;
  return count;
}

TEST_CASE("rotation: 100 puts survive one collection") {
  CHECK(with_counted_cycles([](auto collect) -> std::function<void()> {
    sync::Pool<Item> pool;
    for (std::uint64_t i = 0; i < 100; ++i) pool.put(gc::make<Item>(i));
    collect();
    const std::size_t left = count_gets(pool);
    return [left] { CHECK(left == 100); };
  }));
}

TEST_CASE("rotation: 100 puts are all gone after the second collection") {
  sync::Pool<Item> pool;
  on_fresh_thread([&pool] {
    for (std::uint64_t i = 0; i < 100; ++i) pool.put(gc::make<Item>(i));
    runtime::collect();
    runtime::collect();
    CHECK(count_gets(pool) == 0);
  });
}

TEST_CASE("rotation: at least 99 of 100 dropped objects are reclaimed within 5 collections") {
  sync::Pool<Item> pool;
  Census census;
  on_fresh_thread([&] {
    for (std::uint64_t i = 0; i < 100; ++i) {
      Item* const item = gc::make<Item>(i);
      census.add(item);
      pool.put(item);
    }
  });
  for (int i = 0; i < 5; ++i) runtime::collect();
  CHECK(census.alive() <= 1);
}

TEST_CASE("rotation: an object that is used in every cycle stays") {
  CHECK(with_counted_cycles([](auto collect) -> std::function<void()> {
    sync::Pool<Item> pool;
    pool.put(gc::make<Item>(1));
    int found = 0;
    for (int i = 0; i < 5; ++i) {
      collect();
      Item* const item = pool.get();
      if (item != nullptr) ++found;
      pool.put(item);
    }
    return [found] { CHECK(found == 5); };
  }));
}

TEST_CASE("rotation: what another thread has put and left is found among the victims") {
  CHECK(with_counted_cycles([](auto collect) -> std::function<void()> {
    sync::Pool<Item> pool;
    // Its private slot, that of a thread that has gone, falls to the thread that has its slot next.
    std::thread([&pool] {
      for (std::uint64_t i = 0; i < 50; ++i) pool.put(gc::make<Item>(i));
    }).join();
    collect();
    const std::size_t left = count_gets(pool);
    return [left] { CHECK(left >= 49); };
  }));
}

TEST_CASE("rotation: the objects of a thread that does not come by go after two collections") {
  sync::Pool<Item> pool;
  Census census;
  std::atomic<bool> ready{false}, done{false};
  std::thread idle([&] {
    on_fresh_thread([] {});  // nothing of what follows is left in this frame
    [&]() __attribute__((noinline)) {
      for (std::uint64_t i = 0; i < 200; ++i) {
        Item* const item = gc::make<Item>(i);
        census.add(item);
        pool.put(item);
      }
    }
    ();
    clear_stack();
    ready = true;
    const runtime::BlockingScope blocked;
    while (!done) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  });
  while (!ready) std::this_thread::yield();
  for (int i = 0; i < 3; ++i) runtime::collect();
  CHECK(census.reclaimed());
  done = true;
  idle.join();
}

TEST_CASE("rotation: the objects of a pool that was destroyed go with the next collection") {
  const GcPercent off(-1);
  Census census;
  on_fresh_thread([&census] {
    sync::Pool<Item> pool;
    for (std::uint64_t i = 0; i < 1000; ++i) {
      Item* const item = gc::make<Item>(i);
      census.add(item);
      pool.put(item);
    }
  });
  runtime::collect();
  CHECK(census.reclaimed());
}

// Steps of one rotation while the pools below are in use.
std::uint64_t steps_with(std::size_t pools, std::size_t objects_each) {
  std::uint64_t steps = 0;
  on_fresh_thread([&] {
    std::vector<std::unique_ptr<sync::Pool<Item>>> used;
    for (std::size_t p = 0; p < pools; ++p) {
      used.push_back(std::make_unique<sync::Pool<Item>>());
      for (std::size_t i = 0; i < objects_each; ++i) used.back()->put(gc::make<Item>(i));
    }
    runtime::collect();
    steps = sync::detail::steps_of_last_rotation();
  });
  runtime::collect();
  runtime::collect();
  return steps;
}

TEST_CASE("rotation: its cost does not depend on the number of pooled objects") {
  const GcPercent off(-1);
  const std::uint64_t few = steps_with(3, 1);
  const std::uint64_t many = steps_with(3, scaled(100000));
  CHECK(few >= 3);
  CHECK(many <= few);
}

TEST_CASE("rotation: a pool that is not used costs it nothing") {
  const GcPercent off(-1);
  std::vector<std::unique_ptr<sync::Pool<Item>>> idle;
  for (int i = 0; i < 500; ++i) {
    idle.push_back(std::make_unique<sync::Pool<Item>>());
    idle.back()->put(gc::make<Item>(1));
  }
  for (int i = 0; i < 4; ++i) runtime::collect();
  CHECK(sync::detail::steps_of_last_rotation() < 100);
  // And it comes back when it is used again.
  idle[7]->put(gc::make<Item>(2));
  on_fresh_thread([] { runtime::collect(); });
  CHECK(sync::detail::steps_of_last_rotation() >= 1);
  CHECK(idle[7]->get() != nullptr);
}

TEST_CASE("rotation: threads get and put while the hooks run") {
  sync::Pool<Item> pool([] { return gc::make<Item>(1); });
  std::atomic<std::uint64_t> pairs{0};
  std::atomic<bool> stop{false}, waited{false};
  std::thread worker([&] {
    while (!stop) {
      pool.put(pool.get());
      pairs.fetch_add(1, std::memory_order_relaxed);
    }
  });
  // Registered after the pools' hook, so it runs when that has begun its work; holds the cycle up.
  const runtime::HookId hook = runtime::register_pre_mark_hook([&] {
    const std::uint64_t before = pairs.load();
    if (eventually([&] { return stop || pairs.load() > before + 1000; }) && !stop) waited = true;
  });
  runtime::collect();
  stop = true;
  worker.join();
  while (!runtime::unregister_pre_mark_hook(hook)) std::this_thread::yield();
  CHECK(waited);
}

TEST_CASE("rotation: a get that takes long holds up no collection") {
  std::atomic<bool> inside{false}, done{false};
  sync::Pool<Item> pool([&] {
    inside = true;
    while (!done) {
      runtime::BlockingScope blocked;
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return gc::make<Item>(1);
  });
  std::thread slow([&] { pool.put(pool.get()); });
  while (!inside) std::this_thread::yield();
  pool.put(gc::make<Item>(2));
  runtime::collect();
  runtime::collect();
  CHECK_FALSE(done);
  done = true;
  slow.join();
  CHECK(pool.stats().misses == 1);
}

}  // namespace
}  // namespace tricolor::tests
