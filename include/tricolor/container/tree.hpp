// What gc::map, multimap, set and multiset have in common: a red-black tree of collected nodes.
//
// Searching and balancing are Boost.Intrusive's algorithms over nodes whose links are gc::ptr, so
// that each store of a link passes the barrier, while everything that they hold on the stack is a
// plain pointer. The header is a collected object of its own, made with the first element: no node
// refers to the container's owner, which would then be part of a cycle.
#pragma once

#include <algorithm>
#include <compare>
#include <cstddef>
#include <initializer_list>
#include <iterator>
#include <type_traits>
#include <utility>

#include <tricolor/allocator.hpp>
#include <tricolor/container/node_handle.hpp>
#include <tricolor/container/sequence.hpp>
#include <tricolor/container/tree_nodes.hpp>
#include <tricolor/detail/node.hpp>

namespace tricolor::gc::detail {

template <class Less>
concept transparent = requires {
  typename Less::is_transparent;
};

// Policy: key_type, value_type, compare, is_map, is_multi, key(value).
template <class Policy>
class tree {
  using links = tree_links;
  using node_t = tree_node<Policy>;
  using algorithms = tree_algorithms;

 public:
  using key_type = typename Policy::key_type;
  using value_type = typename Policy::value_type;
  using key_compare = typename Policy::compare;
  using value_compare = typename Policy::value_compare;
  using allocator_type = allocator<value_type>;
  using size_type = std::size_t;
  using difference_type = std::ptrdiff_t;
  using reference = value_type&;
  using const_reference = const value_type&;
  using pointer = value_type*;
  using const_pointer = const value_type*;
  using iterator = tree_iterator<Policy, !Policy::is_map>;
  using const_iterator = tree_iterator<Policy, true>;
  using reverse_iterator = std::reverse_iterator<iterator>;
  using const_reverse_iterator = std::reverse_iterator<const_iterator>;
  struct handle_policy : Policy {
    using node_type = node_t;
  };
  using node_type = node_handle<handle_policy>;
  using insert_return_type = insert_return<iterator, node_type>;
  using inserted = std::conditional_t<Policy::is_multi, iterator, std::pair<iterator, bool>>;

  iterator begin() noexcept { return iterator(first()); }
  const_iterator begin() const noexcept { return const_iterator(first()); }
  iterator end() noexcept { return iterator(fields_.header); }
  const_iterator end() const noexcept { return const_iterator(fields_.header); }
  const_iterator cbegin() const noexcept { return begin(); }
  const_iterator cend() const noexcept { return end(); }
  reverse_iterator rbegin() noexcept { return reverse_iterator(end()); }
  const_reverse_iterator rbegin() const noexcept { return const_reverse_iterator(end()); }
  reverse_iterator rend() noexcept { return reverse_iterator(begin()); }
  const_reverse_iterator rend() const noexcept { return const_reverse_iterator(begin()); }
  const_reverse_iterator crbegin() const noexcept { return rbegin(); }
  const_reverse_iterator crend() const noexcept { return rend(); }

  [[nodiscard]] bool empty() const noexcept { return size() == 0; }
  size_type size() const noexcept { return fields_.size; }
  static constexpr size_type max_size() noexcept { return kMostElements<node_t>; }
  allocator_type get_allocator() const noexcept { return {}; }
  key_compare key_comp() const { return less_; }
  value_compare value_comp() const { return value_compare(less_); }

  template <class... Args>
  inserted emplace(Args&&... args) {
    return link(make<node_t>(std::in_place, std::forward<Args>(args)...), nullptr);
  }
  template <class... Args>
  iterator emplace_hint(const_iterator hint, Args&&... args) {
    return only_iterator(
        link(make<node_t>(std::in_place, std::forward<Args>(args)...), hint.node_));
  }
  inserted insert(const value_type& value) { return add(nullptr, value); }
  inserted insert(value_type&& value) { return add(nullptr, std::move(value)); }
  template <class P>
  requires(Policy::is_map&& std::is_constructible_v<value_type, P&&>) inserted insert(P&& value) {
    return emplace(std::forward<P>(value));
  }
  iterator insert(const_iterator hint, const value_type& value) {
    return only_iterator(add(hint.node_, value));
  }
  iterator insert(const_iterator hint, value_type&& value) {
    return only_iterator(add(hint.node_, std::move(value)));
  }
  template <input_iterator It>
  void insert(It first, It last) {
    for (; first != last; ++first) emplace_hint(end(), *first);
  }
  void insert(std::initializer_list<value_type> values) { insert(values.begin(), values.end()); }

  iterator erase(const_iterator position) noexcept {
    links* const next = algorithms::next_node(position.node_);
    end_node(unlink(position.node_));
    return iterator(next);
  }
  iterator erase(iterator position) noexcept requires Policy::is_map {
    return erase(const_iterator(position));
  }
  iterator erase(const_iterator first, const_iterator last) noexcept {
    if (first == begin() && last == end()) clear();
    while (first != last) first = erase(first);
    return iterator(last.node_);
  }
  size_type erase(const key_type& key) { return erase_all(key); }
  template <class K>
  requires(transparent<key_compare> && !std::is_convertible_v<K, const_iterator>) size_type
      erase(K&& key) {
    return erase_all(key);
  }
  void clear() noexcept { end_tree<Policy>(fields_); }

  node_type extract(const_iterator position) noexcept { return node_type(unlink(position.node_)); }
  node_type extract(const key_type& key) {
    const iterator at = find(key);
    return at == end() ? node_type() : extract(at);
  }
  auto insert(node_type&& n) {
    if constexpr (Policy::is_multi) {
      return n.empty() ? end() : insert(end(), std::move(n));
    } else {
      if (n.empty()) return insert_return_type{end(), false, node_type()};
      typename algorithms::insert_commit_data data;
      const auto [at, fresh] = check_unique(nullptr, Policy::key(n.get()->value), data);
      if (!fresh) return insert_return_type{iterator(at), false, std::move(n)};
      return insert_return_type{commit(n.release(), data), true, node_type()};
    }
  }
  iterator insert(const_iterator hint, node_type&& n) {
    if (n.empty()) return end();
    if constexpr (Policy::is_multi) {
      const iterator at = link_equal(n.get(), hint.node_);
      n.release();
      return at;
    } else {
      return insert(std::move(n)).position;
    }
  }
  template <class Other>
  void merge(Other&& other) {
    if (static_cast<const void*>(this) == static_cast<const void*>(&other)) return;
    for (auto i = other.begin(); i != other.end();) {
      auto n = other.extract(i++);
      if constexpr (Policy::is_multi) {
        insert(end(), std::move(n));
      } else {
        auto result = insert(std::move(n));
        if (!result.inserted) other.insert(other.end(), std::move(result.node));
      }
    }
  }

  iterator find(const key_type& key) { return iterator(find_node(key)); }
  const_iterator find(const key_type& key) const { return const_iterator(find_node(key)); }
  size_type count(const key_type& key) const { return count_of(key); }
  bool contains(const key_type& key) const { return !is_end(find_node(key)); }
  iterator lower_bound(const key_type& key) { return iterator(lower(key)); }
  const_iterator lower_bound(const key_type& key) const { return const_iterator(lower(key)); }
  iterator upper_bound(const key_type& key) { return iterator(upper(key)); }
  const_iterator upper_bound(const key_type& key) const { return const_iterator(upper(key)); }
  std::pair<iterator, iterator> equal_range(const key_type& key) {
    return {iterator(lower(key)), iterator(upper(key))};
  }
  std::pair<const_iterator, const_iterator> equal_range(const key_type& key) const {
    return {const_iterator(lower(key)), const_iterator(upper(key))};
  }
  template <class K>
  requires transparent<key_compare> iterator find(const K& key) { return iterator(find_node(key)); }
  template <class K>
  requires transparent<key_compare> const_iterator find(const K& key)
  const { return const_iterator(find_node(key)); }
  template <class K>
  requires transparent<key_compare> size_type count(const K& key)
  const { return count_of(key); }
  template <class K>
  requires transparent<key_compare>
  bool contains(const K& key) const { return !is_end(find_node(key)); }
  template <class K>
  requires transparent<key_compare> iterator lower_bound(const K& key) {
    return iterator(lower(key));
  }
  template <class K>
  requires transparent<key_compare> const_iterator lower_bound(const K& key)
  const { return const_iterator(lower(key)); }
  template <class K>
  requires transparent<key_compare> iterator upper_bound(const K& key) {
    return iterator(upper(key));
  }
  template <class K>
  requires transparent<key_compare> const_iterator upper_bound(const K& key)
  const { return const_iterator(upper(key)); }
  template <class K>
  requires transparent<key_compare> std::pair<iterator, iterator> equal_range(const K& key) {
    return {iterator(lower(key)), iterator(upper(key))};
  }
  template <class K>
  requires transparent<key_compare> std::pair<const_iterator, const_iterator> equal_range(
      const K& key)
  const { return {const_iterator(lower(key)), const_iterator(upper(key))}; }

  friend bool operator==(const tree& a, const tree& b) {
    return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin());
  }
  friend auto operator<=>(const tree& a, const tree& b) {
    return std::lexicographical_compare_three_way(a.begin(), a.end(), b.begin(), b.end(),
                                                  SynthThreeWay{});
  }
  template <class Predicate>
  friend size_type erase_if(tree& c, Predicate predicate) {
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

 protected:
  tree() = default;
  explicit tree(const key_compare& less) : less_(less) {}
  tree(const tree& other) : less_(other.less_) { append(other); }
  tree(tree&& other) noexcept(std::is_nothrow_copy_constructible_v<key_compare>)
      : less_(other.less_) {
    swap_nodes(other);
  }
  ~tree() = default;
  tree& operator=(const tree& other) {
    if (this == &other) return *this;
    clear();
    less_ = other.less_;
    append(other);
    return *this;
  }
  tree& operator=(tree&& other) noexcept(std::is_nothrow_copy_assignable_v<key_compare>) {
    if (this == &other) return *this;
    clear();
    less_ = other.less_;
    swap_nodes(other);
    return *this;
  }
  void swap_trees(tree& other) noexcept(std::is_nothrow_swappable_v<key_compare>) {
    swap_nodes(other);
    using std::swap;
    swap(less_, other.less_);
  }

  // The node of `key`, made from `args` where there is none.
  template <class K, class... Args>
  std::pair<iterator, bool> find_or_make(links* hint, const K& key, Args&&... args) {
    typename algorithms::insert_commit_data data;
    const auto [at, fresh] = check_unique(hint, key, data);
    if (!fresh) return {iterator(at), false};
    return {commit(make<node_t>(std::in_place, std::forward<Args>(args)...), data), true};
  }
  static links* node_of(const_iterator i) noexcept { return i.node_; }

 private:
  static const key_type& key_of(const links* n) noexcept {
    return Policy::key(static_cast<const node_t*>(n)->value);
  }
  struct Order {
    const key_compare& less;
    template <class K>
    bool operator()(const links* a, const K& b) const {
      return less(key_of(a), b);
    }
    template <class K>
    bool operator()(const K& a, const links* b) const {
      return less(a, key_of(b));
    }
  };
  Order order() const noexcept { return {less_}; }
  auto node_order() const noexcept {
    return [this](const links* a, const links* b) { return less_(key_of(a), key_of(b)); };
  }

  links* first() const noexcept {
    return fields_.header == nullptr ? nullptr : fields_.header->left.get();
  }
  bool is_end(const links* n) const noexcept { return n == fields_.header.get(); }
  template <class K>
  links* lower(const K& key) const {
    return fields_.header == nullptr ? nullptr
                                     : algorithms::lower_bound(fields_.header.get(), key, order());
  }
  template <class K>
  links* upper(const K& key) const {
    return fields_.header == nullptr ? nullptr
                                     : algorithms::upper_bound(fields_.header.get(), key, order());
  }
  template <class K>
  links* find_node(const K& key) const {
    links* const n = lower(key);
    return is_end(n) || less_(key, key_of(n)) ? fields_.header.get() : n;
  }
  template <class K>
  size_type count_of(const K& key) const {
    size_type count = 0;
    links* const end = upper(key);
    for (links* n = lower(key); n != end; n = algorithms::next_node(n)) ++count;
    return count;
  }
  template <class K>
  size_type erase_all(const K& key) {
    const size_type before = size();
    links* const end = upper(key);  // first: `key` may lie in one of them
    for (links* n = lower(key); n != end;) {
      links* const next = algorithms::next_node(n);
      end_node(unlink(n));
      n = next;
    }
    return before - size();
  }

  links* header() {
    if (fields_.header == nullptr) {
      links* const h = make<links>();
      h->header = true;
      algorithms::init_header(h);
      fields_.header = h;
    }
    return fields_.header;
  }
  template <class K>
  std::pair<links*, bool> check_unique(links* hint, const K& key,
                                       typename algorithms::insert_commit_data& data) {
    links* const h = header();
    return hint == nullptr ? algorithms::insert_unique_check(h, key, order(), data)
                           : algorithms::insert_unique_check(h, hint, key, order(), data);
  }
  iterator commit(node_t* n, const typename algorithms::insert_commit_data& data) noexcept {
    algorithms::insert_unique_commit(fields_.header.get(), n, data);
    ++fields_.size;
    return iterator(n);
  }
  iterator link_equal(node_t* n, links* hint) {
    links* const h = header();
    if (hint == nullptr) {
      algorithms::insert_equal_upper_bound(h, n, node_order());
    } else {
      algorithms::insert_equal(h, hint, n, node_order());
    }
    ++fields_.size;
    return iterator(n);
  }
  // A node that may turn out not to be needed, or that the comparison may drop.
  inserted link(node_t* n, links* hint) {
    node_type owner(n);
    if constexpr (Policy::is_multi) {
      const iterator at = link_equal(n, hint);
      owner.release();
      return at;
    } else {
      typename algorithms::insert_commit_data data;
      const auto [at, fresh] = check_unique(hint, Policy::key(n->value), data);
      if (!fresh) return {iterator(at), false};
      return {commit(owner.release(), data), true};
    }
  }
  template <class V>
  inserted add(links* hint, V&& value) {
    if constexpr (Policy::is_multi) {
      return link(make<node_t>(std::in_place, std::forward<V>(value)), hint);
    } else {
      return find_or_make(hint, Policy::key(value), std::forward<V>(value));
    }
  }
  static iterator only_iterator(iterator i) noexcept { return i; }
  static iterator only_iterator(const std::pair<iterator, bool>& result) noexcept {
    return result.first;
  }
  node_t* unlink(links* n) noexcept {
    algorithms::erase(fields_.header.get(), n);
    --fields_.size;
    n->parent = nullptr;
    n->left = nullptr;
    n->right = nullptr;
    return static_cast<node_t*>(n);
  }
  void append(const tree& other) {
    for (const value_type& value : other) {
      links* const h = header();
      algorithms::insert_before(h, h, make<node_t>(std::in_place, value));
      ++fields_.size;
    }
  }
  void swap_nodes(tree& other) noexcept {
    fields_.header.swap(other.fields_.header);
    std::swap(fields_.size, other.fields_.size);
  }

  tree_storage<Policy> fields_;
  [[no_unique_address]] key_compare less_{};
};

}  // namespace tricolor::gc::detail
