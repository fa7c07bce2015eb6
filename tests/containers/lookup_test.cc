// The ordered, hashed and flat containers: random operations against those of the standard library,
// while another thread collects back to back.
#include "tests/containers/container_support.hpp"

#include <map>
#include <set>
#include <string_view>
#include <unordered_map>
#include <unordered_set>

namespace tricolor::tests {
namespace {

// Keys in the order of their numbers, and values.
struct Less {
  template <class T>
  bool operator()(const T& a, const T& b) const {
    return Element<T>::number(a) < Element<T>::number(b);
  }
};
struct Hash {
  template <class T>
  std::size_t operator()(const T& a) const {
    return Element<T>::number(a) / 3;  // collisions
  }
};
struct Same {
  template <class T>
  bool operator()(const T& a, const T& b) const {
    return Element<T>::number(a) == Element<T>::number(b);
  }
};

template <class C>
inline constexpr bool kIsMap = requires {
  typename C::mapped_type;
};
template <class C>
inline constexpr bool kIsMulti =
    std::is_same_v<decltype(std::declval<C&>().insert(std::declval<typename C::value_type>())),
                   typename C::iterator>;

template <class C>
class Walk {
  using V = typename C::value_type;
  using K = typename C::key_type;

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
  static K key(Number n) { return Element<K>::of(n); }
  V entry(Number k, Number v) {
    if constexpr (kIsMap<C>) {
      return V(key(k), Element<typename C::mapped_type>::of(v));
    } else {
      return key(k);
    }
  }
  static Number key_number(const V& v) {
    if constexpr (kIsMap<C>) {
      return Element<K>::number(v.first);
    } else {
      return Element<K>::number(v);
    }
  }
  static Number value_number(const V& v) {
    if constexpr (kIsMap<C>) {
      return Element<typename C::mapped_type>::number(v.second);
    } else {
      return 0;
    }
  }
  void add(std::multimap<Number, Number>& model, Number k, Number v) {
    if (!kIsMulti<C> && model.count(k) != 0) return;
    model.emplace(k, kIsMap<C> ? v : 0);
  }

  void step() {
    const Number k = random_.below(300) + 1;
    const Number v = random_.below(1'000'000) + 1;
    switch (random_.below(14)) {
      case 0:
      case 1:
      case 2:
        c().insert(entry(k, v));
        add(model_, k, v);
        break;
      case 3:
        c().emplace(entry(k, v));
        add(model_, k, v);
        break;
      case 4:
        c().emplace_hint(c().begin(), entry(k, v));
        add(model_, k, v);
        break;
      case 5: {
        const std::size_t removed = c().erase(key(k));
        MUST(removed == model_.erase(k));
        break;
      }
      case 6: {
        const auto at = c().find(key(k));
        MUST((at != c().end()) == (model_.count(k) != 0));
        if (at == c().end()) break;
        const Number value = value_number(*at);
        c().erase(at);
        erase_one(k, value);
        break;
      }
      case 7:
        MUST(c().count(key(k)) == model_.count(k));
        MUST(c().contains(key(k)) == (model_.count(k) != 0));
        break;
      case 8: {
        const auto [first, last] = c().equal_range(key(k));
        MUST(static_cast<std::size_t>(std::distance(first, last)) == model_.count(k));
        if constexpr (requires { c().lower_bound(key(k)); }) {
          const auto bound = c().lower_bound(key(k));
          const auto expected = model_.lower_bound(k);
          MUST((bound == c().end()) == (expected == model_.end()));
          if (bound != c().end()) MUST(key_number(*bound) == expected->first);
        }
        break;
      }
      case 9: {
        C copy(c());
        MUST(copy == c());
        c().clear();
        MUST(c().empty());
        c() = std::move(copy);
        break;
      }
      case 10: {
        gc::vector<V> batch;
        for (Number i = 0; i < 20; ++i) {
          const Number key = random_.below(300) + 1;
          batch.push_back(entry(key, v + i));
          add(model_, key, v + i);
        }
        c().insert(batch.begin(), batch.end());
        break;
      }
      case 11:
        if constexpr (kIsMap<C> && !kIsMulti<C>) {
          c()[key(k)] = Element<typename C::mapped_type>::of(v);
          c().insert_or_assign(key(k + 1), Element<typename C::mapped_type>::of(v));
          c().try_emplace(key(k + 2));
          model_.erase(k);
          model_.erase(k + 1);
          model_.emplace(k, v);
          model_.emplace(k + 1, v);
          if (model_.count(k + 2) == 0) model_.emplace(k + 2, 0);
        }
        break;
      case 12:
        nodes(k, v);
        break;
      default: {
        const Number from = random_.below(300);
        erase_if(c(), [&](const V& x) {
          return key_number(x) % 300 >= from && key_number(x) < from + 9;
        });
        std::erase_if(model_,
                      [&](const auto& x) { return x.first % 300 >= from && x.first < from + 9; });
      }
    }
  }

  void nodes(Number k, Number v) {
    if constexpr (requires {
                    c().extract(c().begin());
                    c().merge(c());
                  }) {
      C other;
      other.insert(entry(k, v));
      std::multimap<Number, Number> other_model;
      add(other_model, k, v);
      if (auto n = c().extract(key(k + 1))) {
        std::size_t before = other.size();
        other.insert(std::move(n));
        MUST(other.size() == before + 1);
        const auto moved = other.find(key(k + 1));
        erase_one(k + 1, value_number(*moved));
        other_model.emplace(k + 1, value_number(*moved));
      }
      c().merge(other);
      for (const auto& [key, value] : other_model) {
        if (kIsMulti<C> || model_.count(key) == 0) model_.emplace(key, value);
      }
    }
  }

  void erase_one(Number k, Number value) {
    const auto [first, last] = model_.equal_range(k);
    const auto at = std::find_if(first, last, [&](const auto& x) { return x.second == value; });
    MUST(at != last);
    model_.erase(at);
  }

  void compare() {
    MUST(c().size() == model_.size());
    std::vector<std::pair<Number, Number>> found;
    for (const V& x : c()) found.emplace_back(key_number(x), value_number(x));
    std::vector<std::pair<Number, Number>> expected(model_.begin(), model_.end());
    const bool ordered = requires { c().lower_bound(key(1)); };
    if (ordered) {
      MUST(std::is_sorted(found.begin(), found.end(),
                          [](const auto& a, const auto& b) { return a.first < b.first; }));
    }
    std::sort(found.begin(), found.end());
    std::sort(expected.begin(), expected.end());
    MUST(found == expected);
  }

  Random random_;
  gc::root<Holder<C>> holder_;
  std::multimap<Number, Number> model_;
};

template <class C>
void walk(const char* name) {
  const std::uint64_t seed = announce_seed(name);
  CollectingThread collecting;
  Walk<C>(seed).run(scaled(6000));
  collecting.stop();
  CHECK(collecting.cycles() > 0);
}

TEST_CASE_TEMPLATE("lookup: ordered containers as the standard library's", C,
                   gc::map<Reference, Nested, Less>, gc::map<Number, std::string>,
                   gc::multimap<std::string, Reference, Less>, gc::set<std::string, Less>,
                   gc::multiset<Reference, Less>) {
  walk<C>("ordered");
}

TEST_CASE_TEMPLATE("lookup: flat containers as the standard library's", C,
                   gc::flat_map<Reference, Nested, Less>,
                   gc::flat_map<std::string, Reference, Less>, gc::flat_set<Reference, Less>) {
  walk<C>("flat");
}

TEST_CASE_TEMPLATE("lookup: hashed containers as the standard library's", C,
                   gc::unordered_map<Reference, Nested, Hash, Same>,
                   gc::unordered_map<Number, std::string>,
                   gc::unordered_multimap<std::string, Reference, Hash, Same>,
                   gc::unordered_set<Reference, Hash, Same>,
                   gc::unordered_multiset<std::string, Hash, Same>) {
  walk<C>("hashed");
}

struct TextHash {
  using is_transparent = void;
  std::size_t operator()(std::string_view s) const noexcept {
    return std::hash<std::string_view>{}(s);
  }
};

TEST_CASE("lookup: by another type") {
  gc::unordered_map<gc::string, int, TextHash, std::equal_to<>> hashed{{"a", 1}, {"bc", 2}};
  gc::map<gc::string, int, std::less<>> ordered{{"a", 1}, {"bc", 2}};
  gc::flat_map<gc::string, int, std::less<>> flat{{"a", 1}, {"bc", 2}};
  const std::string_view key = "bc";
  CHECK(hashed.find(key)->second == 2);
  CHECK(ordered.find(key)->second == 2);
  CHECK(flat.find(key)->second == 2);
  CHECK(hashed.erase(key) == 1);
  CHECK(ordered.erase(key) == 1);
  CHECK_FALSE(hashed.contains(key));
  CHECK_FALSE(ordered.contains(key));
}

TEST_CASE("lookup: an end taken from an empty container stays the end") {
  gc::map<int, int> map;
  const auto end = map.end();
  CHECK(map.begin() == end);
  map[1] = 2;
  CHECK(map.end() == end);
  CHECK(std::next(map.begin()) == end);
  CHECK(map.begin() != end);
}

TEST_CASE("lookup: references to elements stay valid while a hashed container grows") {
  gc::unordered_map<Number, Number> map;
  map[0] = 7;
  const Number* const first = &map[0];
  for (Number i = 1; i < 10000; ++i) map[i] = i;
  CHECK(&map[0] == first);
  CHECK(*first == 7);
  std::size_t in_buckets = 0;
  for (std::size_t b = 0; b < map.bucket_count(); ++b) in_buckets += map.bucket_size(b);
  CHECK(in_buckets == map.size());
  CHECK(map.load_factor() <= map.max_load_factor());
}

}  // namespace
}  // namespace tricolor::tests
