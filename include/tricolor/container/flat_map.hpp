// gc::flat_map and gc::flat_set: sorted gc::vectors with the interface of a map and a set.
#pragma once

#include <algorithm>
#include <compare>
#include <cstddef>
#include <functional>
#include <initializer_list>
#include <iterator>
#include <stdexcept>
#include <type_traits>
#include <utility>

#include <tricolor/container/map.hpp>
#include <tricolor/container/vector.hpp>
#include <tricolor/detail/exceptions.hpp>

namespace tricolor::gc {

namespace detail {

template <class K, class V>
struct flat_map_entry {
  using key_type = K;
  using value_type = std::pair<K, V>;  // of a const key no element could be moved
  static constexpr bool is_map = true;
  static const K& key(const value_type& value) noexcept { return value.first; }
};

template <class Entry, class Compare>
class flat {
 public:
  using key_type = typename Entry::key_type;
  using value_type = typename Entry::value_type;
  using container_type = vector<value_type>;
  using key_compare = Compare;
  using size_type = std::size_t;
  using difference_type = std::ptrdiff_t;
  using reference = value_type&;
  using const_reference = const value_type&;
  using const_iterator = const value_type*;
  using iterator = std::conditional_t<Entry::is_map, value_type*, const_iterator>;
  using reverse_iterator = std::reverse_iterator<iterator>;
  using const_reverse_iterator = std::reverse_iterator<const_iterator>;

  flat() = default;
  explicit flat(const Compare& less) : less_(less) {}
  template <input_iterator It>
  flat(It first, It last, const Compare& less = {}) : less_(less) {
    insert(first, last);
  }
  flat(std::initializer_list<value_type> values, const Compare& less = {})
      : flat(values.begin(), values.end(), less) {}
  flat& operator=(std::initializer_list<value_type> values) {
    clear();
    insert(values);
    return *this;
  }

  iterator begin() noexcept { return elements_.begin(); }
  const_iterator begin() const noexcept { return elements_.begin(); }
  iterator end() noexcept { return elements_.end(); }
  const_iterator end() const noexcept { return elements_.end(); }
  const_iterator cbegin() const noexcept { return begin(); }
  const_iterator cend() const noexcept { return end(); }
  reverse_iterator rbegin() noexcept { return reverse_iterator(end()); }
  const_reverse_iterator rbegin() const noexcept { return const_reverse_iterator(end()); }
  reverse_iterator rend() noexcept { return reverse_iterator(begin()); }
  const_reverse_iterator rend() const noexcept { return const_reverse_iterator(begin()); }

  [[nodiscard]] bool empty() const noexcept { return elements_.empty(); }
  size_type size() const noexcept { return elements_.size(); }
  static constexpr size_type max_size() noexcept { return container_type::max_size(); }
  size_type capacity() const noexcept { return elements_.capacity(); }
  void reserve(size_type count) { elements_.reserve(count); }
  void shrink_to_fit() { elements_.shrink_to_fit(); }
  key_compare key_comp() const { return less_; }

  template <class... Args>
  std::pair<iterator, bool> emplace(Args&&... args) {
    return add(value_type(std::forward<Args>(args)...));
  }
  template <class... Args>
  iterator emplace_hint(const_iterator, Args&&... args) {
    return emplace(std::forward<Args>(args)...).first;
  }
  std::pair<iterator, bool> insert(const value_type& value) { return add(value); }
  std::pair<iterator, bool> insert(value_type&& value) { return add(std::move(value)); }
  iterator insert(const_iterator, const value_type& value) { return add(value).first; }
  iterator insert(const_iterator, value_type&& value) { return add(std::move(value)).first; }
  // The new ones are sorted by themselves, then merged; of equal ones the first stays.
  template <input_iterator It>
  void insert(It first, It last) {
    const auto order = [this](const value_type& a, const value_type& b) {
      return less_(Entry::key(a), Entry::key(b));
    };
    const size_type before = size();
    elements_.insert(elements_.end(), first, last);
    TRICOLOR_TRY {
      container_type scratch(elements_.begin() + before, elements_.end());
      sort(elements_.begin() + before, scratch.begin(), scratch.end(), order);
      merge_from(before, order);
    }
    TRICOLOR_CATCH(...) {
      elements_.clear();  // as std::flat_map does: no order can be promised
      TRICOLOR_RETHROW;
    }
  }
  void insert(std::initializer_list<value_type> values) { insert(values.begin(), values.end()); }

  iterator erase(const_iterator position) { return elements_.erase(position); }
  iterator erase(const_iterator first, const_iterator last) { return elements_.erase(first, last); }
  size_type erase(const key_type& key) {
    const const_iterator at = find(key);
    if (at == end()) return 0;
    erase(at);
    return 1;
  }
  void clear() noexcept { elements_.clear(); }
  container_type extract() && { return std::move(elements_); }

  iterator find(const key_type& key) { return found(key); }
  const_iterator find(const key_type& key) const { return self().found(key); }
  size_type count(const key_type& key) const { return contains(key) ? 1 : 0; }
  bool contains(const key_type& key) const { return find(key) != end(); }
  iterator lower_bound(const key_type& key) { return lower(key); }
  const_iterator lower_bound(const key_type& key) const { return self().lower(key); }
  iterator upper_bound(const key_type& key) { return upper(key); }
  const_iterator upper_bound(const key_type& key) const { return self().upper(key); }
  std::pair<iterator, iterator> equal_range(const key_type& key) {
    return {lower(key), upper(key)};
  }
  std::pair<const_iterator, const_iterator> equal_range(const key_type& key) const {
    return {self().lower(key), self().upper(key)};
  }
  template <class K>
  requires transparent<Compare> iterator find(const K& key) { return found(key); }
  template <class K>
  requires transparent<Compare> const_iterator find(const K& key)
  const { return self().found(key); }
  template <class K>
  requires transparent<Compare>
  bool contains(const K& key) const { return find(key) != end(); }
  template <class K>
  requires transparent<Compare> size_type count(const K& key)
  const { return static_cast<size_type>(self().upper(key) - self().lower(key)); }
  template <class K>
  requires transparent<Compare> iterator lower_bound(const K& key) { return lower(key); }
  template <class K>
  requires transparent<Compare> iterator upper_bound(const K& key) { return upper(key); }

  friend bool operator==(const flat& a, const flat& b) { return a.elements_ == b.elements_; }
  friend auto operator<=>(const flat& a, const flat& b) { return a.elements_ <=> b.elements_; }
  template <class Predicate>
  friend size_type erase_if(flat& c, Predicate predicate) {
    return erase_if(c.elements_, std::move(predicate));
  }

 protected:
  void swap_elements(flat& other) noexcept(std::is_nothrow_swappable_v<Compare>) {
    elements_.swap(other.elements_);
    using std::swap;
    swap(less_, other.less_);
  }
  // `Make()` gives the element for `key` where there is none.
  template <class K, class Make>
  std::pair<iterator, bool> find_or_make(const K& key, Make make) {
    const iterator at = lower(key);
    if (at != end() && !less_(key, Entry::key(*at))) return {at, false};
    return {elements_.insert(at, make()), true};
  }

 private:
  flat& self() const noexcept { return const_cast<flat&>(*this); }
  template <class V>
  std::pair<iterator, bool> add(V&& value) {
    return find_or_make(Entry::key(value), [&]() -> V&& { return std::forward<V>(value); });
  }
  template <class K>
  iterator lower(const K& key) {
    return std::partition_point(elements_.begin(), elements_.end(),
                                [&](const value_type& v) { return less_(Entry::key(v), key); });
  }
  template <class K>
  iterator upper(const K& key) {
    return std::partition_point(elements_.begin(), elements_.end(),
                                [&](const value_type& v) { return !less_(key, Entry::key(v)); });
  }
  template <class K>
  iterator found(const K& key) {
    const iterator at = lower(key);
    return at != end() && !less_(key, Entry::key(*at)) ? at : end();
  }
  // Sorts what both hold alike into `to`; stable. Both are collected: std::stable_sort and
  // std::inplace_merge would move elements through memory that nobody scans.
  template <class Order>
  static void sort(value_type* to, value_type* first, value_type* last, Order order) {
    if (last - first < 2) return;
    value_type* const middle = first + (last - first) / 2;
    sort(first, to, to + (middle - first), order);
    sort(middle, to + (middle - first), to + (last - first), order);
    std::merge(std::make_move_iterator(first), std::make_move_iterator(middle),
               std::make_move_iterator(middle), std::make_move_iterator(last), to, order);
  }
  template <class Order>
  void merge_from(size_type middle, Order order) {
    container_type merged;
    merged.reserve(size());
    value_type* const end = elements_.end();
    value_type* a = elements_.begin();
    value_type* const a_end = a + middle;
    for (value_type* b = a_end; a != a_end || b != end;) {
      const bool from_b = a == a_end || (b != end && order(*b, *a));
      value_type& next = from_b ? *b++ : *a++;
      if (merged.empty() || order(merged.back(), next)) merged.push_back(std::move(next));
    }
    elements_.swap(merged);
  }

  container_type elements_;
  [[no_unique_address]] Compare less_{};
};

}  // namespace detail

// A sorted vector of std::pair<K, V>, each key once: a lookup is a binary search, an insertion
// moves what is behind it and ends all iterators. Keys must not be changed through iterators.
// Trivially destructible where K, V and Compare are.
template <class K, class V, class Compare = std::less<K>>
class flat_map : public detail::flat<detail::flat_map_entry<K, V>, Compare> {
  using base = detail::flat<detail::flat_map_entry<K, V>, Compare>;

 public:
  using mapped_type = V;
  using base::base;
  using typename base::iterator;
  using base::operator=;

  V& operator[](const K& key) { return try_emplace(key).first->second; }
  V& operator[](K&& key) { return try_emplace(std::move(key)).first->second; }
  V& at(const K& key) {
    const iterator i = this->find(key);
    if (i == this->end()) TRICOLOR_THROW(std::out_of_range("gc::flat_map::at: no such key"));
    return i->second;
  }
  const V& at(const K& key) const { return const_cast<flat_map*>(this)->at(key); }
  template <class Key, class... Args>
  requires std::is_convertible_v<Key&&, K> std::pair<iterator, bool> try_emplace(Key&& key,
                                                                                 Args&&... args) {
    return this->find_or_make(key, [&] {
      return std::pair<K, V>(std::piecewise_construct,
                             std::forward_as_tuple(std::forward<Key>(key)),
                             std::forward_as_tuple(std::forward<Args>(args)...));
    });
  }
  template <class Key, class M>
  requires std::is_convertible_v<Key&&, K> std::pair<iterator, bool> insert_or_assign(Key&& key,
                                                                                      M&& value) {
    const auto result = try_emplace(std::forward<Key>(key), std::forward<M>(value));
    if (!result.second) result.first->second = std::forward<M>(value);
    return result;
  }
  void swap(flat_map& other) noexcept(std::is_nothrow_swappable_v<Compare>) {
    this->swap_elements(other);
  }
  friend void swap(flat_map& a, flat_map& b) noexcept(noexcept(a.swap(b))) { a.swap(b); }
};

// A sorted vector of keys, as gc::flat_map.
template <class K, class Compare = std::less<K>>
class flat_set : public detail::flat<detail::set_entry<K>, Compare> {
  using base = detail::flat<detail::set_entry<K>, Compare>;

 public:
  using base::base;
  using base::operator=;
  void swap(flat_set& other) noexcept(std::is_nothrow_swappable_v<Compare>) {
    this->swap_elements(other);
  }
  friend void swap(flat_set& a, flat_set& b) noexcept(noexcept(a.swap(b))) { a.swap(b); }
};

}  // namespace tricolor::gc
