// Misuses a pool in the way named; the checking build reports it.
//
//     pool_misuse_program put-twice       an object is put twice, from two places
//     pool_misuse_program put-elsewhere   an object is put into two pools
//     pool_misuse_program put-after-drop  an address is put again after the pool let go of it: no misuse
//     pool_misuse_program destroyed       a pool is destroyed while a lease is out
//     pool_misuse_program stale           what the thread remembers of a pool dies: no misuse
//     pool_misuse_program written-...     an object is written while it lies in a pool
//     pool_misuse_program publish-pooled, put-published   a gc::snapshot and a pool have one object
//     pool_misuse_program publish-well    one after the other
//     pool_misuse_program none            keeps the rules
#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string_view>
#include <thread>
#include <vector>

#include <tricolor/prelude.hpp>
#include <tricolor/sync.hpp>

namespace {

struct Widget {
  std::uint64_t key = 0;
};

void announce(const char* what, const void* address) {
  std::printf("%s %p\n", what, address);
  std::fflush(stdout);
}

void announce_line(const char* what, unsigned line) {
  std::printf("%s :%u\n", what, line);
  std::fflush(stdout);
}

void put_twice(bool elsewhere) {
  sync::Pool<Widget> pool;
  sync::Pool<Widget> other;
  Widget* const widget = gc::make<Widget>();
  announce("object", widget);
  announce_line("first", __LINE__ + 1);
  pool.put(widget);
  announce_line("second", __LINE__ + 1);
  (elsewhere ? other : pool).put(widget);
}

// Addresses that were in a pool come back as new objects; to put those is right.
void put_after_drop() {
  sync::Pool<Widget> pool;
  for (int round = 0; round < 20; ++round) {
    std::thread([&pool] {
      for (int i = 0; i < 2000; ++i) pool.put(gc::make<Widget>());
    }).join();
    if (round % 4 == 3) pool.drain();
    runtime::collect();
  }
}

// Types that are poisoned in different ways: a leaf, references, a destructor.
struct Leaf {
  std::array<std::uint32_t, 8> words{};
};
struct Linked {
  gc::ptr<Widget> widget;
  std::uint64_t word = 0;
};
struct Owner {
  ~Owner() { word = 0; }
  std::uint64_t word = 0;
};

template <class T, class Write>
void write_after_put(Write write) {
  sync::Pool<T> pool;
  T* const object = gc::make<T>();
  announce("object", object);
  announce_line("put", __LINE__ + 1);
  pool.put(object);
  write(*object);
  static_cast<void>(pool.get());
}

void publish(bool put_first) {
  sync::Pool<Widget> pool;
  gc::snapshot<Widget> latest;
  Widget* const widget = gc::make<Widget>();
  announce("object", widget);
  if (put_first) {
    pool.put(widget);
    announce_line("second", __LINE__ + 1);
    latest.store(widget);
  } else {
    announce_line("first", __LINE__ + 1);
    latest.store(widget);
    announce_line("second", __LINE__ + 1);
    pool.put(widget);
  }
}

// What is right: replaced first, put then.
void publish_well() {
  sync::Pool<Linked> pool([] { return gc::make<Linked>(); });
  gc::snapshot<Linked> latest;
  for (std::uint64_t i = 0; i < 1000; ++i) {
    Linked* const next = pool.get();
    if (next->word != 0 && (next->word + 2 != i || next->widget == nullptr)) std::abort();
    next->word = i;
    next->widget = gc::make<Widget>();
    const Linked* const old = latest.exchange(next);
    if (i % 100 == 0) runtime::collect();
    if (old != nullptr) pool.put(const_cast<Linked*>(old));
  }
}

void destroy_with_lease() {
  std::optional<sync::Pool<Widget>> pool;
  pool.emplace([] { return gc::make<Widget>(); });
  announce("pool", &*pool);
  announce_line("lease", __LINE__ + 1);
  const auto lease = pool->lease();
  pool.reset();
}

[[gnu::noinline]] void fill(sync::Pool<Widget>& pool) {
  for (int i = 0; i < 100; ++i) pool.put(gc::make<Widget>());
}

void leave_stale_entry() {
  sync::Pool<Widget> pool;
  fill(pool);
  auto* const entries = sync::detail::thread_entries.data();
  announce("entries", entries);
  announce("end", entries + sync::detail::kEntries);
  for (int i = 0; i < 3; ++i) runtime::collect();
}

void use_well() {
  sync::Pool<Widget> pool([] { return gc::make<Widget>(); });
  for (int i = 0; i < 1000; ++i) {
    const auto a = pool.lease();
    auto b = pool.lease();
    if (i % 3 == 0) b.reset();
    if (i % 100 == 0) runtime::collect();
    if (i % 7 == 0) pool.put(pool.get());
    if (i % 200 == 0) pool.drain();
  }
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view mode = argc > 1 ? argv[1] : "none";
  if (mode == "put-twice") {
    put_twice(false);
  } else if (mode == "put-elsewhere") {
    put_twice(true);
  } else if (mode == "put-after-drop") {
    put_after_drop();
  } else if (mode == "written-leaf") {
    write_after_put<Leaf>([](Leaf& leaf) { leaf.words[3] = 1; });
  } else if (mode == "written-linked") {
    write_after_put<Linked>([](Linked& linked) { linked.word = 1; });
  } else if (mode == "written-first") {
    write_after_put<Linked>([](Linked& linked) { linked.widget = nullptr; });
  } else if (mode == "written-owner") {
    write_after_put<Owner>([](Owner& owner) { owner.word = 1; });
  } else if (mode == "publish-pooled") {
    publish(true);
  } else if (mode == "put-published") {
    publish(false);
  } else if (mode == "publish-well") {
    publish_well();
  } else if (mode == "destroyed") {
    destroy_with_lease();
  } else if (mode == "stale") {
    leave_stale_entry();
  } else {
    use_well();
  }
  std::puts("ok");
}
