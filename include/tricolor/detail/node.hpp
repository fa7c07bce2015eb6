// Nodes of the collected containers: one collected object each, which holds one value.
//
// A node whose value has a destructor has one itself, which runs when the node is found dead. A
// container that removes the value before that destroys it and disarms the node. Links are cut
// then: a stale pointer to the node keeps nothing else alive.
#pragma once

#include <cstddef>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>

#include <tricolor/detail/block.hpp>
#include <tricolor/make.hpp>

namespace tricolor::gc::detail {

// `Links` is what the container needs of a node; `Value` is constructed by the node's constructor.
template <class Links, class Value>
struct node : Links {
  template <class... Args>
  explicit node(std::in_place_t, Args&&... args) : value(std::forward<Args>(args)...) {}

  Value value;
};

// A node that is unlinked: its value is destroyed and it is over.
template <class Node>
void end_node(Node* n) noexcept {
  if constexpr (has_destructor<Node>) {
    constexpr std::size_t size =
        cell_size_for(aligned_cell_size(sizeof(Node) + kWord, alignof(Node)));
    store_word(hidden_word(n, size, 1), static_cast<void*>(nullptr));
    n->~Node();
  }
  if constexpr (!is_leaf_v<Node>) std::memset(static_cast<void*>(n), 0, sizeof(Node));
}

}  // namespace tricolor::gc::detail
