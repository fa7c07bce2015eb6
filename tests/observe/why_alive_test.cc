// debug::why_alive() and debug::heap_histogram(): what keeps an object, and what there is.

#include <algorithm>
#include <sstream>

#include "tests/subprocess.hpp"

#include <tricolor/containers.hpp>
#include <tricolor/debug.hpp>
#include <tricolor/prelude.hpp>
#include <tricolor/traced.hpp>

namespace tricolor::tests {

namespace {

// With a destructor, so that its type is known everywhere.
struct Link {
  long key = 0;
  gc::ptr<Link> next;
  ~Link() { key = -1; }
};

Link* chain(int length) {
  Link* first = nullptr;
  for (int i = 0; i < length; ++i) {
    Link* const link = gc::make<Link>();
    link->key = length - 1 - i;
    link->next = first;
    first = link;
  }
  return first;
}

// Off the stack, so that what the test does with the address says nothing.
struct Hidden {
  std::uintptr_t inverted = 0;
  void operator=(const Link* link) noexcept { inverted = ~reinterpret_cast<std::uintptr_t>(link); }
  const Link* get() const noexcept { return reinterpret_cast<const Link*>(~inverted); }
};

std::size_t count_of(const std::vector<debug::TypeCount>& histogram, std::string_view type) {
  for (const debug::TypeCount& entry : histogram) {
    if (entry.type.find(type) != std::string::npos) return entry.count;
  }
  return 0;
}

}  // namespace

TEST_CASE("why_alive: a gc::root and the way from it") {
  gc::root<Link> root;
  Hidden last;
  on_fresh_thread([&] {
    root = chain(3);
    last = root->next->next;
  });
  const debug::Path path = debug::why_alive(last.get());
  INFO(debug::describe(path));
  REQUIRE(path.size() == 3);
  CHECK(path.root.kind == debug::RootKind::root_slot);
  CHECK_FALSE(path.root.conservative);
  CHECK(path.steps[0].object == root.get());
  CHECK(path.steps[0].type.find("Link") != std::string::npos);
  CHECK(path.steps[0].offset == sizeof(long));
  CHECK(path.steps[2].object == last.get());
#if TRICOLOR_CHECKS && !TRICOLOR_TSAN  // which leaves places of references unrecorded
  CHECK(path.steps[0].precise);
#endif
  std::ostringstream text;
  text << path;
  CHECK(text.str().find("a gc::root") != std::string::npos);
}

TEST_CASE("why_alive: an interior address is its object's") {
  const gc::root<Link> root = gc::make<Link>();
  const debug::Path path = debug::why_alive(&root->next);
  REQUIRE(path);
  CHECK(path.steps.back().object == root.get());
}

TEST_CASE("why_alive: long runs are told by their number") {
  gc::root<Link> root;
  Hidden last;
  on_fresh_thread([&] {
    root = chain(1000);
    const Link* link = root;
    while (link->next) link = link->next;
    last = link;
  });
  const debug::Path path = debug::why_alive(last.get());
  INFO(debug::describe(path));
  REQUIRE(path);
  std::size_t objects = path.size();
  for (const debug::PathStep& step : path) objects += step.repeated;
  CHECK(objects == 1000);
  CHECK(path.size() < 10);
  CHECK(path.steps.back().object == last.get());
}

TEST_CASE("why_alive: nothing is said to lead to what is none, or dead") {
  int local = 0;
  CHECK(debug::why_alive(nullptr).empty());
  CHECK(debug::why_alive(&local).empty());
  Hidden dead;
  on_fresh_thread([&] { dead = gc::make<Link>(); });
  clear_stack();
  runtime::collect();
  runtime::wait_for_finalizers();
  const debug::Path path = debug::why_alive(dead.get());
  CHECK(path.empty());
  CHECK(debug::describe(path).find("is not alive") != std::string::npos);
}

TEST_CASE("why_alive: a word of another thread's stack, and its function") {
  std::atomic<bool> stop{false};
  Hidden held;
  std::atomic<bool> ready{false};
  std::thread keeper([&] {
    Link* volatile link = chain(2);
    held = link->next;
    ready = true;
    while (!stop) std::this_thread::yield();
    gc::keep_alive(link);
  });
  while (!ready) std::this_thread::yield();
  const debug::Path path = debug::why_alive(held.get());
  stop = true;
  keeper.join();
  INFO(debug::describe(path));
  REQUIRE(path);
  CHECK((path.root.kind == debug::RootKind::stack ||
         path.root.kind == debug::RootKind::cpu_register));
  CHECK(path.root.conservative);
  CHECK(path.root.thread_id != 0);
  CHECK(path.root.thread_id != static_cast<int>(getpid()));
}

TEST_CASE("why_alive: traced memory, and the value of a weak table") {
  {
    gc::traced::vector<Link*> kept;
    Hidden link;
    on_fresh_thread([&] {
      kept.push_back(chain(1));
      link = kept[0];
    });
    const debug::Path path = debug::why_alive(link.get());
    INFO(debug::describe(path));
    REQUIRE(path);
    CHECK(path.root.kind == debug::RootKind::traced_memory);
  }
  gc::root<gc::weak_map<Link, Link>> table = gc::make<gc::weak_map<Link, Link>>();
  gc::root<Link> key;
  Hidden value;
  on_fresh_thread([&] {
    key = chain(1);
    Link* const made = chain(1);
    value = made;
    table->insert_or_assign(key.get(), made);
  });
  const debug::Path path = debug::why_alive(value.get());
  INFO(debug::describe(path));
  REQUIRE(path.size() == 2);
  CHECK(path.steps[0].object == key.get());
  CHECK(path.steps[0].through_key);
}

TEST_CASE("why_alive: beside threads that allocate and collect") {
  gc::root<Link> root;
  Hidden last;
  on_fresh_thread([&] {
    root = chain(100);
    const Link* link = root;
    while (link->next) link = link->next;
    last = link;
  });
  std::atomic<bool> stop{false};
  std::vector<std::thread> threads;
  for (int i = 0; i < 3; ++i) {
    threads.emplace_back([&] {
      while (!stop) {
        gc::root<Link> kept = chain(200);
        if (kept->key % 7 == 0) runtime::collect();
      }
    });
  }
  std::size_t found = 0;
  for (int i = 0; i < 8; ++i) found += debug::why_alive(last.get()).empty() ? 0 : 1;
  stop = true;
  for (std::thread& thread : threads) thread.join();
  CHECK(found == 8);
}

TEST_CASE("heap_histogram: counts what is reachable, by type") {
  const std::size_t before = count_of(debug::heap_histogram(), "Link");
  gc::root<Link> root;
  on_fresh_thread([&] { root = chain(500); });
  const std::vector<debug::TypeCount> histogram = debug::heap_histogram();
  INFO(debug::describe(histogram));
  const std::size_t count = count_of(histogram, "Link");
  CHECK(count >= before + 500);
  CHECK(count <= before + 510);
  CHECK(std::is_sorted(histogram.begin(), histogram.end(),
                       [](const auto& a, const auto& b) { return a.bytes > b.bytes; }));
  runtime::MemStats stats;
  runtime::read_mem_stats(stats);
  std::size_t bytes = 0;
  for (const debug::TypeCount& entry : histogram) bytes += entry.bytes;
  CHECK(bytes <= stats.heap_alloc);
}

TEST_CASE("heap_histogram: what dies while it is held is reclaimed afterwards") {
  std::atomic<int> rounds{0};
  std::thread other([&] {
    for (; rounds < 20; ++rounds) static_cast<void>(debug::heap_histogram());
  });
  while (rounds < 20) {
    on_fresh_thread([] {
      Link* const link = chain(50);
      gc::destroy(link);
    });
  }
  other.join();
  clear_stack();
  runtime::collect();
  runtime::wait_for_finalizers();
  CHECK(count_of(debug::heap_histogram(), "Link") < 60);
}

}  // namespace tricolor::tests
