// Nodes, buckets and iterators of the hashed containers; see hash_table.hpp.
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
#include <tricolor/container/node_handle.hpp>
#include <tricolor/container/sequence.hpp>
#include <tricolor/detail/node.hpp>

namespace tricolor::gc::detail {

struct hash_links {
  ptr<hash_links> next;
  std::size_t hash = 0;
};

template <class Policy>
struct hash_node : node<hash_links, typename Policy::value_type> {
  using node<hash_links, typename Policy::value_type>::node;
};

struct hash_fields {
  ptr<hash_links> before;
  ptr<ptr<hash_links>> buckets;
  std::size_t size = 0;
  unsigned shift = 64;  // 64 - log2 of the number of buckets; no buckets: 64

  std::size_t bucket_count() const noexcept {
    return shift == 64 ? 0 : std::size_t{1} << (64 - shift);
  }
  static std::size_t index(std::size_t hash, unsigned shift) noexcept {
    return static_cast<std::size_t>((hash * std::uint64_t{0x9e3779b97f4a7c15}) >> shift);
  }
  std::size_t index(const hash_links* n) const noexcept { return index(n->hash, shift); }
  hash_links* first() const noexcept { return before == nullptr ? nullptr : before->next.get(); }

  // Behind `previous` where that has the same hash (equal elements stay side by side), else first
  // in its bucket.
  void link(hash_links* n, hash_links* previous) noexcept {
    ptr<hash_links>* const table = buckets;
    const std::size_t i = index(n);
    if (previous != nullptr && previous->hash == n->hash) {
      hash_links* const next = previous->next;
      n->next = next;
      previous->next = n;
      if (next != nullptr && index(next) != i) table[index(next)] = n;
    } else if (hash_links* const front = table[i]) {
      n->next = front->next;
      front->next = n;
    } else {
      hash_links* const head = before;
      hash_links* const next = head->next;
      n->next = next;
      head->next = n;
      table[i] = head;
      if (next != nullptr) table[index(next)] = n;
    }
  }
  // Takes the node behind `p` out.
  void unlink(hash_links* p, hash_links* n) noexcept {
    ptr<hash_links>* const table = buckets;
    hash_links* const next = n->next;
    const std::size_t i = index(n);
    const bool last = next == nullptr || index(next) != i;
    if (last && next != nullptr) table[index(next)] = p;
    if (last && table[i] == p) table[i] = nullptr;
    p->next = next;
    n->next = nullptr;
    --size;
  }
  hash_links* predecessor(const hash_links* n) const noexcept {
    hash_links* p = buckets.get()[index(n)];
    while (p->next != n) p = p->next;
    return p;
  }
  // std::bad_alloc: nothing has changed.
  void set_buckets(std::size_t count) {
    if (before == nullptr) before = make<hash_links>();
    ptr<hash_links>* const table = make_array<ptr<hash_links>>(count);
    hash_links* n = before->next;
    before->next = nullptr;
    buckets = table;
    shift = static_cast<unsigned>(64 - std::countr_zero(count));
    for (hash_links* previous = nullptr; n != nullptr;) {
      hash_links* const next = n->next;
      link(n, previous);
      previous = n;
      n = next;
    }
  }
};

template <class Policy>
class hash_table;

template <class Policy, bool Const>
class hash_iterator {
 public:
  using iterator_category = std::forward_iterator_tag;
  using value_type = typename Policy::value_type;
  using difference_type = std::ptrdiff_t;
  using reference = std::conditional_t<Const, const value_type&, value_type&>;
  using pointer = std::remove_reference_t<reference>*;

  hash_iterator() noexcept = default;
  hash_iterator(const hash_iterator<Policy, false>& other) noexcept requires Const
      : node_(other.node_) {}
  hash_iterator(const hash_iterator&) noexcept = default;
  hash_iterator& operator=(const hash_iterator&) noexcept = default;

  reference operator*() const noexcept { return static_cast<hash_node<Policy>*>(node_)->value; }
  pointer operator->() const noexcept { return &**this; }
  hash_iterator& operator++() noexcept {
    node_ = node_->next;
    return *this;
  }
  hash_iterator operator++(int) noexcept {
    const hash_iterator before = *this;
    ++*this;
    return before;
  }
  friend bool operator==(const hash_iterator& a, const hash_iterator& b) noexcept {
    return a.node_ == b.node_;
  }

 private:
  template <class, bool>
  friend class hash_iterator;
  friend class hash_table<Policy>;
  explicit hash_iterator(hash_links* n) noexcept : node_(n) {}

  hash_links* node_ = nullptr;
};

// The elements of one bucket.
template <class Policy, bool Const>
class bucket_iterator {
  using base = hash_iterator<Policy, Const>;

 public:
  using iterator_category = std::forward_iterator_tag;
  using value_type = typename base::value_type;
  using difference_type = std::ptrdiff_t;
  using reference = typename base::reference;
  using pointer = typename base::pointer;

  bucket_iterator() noexcept = default;
  bucket_iterator(hash_links* n, unsigned shift) noexcept : node_(n), shift_(shift) {}
  reference operator*() const noexcept { return static_cast<hash_node<Policy>*>(node_)->value; }
  pointer operator->() const noexcept { return &**this; }
  bucket_iterator& operator++() noexcept {
    hash_links* const next = node_->next;
    const bool same = next != nullptr && hash_fields::index(next->hash, shift_) ==
                                             hash_fields::index(node_->hash, shift_);
    node_ = same ? next : nullptr;
    return *this;
  }
  bucket_iterator operator++(int) noexcept {
    const bucket_iterator before = *this;
    ++*this;
    return before;
  }
  friend bool operator==(const bucket_iterator& a, const bucket_iterator& b) noexcept {
    return a.node_ == b.node_;
  }

 private:
  hash_links* node_ = nullptr;
  unsigned shift_ = 0;
};

template <class Policy>
void end_nodes(hash_fields& fields) noexcept {
  if constexpr (has_destructor<typename Policy::value_type>) {
    for (hash_links* n = fields.first(); n != nullptr;) {
      hash_links* const next = n->next;
      end_node(static_cast<hash_node<Policy>*>(n));
      n = next;
    }
  }
}
template <class Policy, bool = has_destructor<typename Policy::value_type>>
struct hash_storage : hash_fields {};
template <class Policy>
struct hash_storage<Policy, true> : hash_fields {
  hash_storage() = default;
  hash_storage(const hash_storage&) = delete;
  hash_storage& operator=(const hash_storage&) = delete;
  ~hash_storage() {
    if (!ending_dead_object()) end_nodes<Policy>(*this);  // else they look after themselves
  }
};

}  // namespace tricolor::gc::detail
