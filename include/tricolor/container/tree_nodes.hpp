// Nodes and iterators of the ordered containers; see tree.hpp.
#pragma once

#include <algorithm>
#include <compare>
#include <cstddef>
#include <initializer_list>
#include <iterator>
#include <type_traits>
#include <utility>

#include <boost/intrusive/rbtree_algorithms.hpp>
#include <tricolor/allocator.hpp>
#include <tricolor/container/node_handle.hpp>
#include <tricolor/container/sequence.hpp>
#include <tricolor/detail/node.hpp>

namespace tricolor::gc::detail {

struct tree_links {
  ptr<tree_links> parent, left, right;
  bool red = false;
  bool header = false;
};

struct tree_traits {
  using node = tree_links;
  using node_ptr = tree_links*;
  using const_node_ptr = const tree_links*;
  using color = bool;
  static node_ptr get_parent(const_node_ptr n) noexcept { return n->parent; }
  static void set_parent(node_ptr n, node_ptr p) noexcept { n->parent = p; }
  static node_ptr get_left(const_node_ptr n) noexcept { return n->left; }
  static void set_left(node_ptr n, node_ptr p) noexcept { n->left = p; }
  static node_ptr get_right(const_node_ptr n) noexcept { return n->right; }
  static void set_right(node_ptr n, node_ptr p) noexcept { n->right = p; }
  static color get_color(const_node_ptr n) noexcept { return n->red; }
  static void set_color(node_ptr n, color c) noexcept { n->red = c; }
  static color black() noexcept { return false; }
  static color red() noexcept { return true; }
};
using tree_algorithms = boost::intrusive::rbtree_algorithms<tree_traits>;

template <class Policy>
struct tree_node : node<tree_links, typename Policy::value_type> {
  using node<tree_links, typename Policy::value_type>::node;
};

template <class Policy>
class tree;

template <class Policy, bool Const>
class tree_iterator {
 public:
  using iterator_category = std::bidirectional_iterator_tag;
  using value_type = typename Policy::value_type;
  using difference_type = std::ptrdiff_t;
  using reference = std::conditional_t<Const, const value_type&, value_type&>;
  using pointer = std::remove_reference_t<reference>*;

  tree_iterator() noexcept = default;
  tree_iterator(const tree_iterator<Policy, false>& other) noexcept requires Const
      : node_(other.node_) {}
  tree_iterator(const tree_iterator&) noexcept = default;
  tree_iterator& operator=(const tree_iterator&) noexcept = default;

  reference operator*() const noexcept { return static_cast<tree_node<Policy>*>(node_)->value; }
  pointer operator->() const noexcept { return &**this; }
  tree_iterator& operator++() noexcept {
    node_ = tree_algorithms::next_node(node_);
    return *this;
  }
  tree_iterator& operator--() noexcept {
    node_ = tree_algorithms::prev_node(node_);
    return *this;
  }
  tree_iterator operator++(int) noexcept {
    const tree_iterator before = *this;
    ++*this;
    return before;
  }
  tree_iterator operator--(int) noexcept {
    const tree_iterator before = *this;
    --*this;
    return before;
  }
  // An end taken before there was a header is null.
  friend bool operator==(const tree_iterator& a, const tree_iterator& b) noexcept {
    if (a.node_ == b.node_) return true;
    if (__builtin_expect(a.node_ != nullptr && b.node_ != nullptr, 1)) return false;
    return (a.node_ == nullptr || a.node_->header) && (b.node_ == nullptr || b.node_->header);
  }

 private:
  template <class, bool>
  friend class tree_iterator;
  friend class tree<Policy>;
  explicit tree_iterator(tree_links* n) noexcept : node_(n) {}

  tree_links* node_ = nullptr;
};

struct tree_fields {
  ptr<tree_links> header;
  std::size_t size = 0;
};
template <class Policy>
void end_tree(tree_fields& fields) noexcept {
  if (fields.header != nullptr && fields.size != 0) {
    if constexpr (has_destructor<typename Policy::value_type>) {
      tree_algorithms::clear_and_dispose(
          fields.header.get(), [](tree_links* n) { end_node(static_cast<tree_node<Policy>*>(n)); });
    }
    fields.header = nullptr;
  }
  fields.size = 0;
}
template <class Policy, bool = has_destructor<typename Policy::value_type>>
struct tree_storage : tree_fields {};
template <class Policy>
struct tree_storage<Policy, true> : tree_fields {
  tree_storage() = default;
  tree_storage(const tree_storage&) = delete;
  tree_storage& operator=(const tree_storage&) = delete;
  ~tree_storage() {
    if (!ending_dead_object()) end_tree<Policy>(*this);  // else the nodes look after themselves
  }
};

}  // namespace tricolor::gc::detail
