// gc::map, multimap, set and multiset: those of the standard library with collected nodes.
#pragma once

#include <functional>
#include <initializer_list>
#include <iterator>
#include <stdexcept>
#include <tuple>
#include <utility>

#include <tricolor/container/tree.hpp>
#include <tricolor/detail/exceptions.hpp>

namespace tricolor::gc {

namespace detail {

template <class K, class V>
struct map_entry {
  using key_type = K;
  using value_type = std::pair<const K, V>;
  static constexpr bool is_map = true;
  static const K& key(const value_type& value) noexcept { return value.first; }
};
template <class K>
struct set_entry {
  using key_type = K;
  using value_type = K;
  static constexpr bool is_map = false;
  static const K& key(const K& value) noexcept { return value; }
};

template <class Entry, class Compare, bool Multi>
struct tree_policy : Entry {
  using compare = Compare;
  static constexpr bool is_multi = Multi;
  struct value_compare_of_map {
    Compare less;
    explicit value_compare_of_map(Compare c) : less(std::move(c)) {}
    bool operator()(const typename Entry::value_type& a,
                    const typename Entry::value_type& b) const {
      return less(Entry::key(a), Entry::key(b));
    }
  };
  using value_compare = std::conditional_t<Entry::is_map, value_compare_of_map, Compare>;
};

// The constructors and assignments that all of them have. Derived: the container itself.
template <class Derived, class Policy>
class ordered : public tree<Policy> {
  using base = tree<Policy>;

 public:
  ordered() = default;
  explicit ordered(const typename base::key_compare& less) : base(less) {}
  template <input_iterator It>
  ordered(It first, It last, const typename base::key_compare& less = {}) : base(less) {
    this->insert(first, last);
  }
  ordered(std::initializer_list<typename base::value_type> values,
          const typename base::key_compare& less = {})
      : ordered(values.begin(), values.end(), less) {}
  Derived& operator=(std::initializer_list<typename base::value_type> values) {
    this->clear();
    this->insert(values);
    return static_cast<Derived&>(*this);
  }
  void swap(Derived& other) noexcept(std::is_nothrow_swappable_v<typename base::key_compare>) {
    this->swap_trees(other);
  }
  friend void swap(Derived& a, Derived& b) noexcept(noexcept(a.swap(b))) { a.swap(b); }
};

}  // namespace detail

// The interface, complexities and exception guarantees of std::map: heterogeneous lookup with a
// transparent comparison, node handles, hints. Lives wherever a gc::ptr may; trivially destructible
// where K, V and Compare are.
template <class K, class V, class Compare = std::less<K>>
class map : public detail::ordered<map<K, V, Compare>,
                                   detail::tree_policy<detail::map_entry<K, V>, Compare, false>> {
  using base = detail::ordered<map, detail::tree_policy<detail::map_entry<K, V>, Compare, false>>;

 public:
  using mapped_type = V;
  using base::base;
  using typename base::const_iterator;
  using typename base::iterator;
  using base::operator=;

  V& operator[](const K& key) { return try_emplace(key).first->second; }
  V& operator[](K&& key) { return try_emplace(std::move(key)).first->second; }
  V& at(const K& key) {
    const iterator i = this->find(key);
    if (i == this->end()) TRICOLOR_THROW(std::out_of_range("gc::map::at: no such key"));
    return i->second;
  }
  const V& at(const K& key) const { return const_cast<map*>(this)->at(key); }

  template <class... Args>
  std::pair<iterator, bool> try_emplace(const K& key, Args&&... args) {
    return this->find_or_make(nullptr, key, std::piecewise_construct, std::forward_as_tuple(key),
                              std::forward_as_tuple(std::forward<Args>(args)...));
  }
  template <class... Args>
  std::pair<iterator, bool> try_emplace(K&& key, Args&&... args) {
    return this->find_or_make(nullptr, key, std::piecewise_construct,
                              std::forward_as_tuple(std::move(key)),
                              std::forward_as_tuple(std::forward<Args>(args)...));
  }
  template <class Key, class... Args>
  requires std::is_convertible_v<Key&&, K> iterator try_emplace(const_iterator hint, Key&& key,
                                                                Args&&... args) {
    return this
        ->find_or_make(base::node_of(hint), key, std::piecewise_construct,
                       std::forward_as_tuple(std::forward<Key>(key)),
                       std::forward_as_tuple(std::forward<Args>(args)...))
        .first;
  }
  template <class M>
  std::pair<iterator, bool> insert_or_assign(const K& key, M&& value) {
    const auto result = try_emplace(key, std::forward<M>(value));
    if (!result.second) result.first->second = std::forward<M>(value);
    return result;
  }
  template <class M>
  std::pair<iterator, bool> insert_or_assign(K&& key, M&& value) {
    const auto result = try_emplace(std::move(key), std::forward<M>(value));
    if (!result.second) result.first->second = std::forward<M>(value);
    return result;
  }
};

// As gc::map.
template <class K, class V, class Compare = std::less<K>>
class multimap
    : public detail::ordered<multimap<K, V, Compare>,
                             detail::tree_policy<detail::map_entry<K, V>, Compare, true>> {
  using base =
      detail::ordered<multimap, detail::tree_policy<detail::map_entry<K, V>, Compare, true>>;

 public:
  using mapped_type = V;
  using base::base;
  using base::operator=;
};

// As gc::map.
template <class K, class Compare = std::less<K>>
class set : public detail::ordered<set<K, Compare>,
                                   detail::tree_policy<detail::set_entry<K>, Compare, false>> {
  using base = detail::ordered<set, detail::tree_policy<detail::set_entry<K>, Compare, false>>;

 public:
  using base::base;
  using base::operator=;
};

// As gc::map.
template <class K, class Compare = std::less<K>>
class multiset : public detail::ordered<multiset<K, Compare>,
                                        detail::tree_policy<detail::set_entry<K>, Compare, true>> {
  using base = detail::ordered<multiset, detail::tree_policy<detail::set_entry<K>, Compare, true>>;

 public:
  using base::base;
  using base::operator=;
};

}  // namespace tricolor::gc
