// gc::list: std::list whose nodes are collected.
#pragma once

#include <algorithm>
#include <compare>
#include <cstddef>
#include <functional>
#include <initializer_list>
#include <iterator>
#include <type_traits>
#include <utility>

#include <tricolor/allocator.hpp>
#include <tricolor/container/sequence.hpp>
#include <tricolor/detail/exceptions.hpp>
#include <tricolor/detail/node.hpp>

namespace tricolor::gc {

template <class T>
class list;

namespace detail {

// The ends are null, and an iterator to the end is one to the list: no node refers to the list's
// owner, which would then be part of a cycle.
struct list_links {
  ptr<list_links> next, previous;
};
struct list_fields {
  ptr<list_links> first, last;
  std::size_t size = 0;
};

template <class T>
struct list_node : node<list_links, T> {
  using node<list_links, T>::node;
};

template <class T>
class list_iterator {
  using node_type = list_node<std::remove_const_t<T>>;

 public:
  using iterator_category = std::bidirectional_iterator_tag;
  using value_type = std::remove_const_t<T>;
  using difference_type = std::ptrdiff_t;
  using pointer = T*;
  using reference = T&;

  list_iterator() noexcept = default;
  list_iterator(
      const list_iterator<std::remove_const_t<T>>& other) noexcept requires std::is_const_v<T>
      : node_(other.node_), owner_(other.owner_) {}
  list_iterator(const list_iterator&) noexcept = default;
  list_iterator& operator=(const list_iterator&) noexcept = default;

  T& operator*() const noexcept { return static_cast<node_type*>(node_)->value; }
  T* operator->() const noexcept { return &**this; }
  list_iterator& operator++() noexcept {
    node_ = node_->next;
    return *this;
  }
  list_iterator& operator--() noexcept {
    node_ = node_ == nullptr ? owner_->last.get() : node_->previous.get();
    return *this;
  }
  list_iterator operator++(int) noexcept {
    const list_iterator before = *this;
    ++*this;
    return before;
  }
  list_iterator operator--(int) noexcept {
    const list_iterator before = *this;
    --*this;
    return before;
  }
  friend bool operator==(const list_iterator& a, const list_iterator& b) noexcept {
    return a.node_ == b.node_;
  }

 private:
  template <class>
  friend class list_iterator;
  friend class list<std::remove_const_t<T>>;
  list_iterator(list_links* n, const list_fields* owner) noexcept : node_(n), owner_(owner) {}

  list_links* node_ = nullptr;
  const list_fields* owner_ = nullptr;
};

template <class T, bool = has_destructor<T>>
struct list_storage : list_fields {};
template <class T>
struct list_storage<T, true> : list_fields {
  list_storage() = default;
  list_storage(const list_storage&) = delete;
  list_storage& operator=(const list_storage&) = delete;
  ~list_storage() {
    if (ending_dead_object()) return;  // the nodes look after themselves
    for (list_links* n = first; n != nullptr;) {
      list_links* const next = n->next;
      end_node(static_cast<list_node<T>*>(n));
      n = next;
    }
  }
};

}  // namespace detail

// The interface, complexities and exception guarantees of std::list. Lives wherever a gc::ptr may;
// trivially destructible where T is. Iterators to elements stay valid as long as the element is in
// a list; one to the end belongs to the list it was taken from.
template <class T>
class list {
  using links = detail::list_links;
  using node_type = detail::list_node<T>;

 public:
  using value_type = T;
  using allocator_type = allocator<T>;
  using size_type = std::size_t;
  using difference_type = std::ptrdiff_t;
  using reference = T&;
  using const_reference = const T&;
  using pointer = T*;
  using const_pointer = const T*;
  using iterator = detail::list_iterator<T>;
  using const_iterator = detail::list_iterator<const T>;
  using reverse_iterator = std::reverse_iterator<iterator>;
  using const_reverse_iterator = std::reverse_iterator<const_iterator>;

  list() noexcept = default;
  explicit list(size_type count) { resize(count); }
  list(size_type count, const T& value) { insert(end(), count, value); }
  template <detail::input_iterator It>
  list(It first, It last) {
    for (; first != last; ++first) emplace_back(*first);
  }
  list(std::initializer_list<T> values) : list(values.begin(), values.end()) {}
  list(const list& other) : list(other.begin(), other.end()) {}
  list(list&& other) noexcept { swap(other); }
  ~list() = default;
  list& operator=(const list& other) {
    if (this != &other) assign(other.begin(), other.end());
    return *this;
  }
  list& operator=(list&& other) noexcept {
    list(std::move(other)).swap(*this);
    return *this;
  }
  list& operator=(std::initializer_list<T> values) {
    assign(values);
    return *this;
  }

  iterator begin() noexcept { return at(fields_.first); }
  const_iterator begin() const noexcept { return at(fields_.first); }
  iterator end() noexcept { return at(nullptr); }
  const_iterator end() const noexcept { return at(nullptr); }
  const_iterator cbegin() const noexcept { return begin(); }
  const_iterator cend() const noexcept { return end(); }
  reverse_iterator rbegin() noexcept { return reverse_iterator(end()); }
  const_reverse_iterator rbegin() const noexcept { return const_reverse_iterator(end()); }
  reverse_iterator rend() noexcept { return reverse_iterator(begin()); }
  const_reverse_iterator rend() const noexcept { return const_reverse_iterator(begin()); }
  const_reverse_iterator crbegin() const noexcept { return rbegin(); }
  const_reverse_iterator crend() const noexcept { return rend(); }

  [[nodiscard]] bool empty() const noexcept { return fields_.size == 0; }
  size_type size() const noexcept { return fields_.size; }
  static constexpr size_type max_size() noexcept { return detail::kMostElements<node_type>; }
  allocator_type get_allocator() const noexcept { return {}; }
  T& front() noexcept { return *begin(); }
  const T& front() const noexcept { return *begin(); }
  T& back() noexcept { return *--end(); }
  const T& back() const noexcept { return *--end(); }

  template <class... Args>
  iterator emplace(const_iterator position, Args&&... args) {
    node_type* const n = make<node_type>(std::in_place, std::forward<Args>(args)...);
    link(n, position.node_);
    return at(n);
  }
  template <class... Args>
  T& emplace_back(Args&&... args) {
    return *emplace(end(), std::forward<Args>(args)...);
  }
  template <class... Args>
  T& emplace_front(Args&&... args) {
    return *emplace(begin(), std::forward<Args>(args)...);
  }
  void push_back(const T& value) { emplace(end(), value); }
  void push_back(T&& value) { emplace(end(), std::move(value)); }
  void push_front(const T& value) { emplace(begin(), value); }
  void push_front(T&& value) { emplace(begin(), std::move(value)); }
  void pop_back() noexcept { erase(--end()); }
  void pop_front() noexcept { erase(begin()); }
  iterator insert(const_iterator position, const T& value) { return emplace(position, value); }
  iterator insert(const_iterator position, T&& value) {
    return emplace(position, std::move(value));
  }
  iterator insert(const_iterator position, size_type count, const T& value) {
    list fresh;
    for (; count > 0; --count) fresh.emplace_back(value);
    return splice_all(position, fresh);
  }
  template <detail::input_iterator It>
  iterator insert(const_iterator position, It first, It last) {
    list fresh(first, last);
    return splice_all(position, fresh);
  }
  iterator insert(const_iterator position, std::initializer_list<T> values) {
    return insert(position, values.begin(), values.end());
  }
  iterator erase(const_iterator position) noexcept {
    links* const n = position.node_;
    links* const next = n->next;
    unlink(n);
    detail::end_node(static_cast<node_type*>(n));
    return at(next);
  }
  iterator erase(const_iterator first, const_iterator last) noexcept {
    while (first != last) first = erase(first);
    return at(last.node_);
  }
  void clear() noexcept { erase(begin(), end()); }
  void resize(size_type count) {
    while (size() > count) pop_back();
    list fresh;
    for (size_type n = size(); n < count; ++n) fresh.emplace_back();
    splice_all(end(), fresh);
  }
  void resize(size_type count, const T& value) {
    while (size() > count) pop_back();
    insert(end(), count - size(), value);
  }
  void assign(size_type count, const T& value) { *this = list(count, value); }
  template <detail::input_iterator It>
  void assign(It first, It last) {
    *this = list(first, last);
  }
  void assign(std::initializer_list<T> values) { *this = list(values); }
  void swap(list& other) noexcept {
    fields_.first.swap(other.fields_.first);
    fields_.last.swap(other.fields_.last);
    std::swap(fields_.size, other.fields_.size);
  }

  void splice(const_iterator position, list& other) noexcept {
    if (this != &other) splice_all(position, other);
  }
  void splice(const_iterator position, list&& other) noexcept { splice(position, other); }
  void splice(const_iterator position, list& other, const_iterator element) noexcept {
    links* const n = element.node_;
    if (position.node_ == n || (this == &other && position.node_ == n->next)) return;
    other.unlink(n);
    link(n, position.node_);
  }
  void splice(const_iterator position, list&& other, const_iterator element) noexcept {
    splice(position, other, element);
  }
  void splice(const_iterator position, list& other, const_iterator first,
              const_iterator last) noexcept {
    while (first != last) splice(position, other, first++);
  }
  void splice(const_iterator position, list&& other, const_iterator first,
              const_iterator last) noexcept {
    splice(position, other, first, last);
  }

  void remove(const T& value) {
    list removed;  // `value` may be one of them
    for (const_iterator i = begin(); i != end();) {
      const const_iterator element = i++;
      if (*element == value) removed.splice(removed.end(), *this, element);
    }
  }
  template <class Predicate>
  size_type remove_if(Predicate predicate) {
    list removed;
    for (const_iterator i = begin(); i != end();) {
      const const_iterator element = i++;
      if (predicate(*element)) removed.splice(removed.end(), *this, element);
    }
    return removed.size();
  }
  template <class Equal = std::equal_to<>>
  size_type unique(Equal equal = {}) {
    const size_type before = size();
    if (empty()) return 0;
    for (const_iterator kept = begin(), i = std::next(kept); i != end();) {
      if (equal(*kept, *i)) {
        i = erase(i);
      } else {
        kept = i++;
      }
    }
    return before - size();
  }
  template <class Less = std::less<>>
  void merge(list& other, Less less = {}) {
    if (this == &other) return;
    for (const_iterator i = begin(); !other.empty();) {
      while (i != end() && !less(other.front(), *i)) ++i;
      if (i == end()) {
        splice_all(i, other);
      } else {
        splice(i, other, other.begin());
      }
    }
  }
  template <class Less = std::less<>>
  void merge(list&& other, Less less = {}) {
    merge(other, std::move(less));
  }
  // Stable; by merging halves. What the comparison throws leaves the elements in some order.
  template <class Less = std::less<>>
  void sort(Less less = {}) {
    if (size() < 2) return;
    list half;
    half.splice(half.end(), *this, begin(),
                std::next(begin(), static_cast<difference_type>(size() / 2)));
    TRICOLOR_TRY {
      half.sort(std::ref(less));
      sort(std::ref(less));
      half.merge(*this, std::ref(less));
    }
    TRICOLOR_CATCH(...) {
      splice_all(end(), half);
      TRICOLOR_RETHROW;
    }
    swap(half);
  }
  void reverse() noexcept {
    for (links* n = fields_.first; n != nullptr;) {
      links* const next = n->next;
      n->next.swap(n->previous);
      n = next;
    }
    fields_.first.swap(fields_.last);
  }

  friend bool operator==(const list& a, const list& b) {
    return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin());
  }
  friend auto operator<=>(const list& a, const list& b) {
    return std::lexicographical_compare_three_way(a.begin(), a.end(), b.begin(), b.end(),
                                                  detail::SynthThreeWay{});
  }
  friend void swap(list& a, list& b) noexcept { a.swap(b); }
  template <class Predicate>
  friend size_type erase_if(list& c, Predicate predicate) {
    return c.remove_if(std::move(predicate));
  }
  template <class U>
  friend size_type erase(list& c, const U& value) {
    return c.remove_if([&value](const T& element) { return element == value; });
  }

 private:
  iterator at(links* n) noexcept { return {n, &fields_}; }
  const_iterator at(links* n) const noexcept { return {n, &fields_}; }

  // In front of `position`, null for the end.
  void link(links* n, links* position) noexcept {
    links* const before = position == nullptr ? fields_.last.get() : position->previous.get();
    n->previous = before;
    n->next = position;
    (before == nullptr ? fields_.first : before->next) = n;
    (position == nullptr ? fields_.last : position->previous) = n;
    ++fields_.size;
  }
  void unlink(links* n) noexcept {
    links* const before = n->previous;
    links* const after = n->next;
    (before == nullptr ? fields_.first : before->next) = after;
    (after == nullptr ? fields_.last : after->previous) = before;
    n->next = nullptr;
    n->previous = nullptr;
    --fields_.size;
  }
  iterator splice_all(const_iterator position, list& other) noexcept {
    if (other.empty()) return at(position.node_);
    links* const first = other.fields_.first;
    links* const last = other.fields_.last;
    links* const after = position.node_;
    links* const before = after == nullptr ? fields_.last.get() : after->previous.get();
    first->previous = before;
    last->next = after;
    (before == nullptr ? fields_.first : before->next) = first;
    (after == nullptr ? fields_.last : after->previous) = last;
    fields_.size += std::exchange(other.fields_.size, 0);
    other.fields_.first = nullptr;
    other.fields_.last = nullptr;
    return at(first);
  }

  detail::list_storage<T> fields_;
};

template <detail::input_iterator It>
list(It, It) -> list<typename std::iterator_traits<It>::value_type>;

}  // namespace tricolor::gc
