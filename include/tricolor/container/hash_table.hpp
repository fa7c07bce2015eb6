// What gc::unordered_map, unordered_multimap, unordered_set and unordered_multiset have in common:
// collected nodes in one chain, bucket by bucket.
//
//     before_ -> node -> node -> node -> ...        buckets_[i]: the node (or before_) in front of the bucket's first
//
// before_ and the array of buckets are collected objects of their own, made with the first element:
// no node refers to the container's owner, which would then be part of a cycle. The number of
// buckets is a power of two, their index the upper bits of the hash times the golden ratio (Knuth,
// vol. 3, 6.4), so that std::hash of integers is good enough. Nodes keep their hash: growing calls
// nothing of the program's.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <iterator>
#include <stdexcept>
#include <type_traits>
#include <utility>

#include <tricolor/allocator.hpp>
#include <tricolor/container/hash_nodes.hpp>
#include <tricolor/container/node_handle.hpp>
#include <tricolor/container/sequence.hpp>
#include <tricolor/detail/exceptions.hpp>
#include <tricolor/detail/node.hpp>

namespace tricolor::gc::detail {

// Policy: key_type, value_type, hash, equal, is_map, is_multi, key(value).
template <class Policy>
class hash_table {
  using links = hash_links;
  using node_t = hash_node<Policy>;
  static constexpr bool kTransparent = requires {
    typename Policy::hash::is_transparent;
    typename Policy::equal::is_transparent;
  };
  static constexpr std::size_t kFewestBuckets = 8;

 public:
  using key_type = typename Policy::key_type;
  using value_type = typename Policy::value_type;
  using hasher = typename Policy::hash;
  using key_equal = typename Policy::equal;
  using allocator_type = allocator<value_type>;
  using size_type = std::size_t;
  using difference_type = std::ptrdiff_t;
  using reference = value_type&;
  using const_reference = const value_type&;
  using pointer = value_type*;
  using const_pointer = const value_type*;
  using iterator = hash_iterator<Policy, !Policy::is_map>;
  using const_iterator = hash_iterator<Policy, true>;
  using local_iterator = bucket_iterator<Policy, !Policy::is_map>;
  using const_local_iterator = bucket_iterator<Policy, true>;
  struct handle_policy : Policy {
    using node_type = node_t;
  };
  using node_type = node_handle<handle_policy>;
  using insert_return_type = insert_return<iterator, node_type>;
  using inserted = std::conditional_t<Policy::is_multi, iterator, std::pair<iterator, bool>>;

  iterator begin() noexcept { return iterator(fields_.first()); }
  const_iterator begin() const noexcept { return const_iterator(fields_.first()); }
  iterator end() noexcept { return iterator(); }
  const_iterator end() const noexcept { return const_iterator(); }
  const_iterator cbegin() const noexcept { return begin(); }
  const_iterator cend() const noexcept { return end(); }

  [[nodiscard]] bool empty() const noexcept { return size() == 0; }
  size_type size() const noexcept { return fields_.size; }
  static constexpr size_type max_size() noexcept { return kMostElements<node_t>; }
  allocator_type get_allocator() const noexcept { return {}; }
  hasher hash_function() const { return hash_; }
  key_equal key_eq() const { return equal_; }

  template <class... Args>
  inserted emplace(Args&&... args) {
    node_type owner(make<node_t>(std::in_place, std::forward<Args>(args)...));
    node_t* const n = owner.get();
    n->hash = hash_(Policy::key(n->value));
    links* const p = find_before(n->hash, Policy::key(n->value));
    if constexpr (Policy::is_multi) {
      return link_equal(owner);
    } else {
      if (p != nullptr) return {iterator(p->next), false};
      make_room(1);
      return {link_fresh(owner.release()), true};
    }
  }
  template <class... Args>
  iterator emplace_hint(const_iterator, Args&&... args) {
    return only_iterator(emplace(std::forward<Args>(args)...));
  }
  inserted insert(const value_type& value) { return add(value); }
  inserted insert(value_type&& value) { return add(std::move(value)); }
  template <class P>
  requires(Policy::is_map&& std::is_constructible_v<value_type, P&&>) inserted insert(P&& value) {
    return emplace(std::forward<P>(value));
  }
  iterator insert(const_iterator, const value_type& value) { return only_iterator(add(value)); }
  iterator insert(const_iterator, value_type&& value) {
    return only_iterator(add(std::move(value)));
  }
  template <input_iterator It>
  void insert(It first, It last) {
    for (; first != last; ++first) emplace(*first);
  }
  void insert(std::initializer_list<value_type> values) { insert(values.begin(), values.end()); }

  iterator erase(const_iterator position) noexcept {
    links* const next = position.node_->next;
    end_node(unlink(position.node_));
    return iterator(next);
  }
  iterator erase(iterator position) noexcept requires Policy::is_map {
    return erase(const_iterator(position));
  }
  iterator erase(const_iterator first, const_iterator last) noexcept {
    while (first != last) first = erase(first);
    return iterator(last.node_);
  }
  size_type erase(const key_type& key) { return erase_all(key); }
  template <class K>
  requires(kTransparent && !std::is_convertible_v<K, const_iterator>) size_type erase(K&& key) {
    return erase_all(key);
  }
  void clear() noexcept {
    end_nodes<Policy>(fields_);
    if (fields_.before != nullptr) fields_.before->next = nullptr;
    ptr<links>* const table = fields_.buckets;
    for (size_type i = 0; i < fields_.bucket_count(); ++i) table[i] = nullptr;
    fields_.size = 0;
  }

  node_type extract(const_iterator position) noexcept { return node_type(unlink(position.node_)); }
  node_type extract(const key_type& key) {
    const iterator at = find(key);
    return at == end() ? node_type() : extract(at);
  }
  auto insert(node_type&& n) {
    if constexpr (Policy::is_multi) {
      return n.empty() ? end() : rehashed(n, [&] { return link_equal(n); });
    } else {
      if (n.empty()) return insert_return_type{end(), false, node_type()};
      return rehashed(n, [&] {
        links* const p = find_before(n.get()->hash, Policy::key(n.get()->value));
        if (p != nullptr) return insert_return_type{iterator(p->next), false, std::move(n)};
        make_room(1);
        return insert_return_type{link_fresh(n.release()), true, node_type()};
      });
    }
  }
  iterator insert(const_iterator, node_type&& n) {
    if constexpr (Policy::is_multi) {
      return insert(std::move(n));
    } else {
      return insert(std::move(n)).position;
    }
  }
  template <class Other>
  void merge(Other&& other) {
    if (static_cast<const void*>(this) == static_cast<const void*>(&other)) return;
    for (auto i = other.begin(); i != other.end();) {
      const auto at = i++;
      if constexpr (!Policy::is_multi) {
        if (contains(Policy::key(*at))) continue;
      }
      insert(other.extract(at));
    }
  }

  iterator find(const key_type& key) { return iterator(find_node(key)); }
  const_iterator find(const key_type& key) const { return const_iterator(find_node(key)); }
  bool contains(const key_type& key) const { return find_node(key) != nullptr; }
  size_type count(const key_type& key) const { return count_of(key); }
  std::pair<iterator, iterator> equal_range(const key_type& key) { return range_of<iterator>(key); }
  std::pair<const_iterator, const_iterator> equal_range(const key_type& key) const {
    return range_of<const_iterator>(key);
  }
  template <class K>
  requires kTransparent iterator find(const K& key) { return iterator(find_node(key)); }
  template <class K>
  requires kTransparent const_iterator find(const K& key)
  const { return const_iterator(find_node(key)); }
  template <class K>
  requires kTransparent bool contains(const K& key) const { return find_node(key) != nullptr; }
  template <class K>
  requires kTransparent size_type count(const K& key)
  const { return count_of(key); }
  template <class K>
  requires kTransparent std::pair<iterator, iterator> equal_range(const K& key) {
    return range_of<iterator>(key);
  }
  template <class K>
  requires kTransparent std::pair<const_iterator, const_iterator> equal_range(const K& key)
  const { return range_of<const_iterator>(key); }

  size_type bucket_count() const noexcept { return fields_.bucket_count(); }
  static constexpr size_type max_bucket_count() noexcept { return kMostElements<ptr<links>>; }
  size_type bucket(const key_type& key) const { return fields_.index(hash_(key), fields_.shift); }
  size_type bucket_size(size_type i) const noexcept {
    return static_cast<size_type>(std::distance(begin(i), end(i)));
  }
  local_iterator begin(size_type i) noexcept { return {first_of(i), fields_.shift}; }
  const_local_iterator begin(size_type i) const noexcept { return {first_of(i), fields_.shift}; }
  const_local_iterator cbegin(size_type i) const noexcept { return begin(i); }
  local_iterator end(size_type) noexcept { return {}; }
  const_local_iterator end(size_type) const noexcept { return {}; }
  const_local_iterator cend(size_type) const noexcept { return {}; }
  float load_factor() const noexcept {
    return empty() ? 0.0F : static_cast<float>(size()) / static_cast<float>(bucket_count());
  }
  float max_load_factor() const noexcept { return max_load_; }
  void max_load_factor(float most) noexcept { max_load_ = most > 0.05F ? most : 0.05F; }
  void rehash(size_type count) {
    const size_type needed = std::max({count, buckets_for(size()), kFewestBuckets});
    if (needed > max_bucket_count() / 2)
      TRICOLOR_THROW(std::length_error("gc::unordered: too long"));
    if (std::bit_ceil(needed) != bucket_count()) fields_.set_buckets(std::bit_ceil(needed));
  }
  void reserve(size_type count) {
    const size_type needed = buckets_for(count);
    if (needed > bucket_count()) rehash(needed);
  }

  template <class Predicate>
  friend size_type erase_if(hash_table& c, Predicate predicate) {
    const size_type before = c.size();
    for (auto i = c.begin(); i != c.end();) {
      if (predicate(*i)) {
        i = c.erase(i);
      } else {
        ++i;
      }
    }
    return before - c.size();
  }
  friend bool operator==(const hash_table& a, const hash_table& b) {
    if (a.size() != b.size()) return false;
    for (auto i = a.begin(); i != a.end();) {
      const auto mine = a.equal_range(Policy::key(*i));
      const auto other = b.equal_range(Policy::key(*i));
      if (!std::is_permutation(mine.first, mine.second, other.first, other.second)) return false;
      i = mine.second;
    }
    return true;
  }

 protected:
  hash_table() = default;
  hash_table(size_type buckets, const hasher& hash, const key_equal& equal)
      : hash_(hash), equal_(equal) {
    if (buckets > 0) rehash(buckets);
  }
  hash_table(const hash_table& other)
      : hash_(other.hash_), equal_(other.equal_), max_load_(other.max_load_) {
    append(other);
  }
  hash_table(hash_table&& other) noexcept(std::is_nothrow_copy_constructible_v<hasher>&&
                                              std::is_nothrow_copy_constructible_v<key_equal>)
      : hash_(other.hash_), equal_(other.equal_), max_load_(other.max_load_) {
    swap_nodes(other);
  }
  ~hash_table() = default;
  hash_table& operator=(const hash_table& other) {
    if (this == &other) return *this;
    clear();
    hash_ = other.hash_;
    equal_ = other.equal_;
    max_load_ = other.max_load_;
    append(other);
    return *this;
  }
  hash_table& operator=(hash_table&& other) noexcept(
      std::is_nothrow_copy_assignable_v<hasher>&& std::is_nothrow_copy_assignable_v<key_equal>) {
    if (this == &other) return *this;
    clear();
    hash_ = other.hash_;
    equal_ = other.equal_;
    max_load_ = other.max_load_;
    swap_nodes(other);
    return *this;
  }
  void swap_tables(hash_table& other) noexcept(
      std::is_nothrow_swappable_v<hasher>&& std::is_nothrow_swappable_v<key_equal>) {
    swap_nodes(other);
    using std::swap;
    swap(hash_, other.hash_);
    swap(equal_, other.equal_);
    swap(max_load_, other.max_load_);
  }

  // The node of `key`, made from `args` where there is none.
  template <class K, class... Args>
  std::pair<iterator, bool> find_or_make(const K& key, Args&&... args) {
    const size_type hash = hash_(key);
    if (links* const p = find_before(hash, key)) return {iterator(p->next), false};
    node_type owner(make<node_t>(std::in_place, std::forward<Args>(args)...));
    owner.get()->hash = hash;
    make_room(1);
    return {link_fresh(owner.release()), true};
  }

 private:
  static const key_type& key_of(const links* n) noexcept {
    return Policy::key(static_cast<const node_t*>(n)->value);
  }
  links* first_of(size_type i) const noexcept {
    links* const front = fields_.buckets.get()[i];
    return front == nullptr ? nullptr : front->next.get();
  }
  size_type buckets_for(size_type count) const {
    const double needed = std::ceil(static_cast<double>(count) / static_cast<double>(max_load_));
    if (needed > static_cast<double>(max_bucket_count() / 2)) {
      TRICOLOR_THROW(std::length_error("gc::unordered: too long"));
    }
    return static_cast<size_type>(needed);
  }
  void make_room(size_type extra) {
    const size_type n = size() + extra;
    if (static_cast<float>(n) <= max_load_ * static_cast<float>(bucket_count())) return;
    fields_.set_buckets(std::max(std::bit_ceil(buckets_for(n)), kFewestBuckets));
  }

  // The node in front of the first of `key`; nullptr: there is none.
  template <class K>
  links* find_before(size_type hash, const K& key) const {
    if (fields_.size == 0) return nullptr;
    const size_type i = fields_.index(hash, fields_.shift);
    links* p = fields_.buckets.get()[i];
    if (p == nullptr) return nullptr;
    for (links* n = p->next; n != nullptr; p = n, n = n->next) {
      if (n->hash == hash) {
        if (equal_(key_of(n), key)) return p;
      } else if (fields_.index(n) != i) {
        return nullptr;
      }
    }
    return nullptr;
  }
  template <class K>
  links* find_node(const K& key) const {
    if (fields_.size == 0) return nullptr;
    links* const p = find_before(hash_(key), key);
    return p == nullptr ? nullptr : p->next.get();
  }
  // The node behind the last that equals `n`.
  links* behind_equals(links* n) const {
    links* last = n->next;
    if constexpr (Policy::is_multi) {
      while (last != nullptr && last->hash == n->hash && equal_(key_of(n), key_of(last))) {
        last = last->next;
      }
    }
    return last;
  }
  template <class Iterator, class K>
  std::pair<Iterator, Iterator> range_of(const K& key) const {
    links* const n = find_node(key);
    if (n == nullptr) return {Iterator(), Iterator()};
    return {Iterator(n), Iterator(behind_equals(n))};
  }
  template <class K>
  size_type count_of(const K& key) const {
    const auto [first, last] = range_of<const_iterator>(key);
    return static_cast<size_type>(std::distance(first, last));
  }
  template <class K>
  size_type erase_all(const K& key) {
    const auto [first, last] = range_of<const_iterator>(key);  // `key` may lie in one of them
    const size_type before = size();
    erase(first, last);
    return before - size();
  }

  iterator link_fresh(node_t* n) noexcept {
    fields_.link(n, nullptr);
    ++fields_.size;
    return iterator(n);
  }
  iterator link_equal(node_type& owner) {
    node_t* const n = owner.get();
    make_room(1);
    links* const p = find_before(n->hash, Policy::key(n->value));
    owner.release();
    if (p == nullptr) return link_fresh(n);
    n->next = p->next;
    p->next = n;
    ++fields_.size;
    return iterator(n);
  }
  // The key of an extracted node may have been changed, and come from a table with another hash
  // function.
  template <class Link>
  auto rehashed(node_type& n, Link link) {
    n.get()->hash = hash_(Policy::key(n.get()->value));
    return link();
  }
  template <class V>
  inserted add(V&& value) {
    if constexpr (Policy::is_multi) {
      return emplace(std::forward<V>(value));
    } else {
      return find_or_make(Policy::key(value), std::forward<V>(value));
    }
  }
  static iterator only_iterator(iterator i) noexcept { return i; }
  static iterator only_iterator(const std::pair<iterator, bool>& result) noexcept {
    return result.first;
  }
  node_t* unlink(links* n) noexcept {
    fields_.unlink(fields_.predecessor(n), n);
    return static_cast<node_t*>(n);
  }
  void append(const hash_table& other) {
    if (other.empty()) return;
    rehash(buckets_for(other.size()));
    links* previous = nullptr;
    for (links* from = other.fields_.first(); from != nullptr; from = from->next) {
      node_t* const n = make<node_t>(std::in_place, static_cast<const node_t*>(from)->value);
      n->hash = from->hash;
      fields_.link(n, previous);
      ++fields_.size;
      previous = n;
    }
  }
  void swap_nodes(hash_table& other) noexcept {
    fields_.before.swap(other.fields_.before);
    fields_.buckets.swap(other.fields_.buckets);
    std::swap(fields_.size, other.fields_.size);
    std::swap(fields_.shift, other.fields_.shift);
  }

  hash_storage<Policy> fields_;
  [[no_unique_address]] hasher hash_{};
  [[no_unique_address]] key_equal equal_{};
  float max_load_ = 1.0F;
};

}  // namespace tricolor::gc::detail
