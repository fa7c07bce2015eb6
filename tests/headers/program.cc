// Instantiates what the public headers offer; compiled without exceptions too.
//
//     program          uses it, and ends with 0
//     program throws   asks a collected container for what it has not
#include <tricolor/containers.hpp>
#include <tricolor/debug.hpp>
#include <tricolor/prelude.hpp>
#include <tricolor/sync.hpp>
#include <tricolor/traced.hpp>

namespace {

struct Item {
  explicit Item(int k = 0) : key(k) {}
  gc::ptr<Item> next;
  int key;
};

struct Fields {
  gc::vector<gc::ptr<Item>> vector;
  gc::deque<gc::ptr<Item>> deque;
  gc::list<gc::ptr<Item>> list;
  gc::map<int, gc::ptr<Item>> map;
  gc::unordered_map<int, gc::ptr<Item>> hashed;
  gc::flat_map<int, gc::ptr<Item>> flat;
  gc::string text;
  gc::atomic<Item> shared;
};

int use_containers() {
  gc::root<Fields> f = gc::make<Fields>();
  for (int i = 0; i < 100; ++i) {
    Item* const item = gc::make<Item>(i);
    f->vector.push_back(item);
    f->vector.insert(f->vector.begin(), item);
    f->deque.push_front(item);
    f->list.push_back(item);
    f->map[i] = item;
    f->hashed[i] = item;
    f->flat[i] = item;
    f->text += 'x';
    f->shared = item;
  }
  f->vector.reserve(1000);
  f->text.insert(1, "yy");
  runtime::collect();
  return f->vector.at(0)->key - f->deque.at(0)->key + f->map.at(1)->key - f->hashed.at(1)->key +
         f->flat.at(2)->key - 2 + (f->text.substr(1, 2) == "yy" ? 0 : 1);
}

int use_pools() {
  sync::Pool<Item> pool({.new_fn = [] { return gc::make<Item>(); }});
  sync::BoundedPool<Item> bounded(2, {.new_fn = [] { return gc::make<Item>(); }});
  sync::StaticPool<Item, 2> fixed;
  sync::SlabPool<Item> slabs(8);
  sync::SizedPool buffers;
  for (int i = 0; i < 10; ++i) {
    pool.put(pool.get());
    bounded.put(bounded.get());
    fixed.put(fixed.get());
    slabs.put(slabs.get());
    const auto buffer = buffers.lease(1000);
  }
  sync::Map<int, Item> map;
  sync::Cache<int, Item> cache({.max_cost = 10});
  sync::LayeredCache<int, Item> layered({.origin = [](int key) { return gc::make<Item>(key); }});
  for (int i = 0; i < 100; ++i) {
    map.store(i, gc::make<Item>(i));
    if (i % 2 == 0) map.erase(i);
    cache.set(i, gc::make<Item>(i));
  }
  int sum = cache.get_or_load(1000, [](int key) { return gc::make<Item>(key); })->key;
  sum += layered.get(7)->key;
  return sum - 1007;
}

int use_scopes() {
  int calls = 0;
  {
    sync::Lane lane;
    sync::Lane::current().make<Item>(1);
    lane.on_destroy([&calls] { ++calls; });
  }
  calls += sync::with_defer([&calls](sync::DeferStack& stack) -> int {
    stack.push([&calls] { ++calls; });
    return 1;
  });
  gc::rooted<gc::ptr<Item>> rooted(gc::make<Item>(3));
  Item* const item = gc::make<Item>(4);
  gc::set_finalizer(item, [](Item*) {});
  gc::add_cleanup(
      item, [](int) {}, 5);
  const gc::weak<Item> weak(item);
  calls += weak.lock() == item ? 0 : 1;
  return calls - 3 + gc::make_with_tail<Item, int>(2, 0)->key;
}

}  // namespace

int main(int argc, char**) {
  if (argc > 1) return gc::vector<int>().at(5);
  return use_containers() == 0 && use_pools() == 0 && use_scopes() == 0 ? 0 : 1;
}
