// What extract() of the collected containers returns: a node without a container.
#pragma once

#include <type_traits>
#include <utility>

#include <tricolor/detail/node.hpp>

namespace tricolor::gc::detail {

template <class Policy>
class node_handle {
  using node_type = typename Policy::node_type;

 public:
  node_handle() noexcept = default;
  explicit node_handle(node_type* n) noexcept : node_(n) {}
  node_handle(node_handle&& other) noexcept : node_(other.release()) {}
  node_handle& operator=(node_handle&& other) noexcept {
    if (this == &other) return *this;
    end();
    node_ = other.release();
    return *this;
  }
  ~node_handle() { end(); }

  [[nodiscard]] bool empty() const noexcept { return node_ == nullptr; }
  explicit operator bool() const noexcept { return !empty(); }
  auto& value() const noexcept requires(!Policy::is_map) { return node_->value; }
  auto& key() const noexcept requires Policy::is_map {
    return const_cast<typename Policy::key_type&>(node_->value.first);
  }
  auto& mapped() const noexcept requires Policy::is_map { return node_->value.second; }
  void swap(node_handle& other) noexcept { node_.swap(other.node_); }
  friend void swap(node_handle& a, node_handle& b) noexcept { a.swap(b); }

  // For the containers: the node, which the caller links.
  node_type* get() const noexcept { return node_; }
  node_type* release() noexcept {
    node_type* const n = node_;
    node_ = nullptr;
    return n;
  }

 private:
  void end() noexcept {
    if (node_ != nullptr && !ending_dead_object()) end_node(node_.get());
  }

  ptr<node_type> node_;
};

template <class Iterator, class NodeHandle>
struct insert_return {
  Iterator position;
  bool inserted = false;
  NodeHandle node;
};

}  // namespace tricolor::gc::detail
