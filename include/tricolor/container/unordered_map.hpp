// gc::unordered_map, unordered_multimap, unordered_set and unordered_multiset: those of the
// standard library with collected nodes.
#pragma once

#include <functional>
#include <initializer_list>
#include <iterator>
#include <stdexcept>
#include <tuple>
#include <utility>

#include <tricolor/container/hash_table.hpp>
#include <tricolor/container/map.hpp>
#include <tricolor/detail/exceptions.hpp>

namespace tricolor::gc {

namespace detail {

template <class Entry, class Hash, class Equal, bool Multi>
struct hash_policy : Entry {
  using hash = Hash;
  using equal = Equal;
  static constexpr bool is_multi = Multi;
};

// The constructors and assignments that all of them have. Derived: the container itself.
template <class Derived, class Policy>
class unordered : public hash_table<Policy> {
  using base = hash_table<Policy>;

 public:
  unordered() = default;
  explicit unordered(std::size_t buckets, const typename base::hasher& hash = {},
                     const typename base::key_equal& equal = {})
      : base(buckets, hash, equal) {}
  template <input_iterator It>
  unordered(It first, It last, std::size_t buckets = 0, const typename base::hasher& hash = {},
            const typename base::key_equal& equal = {})
      : base(buckets, hash, equal) {
    this->insert(first, last);
  }
  unordered(std::initializer_list<typename base::value_type> values, std::size_t buckets = 0,
            const typename base::hasher& hash = {}, const typename base::key_equal& equal = {})
      : unordered(values.begin(), values.end(), buckets, hash, equal) {}
  Derived& operator=(std::initializer_list<typename base::value_type> values) {
    this->clear();
    this->insert(values);
    return static_cast<Derived&>(*this);
  }
  void swap(Derived& other) noexcept(noexcept(this->swap_tables(other))) {
    this->swap_tables(other);
  }
  friend void swap(Derived& a, Derived& b) noexcept(noexcept(a.swap(b))) { a.swap(b); }
};

}  // namespace detail

// The interface, complexities and exception guarantees of std::unordered_map: heterogeneous lookup
// with a transparent hash and comparison, node handles, references that stay valid as the table
// grows. bucket_count() is a power of two, or 0 before the first element. Lives wherever a gc::ptr
// may; trivially destructible where K, V, Hash and Equal are.
template <class K, class V, class Hash = std::hash<K>, class Equal = std::equal_to<K>>
class unordered_map
    : public detail::unordered<unordered_map<K, V, Hash, Equal>,
                               detail::hash_policy<detail::map_entry<K, V>, Hash, Equal, false>> {
  using base = detail::unordered<unordered_map,
                                 detail::hash_policy<detail::map_entry<K, V>, Hash, Equal, false>>;

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
    if (i == this->end()) TRICOLOR_THROW(std::out_of_range("gc::unordered_map::at: no such key"));
    return i->second;
  }
  const V& at(const K& key) const { return const_cast<unordered_map*>(this)->at(key); }

  template <class... Args>
  std::pair<iterator, bool> try_emplace(const K& key, Args&&... args) {
    return this->find_or_make(key, std::piecewise_construct, std::forward_as_tuple(key),
                              std::forward_as_tuple(std::forward<Args>(args)...));
  }
  template <class... Args>
  std::pair<iterator, bool> try_emplace(K&& key, Args&&... args) {
    return this->find_or_make(key, std::piecewise_construct, std::forward_as_tuple(std::move(key)),
                              std::forward_as_tuple(std::forward<Args>(args)...));
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

// As gc::unordered_map.
template <class K, class V, class Hash = std::hash<K>, class Equal = std::equal_to<K>>
class unordered_multimap
    : public detail::unordered<unordered_multimap<K, V, Hash, Equal>,
                               detail::hash_policy<detail::map_entry<K, V>, Hash, Equal, true>> {
  using base = detail::unordered<unordered_multimap,
                                 detail::hash_policy<detail::map_entry<K, V>, Hash, Equal, true>>;

 public:
  using mapped_type = V;
  using base::base;
  using base::operator=;
};

// As gc::unordered_map.
template <class K, class Hash = std::hash<K>, class Equal = std::equal_to<K>>
class unordered_set
    : public detail::unordered<unordered_set<K, Hash, Equal>,
                               detail::hash_policy<detail::set_entry<K>, Hash, Equal, false>> {
  using base = detail::unordered<unordered_set,
                                 detail::hash_policy<detail::set_entry<K>, Hash, Equal, false>>;

 public:
  using base::base;
  using base::operator=;
};

// As gc::unordered_map.
template <class K, class Hash = std::hash<K>, class Equal = std::equal_to<K>>
class unordered_multiset
    : public detail::unordered<unordered_multiset<K, Hash, Equal>,
                               detail::hash_policy<detail::set_entry<K>, Hash, Equal, true>> {
  using base = detail::unordered<unordered_multiset,
                                 detail::hash_policy<detail::set_entry<K>, Hash, Equal, true>>;

 public:
  using base::base;
  using base::operator=;
};

}  // namespace tricolor::gc
