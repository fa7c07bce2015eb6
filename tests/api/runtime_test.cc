// runtime::collect, pre-mark hooks, attaching threads, BlockingScope.
#include <limits.h>
#include <pthread.h>
#include "tests/support.hpp"

#include <array>
#include <barrier>

namespace tricolor::tests {
namespace {

// What is dropped is of another size than what is used, and nobody collects before all have
// dropped: an address on a stack keeps the cell before its own as well ([stacks.boundary]).
TEST_CASE("collect: from many threads at once") {
  using Dropped = std::array<std::uint64_t, 50>;
  static_assert(sizeof(Dropped) > 2 * sizeof(Node));
  Findings findings;
  std::barrier all_have_dropped(6);
  on_threads(6, [&](std::size_t t) {
    gc::root<Node> node = gc::make<Node>(t);
    gc::weak<Dropped> dropped;
    on_fresh_thread([&] { dropped = gc::make<Dropped>(); });
    all_have_dropped.arrive_and_wait();
    for (std::size_t i = 0; i < scaled(20); ++i) {
      runtime::collect();
      findings.expect(node->intact() && node->key == t, "a root was lost");
    }
    findings.expect(dropped.expired(), "a dropped object outlived a collection");
  });
  CHECK_MESSAGE(findings.count() == 0, findings.first());
}

// [collector.full]
TEST_CASE(
    "collect: finds everything that was unreachable at the call, though a cycle was running") {
  CollectingThread collector;
  for (std::size_t i = 0; i < scaled(60); ++i) {
    Census census;
    on_fresh_thread([&] {
      for (int k = 0; k < 100; ++k) census.add(gc::make<Node>(1));
    });
    clear_stack();
    runtime::collect();
    CHECK(census.reclaimed());
  }
}

TEST_CASE("collect: before anything was allocated on this thread") {
  std::thread([] { runtime::collect(); }).join();
  std::thread([] { CHECK(mem_stats().num_gc > 0); }).join();
}

TEST_CASE("hook: called once at the start of every cycle until it is unregistered") {
  std::atomic<unsigned> calls{0};
  runtime::collect();
  const runtime::HookId id = runtime::register_pre_mark_hook([&] { ++calls; });
  const auto before = mem_stats().num_gc;
  for (int i = 0; i < 10; ++i) runtime::collect();
  const unsigned called = calls;
  CHECK(called >= 10);
  CHECK(called >= mem_stats().num_gc - before);
  CHECK(runtime::unregister_pre_mark_hook(id));
  const unsigned at_end = calls;
  runtime::collect();
  runtime::collect();
  CHECK(calls == at_end);
  CHECK(!runtime::unregister_pre_mark_hook(id));
}

TEST_CASE("hook: several, unregistered in any order") {
  std::array<std::atomic<int>, 5> calls{};
  std::array<runtime::HookId, 5> ids{};
  for (std::size_t i = 0; i < 5; ++i)
    ids[i] = runtime::register_pre_mark_hook([&calls, i] { ++calls[i]; });
  runtime::collect();
  for (const auto& count : calls) CHECK(count >= 1);
  CHECK(runtime::unregister(ids[2]));
  CHECK(runtime::unregister(ids[0]));
  std::array<int, 5> before{};
  for (std::size_t i = 0; i < 5; ++i) before[i] = calls[i];
  runtime::collect();
  CHECK(calls[0] == before[0]);
  CHECK(calls[2] == before[2]);
  for (std::size_t i : {1u, 3u, 4u}) {
    CHECK(calls[i] > before[i]);
    CHECK(runtime::unregister(ids[i]));
  }
}

TEST_CASE("hook: comes before marking: what it drops is reclaimed in that very cycle") {
  gc::root<Node> victim;
  Census census;
  on_fresh_thread([&] {
    victim = gc::make<Node>(1);
    census.add(victim.get());
  });
  runtime::collect();
  CHECK(census.alive() == 1);
  const runtime::HookId id = runtime::register_pre_mark_hook([&] { victim = nullptr; });
  clear_stack();
  runtime::collect();
  CHECK(census.alive() == 0);
  CHECK(runtime::unregister_pre_mark_hook(id));
}

TEST_CASE("hook: may allocate and publish") {
  gc::root<Node> list;
  std::uint64_t length = 0;
  const runtime::HookId id = runtime::register_pre_mark_hook([&] {
    Node* const node = gc::make<Node>(length++);
    node->left = list.get();
    list = node;
    churn(100);
  });
  for (int i = 0; i < 10; ++i) runtime::collect();
  CHECK(runtime::unregister_pre_mark_hook(id));
  runtime::collect();
  std::uint64_t walked = 0;
  for (const Node* node = list; node != nullptr; node = node->left) {
    CHECK(node->intact());
    ++walked;
  }
  CHECK(walked == length);
  CHECK(walked >= 10);
}

TEST_CASE("hook: releases what it captured when it is unregistered") {
  auto token = std::make_shared<int>(1);
  const runtime::HookId id = runtime::register_pre_mark_hook([token] {});
  runtime::collect();
  CHECK(token.use_count() == 2);
  while (!runtime::unregister_pre_mark_hook(id)) std::this_thread::yield();
  CHECK(token.use_count() == 1);
}

// ThreadSanitizer keeps signals from a thread that waits in a system call it does not know.
TEST_CASE("attach_thread: a thread that only receives references is scanned once it is attached" *
          doctest::skip(kThreadSanitizer)) {
  struct Box {
    gc::atomic<Node> slot;
  };
  gc::root<Box> box = gc::make<Box>();
  Census census;
  on_fresh_thread([&] {
    box->slot.store(gc::make<Node>(31));
    census.add(box->slot.load());
  });
  std::barrier<> sync(2);
  bool intact = false;
  std::thread receiver([&] {
    runtime::attach_thread();
    runtime::attach_thread();
    Node* const node = box->slot.load();
    sync.arrive_and_wait();
    sync.arrive_and_wait();
    intact = node->intact() && node->key == 31;
    gc::keep_alive(node);
  });
  sync.arrive_and_wait();
  on_fresh_thread([&] { box->slot.store(nullptr); });
  shake();
  CHECK(census.alive() == 1);
  sync.arrive_and_wait();
  receiver.join();
  CHECK(intact);
  collect_all();
  CHECK(census.alive() == 0);
}

TEST_CASE(
    "attaching: a thread's first store attaches it, also one of null that takes a reference in "
    "exchange" *
    doctest::skip(kThreadSanitizer)) {
  struct Box {
    gc::atomic<Node> slot;
  };
  gc::root<Box> box;
  Census census;
  on_fresh_thread([&] {
    box = gc::make<Box>();
    box->slot.store(gc::make<Node>(32));
    census.add(box->slot.load());
  });
  std::barrier<> sync(2);
  bool intact = false;
  std::thread receiver([&] {
    Node* const node = box->slot.exchange(nullptr);
    sync.arrive_and_wait();
    sync.arrive_and_wait();
    intact = node->intact() && node->key == 32;
    gc::keep_alive(node);
  });
  sync.arrive_and_wait();
  shake();
  CHECK(census.alive() == 1);
  sync.arrive_and_wait();
  receiver.join();
  CHECK(intact);
}

// [thread.gone] The last of the four rounds of destructors attaches the thread after the library's own destructor.
// ThreadSanitizer has taken leave of the thread by then.
TEST_CASE("attaching: a thread that a key's destructor attached last of all is not waited for" *
          doctest::skip(kThreadSanitizer)) {
  static pthread_key_t key;
  static std::atomic<int> rounds;
  rounds = 0;
  CHECK(gc::make<Node>(1)->intact());  // the library's key comes first
  REQUIRE(pthread_key_create(&key, [](void* value) {
            if (++rounds == PTHREAD_DESTRUCTOR_ITERATIONS) {
              gc::keep_alive(gc::make<Node>(2));
            } else {
              pthread_setspecific(key, value);
            }
          }) == 0);
  on_fresh_thread([] {
    gc::keep_alive(gc::make<Node>(3));
    pthread_setspecific(key, &rounds);
  });
  CHECK(rounds == PTHREAD_DESTRUCTOR_ITERATIONS);
  shake();
  CHECK(gc::make<Node>(4)->intact());
  pthread_key_delete(key);
}

TEST_CASE("ThreadScope: nests, and leaves an attached thread attached") {
  gc::root<Node> root = gc::make<Node>(1);
  Findings findings;
  std::thread([&] {
    {
      const runtime::ThreadScope outer;
      {
        const runtime::ThreadScope inner;
        findings.expect(gc::make<Node>(2)->intact(), "allocation in a scope");
      }
      Node* const node = gc::make<Node>(3);
      runtime::collect();
      churn(1000);
      findings.expect(node->intact(), "the inner scope detached the thread");
    }
    // Detached, and attached again by use.
    Node* const node = gc::make<Node>(4);
    { const runtime::ThreadScope again; }
    runtime::collect();
    churn(1000);
    findings.expect(node->intact(), "a scope detached a thread that it had not attached");
  }).join();
  CHECK_MESSAGE(findings.count() == 0, findings.first());
  CHECK(root->intact());
}

TEST_CASE("BlockingScope: the references of a blocked thread stay roots; scopes nest") {
  std::barrier<> sync(2);
  Findings findings;
  std::thread blocked([&] {
    Node* const node = gc::make<Node>(5);
    node->left = gc::make<Node>(6);
    {
      const runtime::BlockingScope outer;
      { const runtime::BlockingScope inner; }
      sync.arrive_and_wait();
      sync.arrive_and_wait();
    }
    findings.expect(node->intact() && node->left->intact() && node->left->key == 6,
                    "lost while blocked");
    gc::keep_alive(node);
  });
  sync.arrive_and_wait();
  shake();
  sync.arrive_and_wait();
  blocked.join();
  CHECK_MESSAGE(findings.count() == 0, findings.first());
}

TEST_CASE("BlockingScope: on a thread that was never attached, and around nothing") {
  std::thread([] {
    const runtime::BlockingScope scope;
    std::this_thread::yield();
  }).join();
  for (int i = 0; i < 1000; ++i) {
    const runtime::BlockingScope scope;
  }
  runtime::collect();
}

TEST_CASE("BlockingScope: left by an exception") {
  Node* const node = gc::make<Node>(8);
  for (int i = 0; i < 100; ++i) {
    try {
      const runtime::BlockingScope scope;
      throw i;
    } catch (int thrown) {
      CHECK(thrown == i);
    }
    if (i % 10 == 0) runtime::collect();
  }
  CHECK(node->intact());
}

TEST_CASE("wait_for_finalizers: with nothing queued returns") {
  collect_all();
  runtime::wait_for_finalizers();
  runtime::wait_for_finalizers();
}

}  // namespace
}  // namespace tricolor::tests
