// How long what is in a collected container lives: cycles, elements with a destructor, exceptions,
// gc::allocator.
#include "tests/containers/container_support.hpp"

#include <algorithm>
#include <array>

namespace tricolor::tests {
namespace {

struct Part {
  gc::ptr<Part> owner;
  gc::vector<gc::ptr<Part>> vector;
  gc::small_vector<gc::ptr<Part>, 2> small;
  gc::deque<gc::ptr<Part>> deque;
  gc::list<gc::ptr<Part>> list;
  gc::map<int, gc::ptr<Part>> map;
  gc::flat_map<int, gc::ptr<Part>> flat;
  gc::unordered_map<gc::string, gc::ptr<Part>> hashed;
  gc::map<gc::string, gc::vector<gc::ptr<Part>>> nested;
};
static_assert(std::is_trivially_destructible_v<Part>);

Part* make_family() {
  Part* const head = gc::make<Part>();
  for (int i = 0; i < 20; ++i) {
    Part* const part = gc::make<Part>();
    part->owner = head;
    part->vector.push_back(head);
    part->list.push_back(part);
    head->vector.push_back(part);
    head->small.push_back(part);
    head->deque.push_front(part);
    head->list.push_back(part);
    head->map[i] = part;
    head->flat[-i] = part;
    head->hashed[gc::string(std::to_string(i).c_str())] = part;
    head->nested["all"].push_back(part);
  }
  return head;
}

TEST_CASE("lifetimes: containers in cycles are collected") {
  Census census;
  on_fresh_thread([&] {
    for (int i = 0; i < 50; ++i) census.add(make_family());
  });
  collect_all();
  CHECK(census.reclaimed());
}

TEST_CASE("lifetimes: an object with containers is in no cycle because of them") {
  std::atomic<int> finalized{0};
  on_fresh_thread([&] {
    for (int i = 0; i < 40; ++i) {
      Part* const part = gc::make<Part>();
      for (int n = 0; n < 3; ++n) {
        part->list.push_back(gc::make<Part>());
        part->deque.push_back(gc::make<Part>());
        part->map[n] = gc::make<Part>();
        part->hashed[gc::string(static_cast<std::size_t>(n + 1), 'x')] = gc::make<Part>();
      }
      gc::set_finalizer(part, [&finalized](Part*) { ++finalized; });
    }
  });
  collect_all();
  CHECK(finalized >= 38);
}

// Every container of Counted, filled.
struct Destructible {
  gc::vector<Counted> vector;
  gc::small_vector<Counted, 4> inside, outside;
  gc::deque<Counted> deque;
  gc::list<Counted> list;
  gc::map<int, Counted> map;
  gc::set<Counted> set;
  gc::flat_map<int, Counted> flat;
  gc::unordered_map<int, Counted> hashed;
  gc::vector<gc::vector<Counted>> nested;

  explicit Destructible(int n) {
    for (int i = 0; i < n; ++i) {
      const Counted c(static_cast<Number>(i));
      vector.push_back(c);
      if (i < 4) inside.push_back(c);
      outside.push_back(c);
      deque.push_back(c);
      list.push_back(c);
      map.emplace(i, c);
      set.insert(c);
      flat.emplace(i, c);
      hashed.emplace(i, c);
      nested.emplace_back(3, c);
    }
  }
};
long elements_of(int n) { return 9L * n + std::min(n, 4) + 2L * n; }

TEST_CASE("lifetimes: elements with a destructor are destroyed once, when their holder dies") {
  collect_all();
  const long before = Counted::alive;
  on_fresh_thread([&] {
    for (int i = 0; i < 30; ++i) gc::keep_alive(gc::make<Destructible>(25));
    CHECK(Counted::alive - before > 20 * elements_of(25));
  });
  for (int i = 0; i < 5 && Counted::alive - before > 2 * elements_of(25); ++i) collect_all();
  CHECK(Counted::alive - before <= 2 * elements_of(25));
}

TEST_CASE(
    "lifetimes: elements with a destructor end with their scope, with gc::destroy, and when "
    "removed") {
  collect_all();
  const long before = Counted::alive;
  {
    Destructible local(25);
    CHECK(Counted::alive - before == elements_of(25));
    Destructible copy(local);
    CHECK(Counted::alive - before == 2 * elements_of(25));
    local = std::move(copy);
    local.vector.erase(local.vector.begin() + 3, local.vector.begin() + 8);
    local.list.pop_front();
    local.map.erase(3);
    local.hashed.erase(4);
    local.deque.pop_front();
    local.set.clear();
    local.nested.erase(local.nested.begin());
  }
  CHECK(Counted::alive == before);
  Destructible* const object = gc::make<Destructible>(25);
  CHECK(Counted::alive - before == elements_of(25));
  gc::destroy(object);
  CHECK(Counted::alive == before);
  collect_all();
  CHECK(Counted::alive == before);
}

// Every step of an operation throws in turn: the container stays whole, and no element is lost or
// destroyed twice.
template <class C, class Fill, class Act>
void throwing(Fill fill, Act act, bool strong) {
  const long before = Counted::alive;
  for (long step = 0;; ++step) {
    C c;
    fill(c);
    const C copy(c);
    Counted::until_throw = step;
    bool thrown = false;
    try {
      act(c);
    } catch (const std::domain_error&) {
      thrown = true;
    }
    Counted::until_throw = -1;
    std::size_t n = 0;
    for (const auto& element : c) {
      if constexpr (requires { element.second.intact(); }) {
        MUST(element.second.intact());
      } else {
        MUST(element.intact());
      }
      ++n;
    }
    MUST(n == c.size());
    MUST(Counted::alive - before == static_cast<long>(c.size() + copy.size()));
    if (thrown && strong) MUST(c == copy);
    if (!thrown) break;
    MUST(step < 10000);
  }
}

TEST_CASE_TEMPLATE("lifetimes: sequences of elements that throw", C, gc::vector<Counted>,
                   gc::small_vector<Counted, 3>, gc::small_vector<Counted, 30>, gc::deque<Counted>,
                   gc::list<Counted>) {
  const auto fill = [](C& c) {
    for (Number i = 0; i < 16; ++i) c.emplace_back(i);
  };
  const auto nth = [](C& c, int i) { return std::next(c.begin(), i); };
  throwing<C>(
      fill, [](C& c) { c.push_back(Counted(1)); }, true);
  throwing<C>(
      fill, [](C& c) { c.resize(60); }, true);
  throwing<C>(
      fill, [&](C& c) { c.insert(c.end(), 30, c.front()); }, true);
  throwing<C>(
      fill, [&](C& c) { c.emplace(nth(c, 5), Number{1}); }, false);
  throwing<C>(
      fill, [&](C& c) { c.insert(nth(c, 5), 3, Counted(1)); }, false);
  throwing<C>(
      fill, [&](C& c) { c.erase(nth(c, 3), nth(c, 6)); }, false);
  throwing<C>(
      fill, [&](C& c) { c = C(c); }, false);
  throwing<C>(
      fill, [&](C& c) { c.assign(40, Counted(3)); }, false);
  if constexpr (requires(C & c) { c.sort(); }) {
    throwing<C>(
        fill, [](C& c) { c.sort([](const Counted& a, const Counted& b) { return b < a; }); },
        false);
  }
}

TEST_CASE_TEMPLATE("lifetimes: lookup containers of elements that throw", C, gc::set<Counted>,
                   gc::multiset<Counted>, gc::unordered_set<Counted, CountedHash>,
                   gc::unordered_multiset<Counted, CountedHash>, gc::flat_set<Counted>) {
  const auto fill = [](C& c) {
    for (Number i = 0; i < 16; ++i) c.insert(Counted(i));
  };
  constexpr bool flat = std::is_same_v<C, gc::flat_set<Counted>>;
  throwing<C>(
      fill, [](C& c) { c.insert(Counted(100)); }, !flat);
  throwing<C>(
      fill, [](C& c) { c.emplace(Number{5}); }, !flat);
  throwing<C>(
      fill, [](C& c) { c.erase(Counted(5)); }, !flat);
  throwing<C>(
      fill, [](C& c) { (void)c.contains(Counted(7)); }, true);
  throwing<C>(
      fill,
      [](C& c) {
        const std::array<Counted, 3> more{Counted(50), Counted(3), Counted(51)};
        c.insert(more.begin(), more.end());
        erase_if(c, [](const Counted&) { return false; });
      },
      false);
}

struct Leaf {
  long value = 42;
  long pad[6];
};
struct Holding {
  std::vector<gc::ptr<Leaf>, gc::allocator<gc::ptr<Leaf>>> standard;
  gc::vector<gc::ptr<Leaf>> collected;
};

TEST_CASE("lifetimes: vectors that are handed about while cycles run lose nothing") {
  CollectingThread collecting;
  const std::size_t n = 500;
  gc::root<gc::ptr<Holding>> all = gc::make_array<gc::ptr<Holding>>(n);
  for (std::size_t i = 0; i < n; ++i) {
    all[i] = gc::make<Holding>();
    for (int k = 0; k < 3; ++k) {
      all[i]->standard.push_back(gc::make<Leaf>());
      all[i]->collected.push_back(gc::make<Leaf>());
    }
  }
  Random random(announce_seed("handed about"));
  for (std::size_t round = 0; round < scaled(200'000); ++round) {
    const std::size_t i = random.below(n);
    const std::size_t j = random.below(n);
    std::swap(all[i]->standard, all[j]->standard);
    std::swap(all[i]->collected, all[j]->collected);
    if (round % 4 == 0) gc::keep_alive(gc::make<Leaf>());
    if (round % 64 == 0) {
      all[i]->collected.insert(all[i]->collected.begin(), all[j]->collected.back());
      all[i]->collected.pop_back();
    }
  }
  collecting.stop();
  std::size_t lost = 0;
  for (std::size_t i = 0; i < n; ++i) {
    for (const gc::ptr<Leaf>& leaf : all[i]->standard) lost += leaf == nullptr || leaf->value != 42;
    for (const gc::ptr<Leaf>& leaf : all[i]->collected)
      lost += leaf == nullptr || leaf->value != 42;
  }
  CHECK(lost == 0);
}

}  // namespace
}  // namespace tricolor::tests
