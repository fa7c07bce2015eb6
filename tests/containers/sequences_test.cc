// gc::vector, small_vector, deque and list: random operations against those of the standard
// library, while another thread collects back to back.
#include "tests/containers/container_support.hpp"

#include <deque>
#include <list>

namespace tricolor::tests {
namespace {

template <class C>
using Std = std::conditional_t < requires(C c) {
  c.splice(c.begin(), c);
}
, std::list<Number>, std::conditional_t < requires(C c) { c.push_front(c.front()); }
, std::deque<Number>, std::vector < Number >>> ;

template <class C>
class Walk {
  using T = typename C::value_type;
  using E = Element<T>;

 public:
  explicit Walk(std::uint64_t seed) : random_(seed), holder_(gc::make<Holder<C>>()) {}

  void run(std::size_t steps) {
    for (std::size_t i = 0; i < steps; ++i) {
      step();
      if (i % 64 == 0) compare();
    }
    compare();
  }

 private:
  C& c() { return holder_->c; }
  Number fresh() { return random_.below(1'000'000) + 1; }
  auto at(std::size_t i) { return std::next(c().begin(), static_cast<std::ptrdiff_t>(i)); }
  auto std_at(std::size_t i) { return std::next(std_.begin(), static_cast<std::ptrdiff_t>(i)); }

  void step() {
    const std::size_t n = std_.size();
    const std::size_t i = random_.below(n + 1);
    const Number value = fresh();
    switch (random_.below(n > 400 ? 20 : 16)) {
      case 0:
      case 1:
      case 2:
        c().push_back(E::of(value));
        std_.push_back(value);
        break;
      case 3:
        c().emplace(at(i), E::of(value));
        std_.emplace(std_at(i), value);
        break;
      case 4: {
        const T element = E::of(value);
        const std::size_t count = random_.below(9);
        const auto first = c().insert(at(i), count, element);
        MUST(std::distance(c().begin(), first) == static_cast<std::ptrdiff_t>(i));
        std_.insert(std_at(i), count, value);
        break;
      }
      case 5: {
        std::vector<Number> numbers(random_.below(20));
        gc::vector<T> elements;
        for (Number& x : numbers) elements.push_back(E::of(x = fresh()));
        c().insert(at(i), elements.begin(), elements.end());
        std_.insert(std_at(i), numbers.begin(), numbers.end());
        break;
      }
      case 6:
        if (i == n) break;
        c().erase(at(i));
        std_.erase(std_at(i));
        break;
      case 7: {
        const std::size_t last = i + random_.below(std::min<std::size_t>(n - i, 9) + 1);
        c().erase(at(i), at(last));
        std_.erase(std_at(i), std_at(last));
        break;
      }
      case 8:
        c().resize(i);
        std_.resize(i);
        break;
      case 9:
        c().resize(n + random_.below(30), E::of(value));
        std_.resize(c().size(), value);
        break;
      case 10: {  // an element of its own
        if (n == 0) break;
        const std::size_t from = random_.below(n);
        c().insert(at(i), *at(from));
        std_.insert(std_at(i), Number{*std_at(from)});
        c().push_back(*at(from));
        std_.push_back(Number{*std_at(from)});
        break;
      }
      case 11: {
        C copy(c());
        MUST(copy == c());
        c().clear();
        c() = std::move(copy);
        break;
      }
      case 12: {
        C other;
        other.push_back(E::of(value));
        swap(other, c());
        MUST(other.size() == n);
        c() = other;
        break;
      }
      case 13:
        if (n == 0) break;
        c().pop_back();
        std_.pop_back();
        break;
      case 14:
        if constexpr (requires { c().push_front(E::of(value)); }) {
          c().push_front(E::of(value));
          std_.push_front(value);
        }
        break;
      case 15:
        special(value);
        break;
      default: {
        c().erase(at(0), at(n / 2));
        std_.erase(std_at(0), std_at(n / 2));
      }
    }
  }

  void special(Number value) {
    if constexpr (requires { c().splice(c().begin(), c()); }) {
      C other;
      for (Number i = 0; i < 5; ++i) other.push_back(E::of(value + i));
      std::list<Number> std_other;
      for (Number i = 0; i < 5; ++i) std_other.push_back(value + i);
      c().splice(at(std_.size() / 2), other, std::next(other.begin()), std::prev(other.end()));
      std_.splice(std_at(std_.size() / 2), std_other, std::next(std_other.begin()),
                  std::prev(std_other.end()));
      c().reverse();
      std_.reverse();
      const auto less = [](const T& a, const T& b) { return E::number(a) < E::number(b); };
      c().sort(less);
      std_.sort();
      other.sort(less);
      c().merge(other, less);
      std_.merge(std_other);
    } else if constexpr (requires { c().pop_front(); }) {
      for (int i = 0; i < 40 && !std_.empty(); ++i) {
        c().pop_front();
        std_.pop_front();
      }
    } else {
      c().shrink_to_fit();
      c().reserve(c().size() + value % 7);
    }
  }

  void compare() {
    MUST(c().size() == std_.size());
    std::size_t i = 0;
    auto expected = std_.begin();
    for (const T& element : c()) {
      MUST(!(E::number(element) != *expected++));
      ++i;
    }
    MUST(i == std_.size());
    auto back = std_.rbegin();
    for (auto r = c().rbegin(); r != c().rend(); ++r) {
      MUST(!(E::number(*r) != *back++));
    }
    if constexpr (requires { c()[0]; }) {
      if (!std_.empty()) MUST(E::number(c()[i / 2]) == std_[i / 2]);
    }
  }

  Random random_;
  gc::root<Holder<C>> holder_;
  Std<C> std_;
};

TEST_CASE_TEMPLATE("sequences: random operations as in the standard library's", C,
                   gc::vector<Number>, gc::vector<Reference>, gc::vector<std::string>,
                   gc::vector<Nested>, gc::small_vector<Reference, 5>,
                   gc::small_vector<std::string, 3>, gc::small_vector<Nested, 100>,
                   gc::deque<Number>, gc::deque<Reference>, gc::deque<std::string>,
                   gc::deque<Nested>, gc::list<Number>, gc::list<Reference>, gc::list<std::string>,
                   gc::list<Nested>) {
  const std::uint64_t seed = announce_seed("sequences");
  CollectingThread collecting;
  Walk<C>(seed).run(scaled(6000));
  collecting.stop();
  CHECK(collecting.cycles() > 0);
}

TEST_CASE_TEMPLATE("sequences: whether there is a destructor follows the element's", C,
                   gc::vector<Reference>, gc::small_vector<Reference, 2>, gc::deque<Reference>,
                   gc::list<Reference>) {
  CHECK(std::is_trivially_destructible_v<C>);
  CHECK(std::is_nothrow_move_constructible_v<C>);
  CHECK(std::is_nothrow_default_constructible_v<C>);
}

TEST_CASE("sequences: deque iterators move by any distance") {
  gc::deque<Number> d;
  for (Number i = 0; i < 1000; ++i) d.push_back(i);
  for (Number i = 0; i < 300; ++i) d.pop_front();
  for (std::ptrdiff_t from = 0; from <= 700; from += 7) {
    for (std::ptrdiff_t to = 0; to <= 700; to += 13) {
      const auto a = d.begin() + from;
      const auto b = a + (to - from);
      MUST(b - d.begin() == to);
      MUST((a < b) == (from < to));
      if (to < 700) MUST(*b == 300 + static_cast<Number>(to));
    }
  }
}

TEST_CASE("sequences: what was removed keeps nothing alive") {
  gc::root<Holder<gc::vector<Reference>>> vector = gc::make<Holder<gc::vector<Reference>>>();
  gc::root<Holder<gc::deque<Reference>>> deque = gc::make<Holder<gc::deque<Reference>>>();
  Census census;
  on_fresh_thread([&] {
    for (Number i = 0; i < 100; ++i) {
      Node* const node = gc::make<Node>(i);
      census.add(node);
      vector->c.push_back(node);
      deque->c.push_back(node);
    }
    vector->c.resize(10);
    vector->c.erase(vector->c.begin(), vector->c.end() - 1);
    vector->c.pop_back();
    deque->c.erase(deque->c.begin(), deque->c.end() - 1);
    deque->c.pop_front();
  });
  collect_all();
  CHECK(census.reclaimed());
  CHECK(vector->c.capacity() > 0);
}

TEST_CASE("sequences: lengths near the limit, and a heap without room") {
  gc::vector<Number> v{1, 2, 3};
  CHECK_THROWS_AS(v.reserve(v.max_size() + 1), std::length_error);
  CHECK_THROWS_AS(v.resize(v.max_size() + 1), std::length_error);
  CHECK_THROWS_AS(v.insert(v.begin(), v.max_size(), 7), std::length_error);
  CHECK_THROWS_AS(v.reserve(v.max_size()), std::bad_alloc);
  CHECK_THROWS_AS(v.resize(v.max_size() / 2), std::bad_alloc);
  CHECK(v == gc::vector<Number>{1, 2, 3});

  const std::size_t before = debug::set_max_heap(mem_stats().heap_sys + (std::size_t{4} << 20));
  gc::vector<Reference> refs;
  gc::list<Number> list;
  bool thrown = false;
  std::size_t reached = 0;
  try {
    for (;; ++reached) refs.push_back(refs.empty() ? gc::make<Node>(7) : refs[0].get());
  } catch (const std::bad_alloc&) {
    thrown = true;
  }
  CHECK(thrown);
  CHECK(refs.size() == reached);
  bool intact = true;
  for (const Reference& r : refs) intact = intact && r != nullptr && r->intact() && r->key == 7;
  CHECK(intact);
  refs = {};
  thrown = false;
  try {
    for (reached = 0;; ++reached) list.push_back(reached);
  } catch (const std::bad_alloc&) {
    thrown = true;
  }
  debug::set_max_heap(before);
  CHECK(thrown);
  CHECK(list.size() == reached);
  CHECK(list.back() == reached - 1);
}

}  // namespace
}  // namespace tricolor::tests
