// What gc::vector and gc::small_vector have in common: the interface of std::vector over a block of
// elements.
//
// Derived has data(), size(), capacity(), set_size(n), and adopt(block, capacity, size), which ends
// the storage so far. Guarantees are those of std::vector: an insertion at the end, or one that
// moves to a new block, has no effect when an element throws; arguments may refer to elements of
// the container itself.
#pragma once

#include <algorithm>
#include <compare>
#include <cstddef>
#include <initializer_list>
#include <iterator>
#include <limits>
#include <memory>
#include <ranges>
#include <stdexcept>
#include <type_traits>
#include <utility>

#include <tricolor/detail/block.hpp>
#include <tricolor/detail/exceptions.hpp>

namespace tricolor::gc::detail {

// What std::lexicographical_compare_three_way needs for a type that has < alone.
struct SynthThreeWay {
  template <class A, class B>
  constexpr auto operator()(const A& a, const B& b) const {
    if constexpr (std::three_way_comparable_with<A, B>) {
      return a <=> b;
    } else {
      if (a < b) return std::weak_ordering::less;
      if (b < a) return std::weak_ordering::greater;
      return std::weak_ordering::equivalent;
    }
  }
};
template <class T>
using synth_three_way_result = decltype(SynthThreeWay{}(std::declval<const T&>(),
                                                        std::declval<const T&>()));

template <class It>
concept input_iterator = std::input_iterator<It> || requires {
  typename std::iterator_traits<It>::iterator_category;
};

template <class Derived, class T>
class sequence {
  static_assert(std::is_object_v<T> && !std::is_const_v<T> && !std::is_array_v<T>);

 public:
  using value_type = T;
  using size_type = std::size_t;
  using difference_type = std::ptrdiff_t;
  using reference = T&;
  using const_reference = const T&;
  using pointer = T*;
  using const_pointer = const T*;
  using iterator = T*;
  using const_iterator = const T*;
  using reverse_iterator = std::reverse_iterator<iterator>;
  using const_reverse_iterator = std::reverse_iterator<const_iterator>;

  iterator begin() noexcept { return self().data(); }
  const_iterator begin() const noexcept { return self().data(); }
  iterator end() noexcept { return self().data() + self().size(); }
  const_iterator end() const noexcept { return self().data() + self().size(); }
  const_iterator cbegin() const noexcept { return begin(); }
  const_iterator cend() const noexcept { return end(); }
  reverse_iterator rbegin() noexcept { return reverse_iterator(end()); }
  const_reverse_iterator rbegin() const noexcept { return const_reverse_iterator(end()); }
  reverse_iterator rend() noexcept { return reverse_iterator(begin()); }
  const_reverse_iterator rend() const noexcept { return const_reverse_iterator(begin()); }
  const_reverse_iterator crbegin() const noexcept { return rbegin(); }
  const_reverse_iterator crend() const noexcept { return rend(); }

  [[nodiscard]] bool empty() const noexcept { return self().size() == 0; }
  static constexpr size_type max_size() noexcept { return kMostElements<T>; }

  reference operator[](size_type i) noexcept { return self().data()[i]; }
  const_reference operator[](size_type i) const noexcept { return self().data()[i]; }
  reference at(size_type i) {
    check_index(i);
    return self().data()[i];
  }
  const_reference at(size_type i) const {
    check_index(i);
    return self().data()[i];
  }
  reference front() noexcept { return self().data()[0]; }
  const_reference front() const noexcept { return self().data()[0]; }
  reference back() noexcept { return self().data()[self().size() - 1]; }
  const_reference back() const noexcept { return self().data()[self().size() - 1]; }

  void reserve(size_type capacity) {
    if (capacity > self().capacity()) move_to_block(checked(capacity));
  }

  void clear() noexcept { truncate(0); }

  template <class... Args>
  reference emplace_back(Args&&... args) {
    const size_type n = self().size();
    if (__builtin_expect(n == self().capacity(), 0)) {
      return *emplace_in_new_block(n, std::forward<Args>(args)...);
    }
    T* const at = std::construct_at(self().data() + n, std::forward<Args>(args)...);
    self().set_size(n + 1);
    return *at;
  }
  void push_back(const T& value) { emplace_back(value); }
  void push_back(T&& value) { emplace_back(std::move(value)); }
  void pop_back() noexcept { truncate(self().size() - 1); }

  template <class... Args>
  iterator emplace(const_iterator position, Args&&... args) {
    const size_type at = index_of(position);
    const size_type n = self().size();
    if (at == n) return &emplace_back(std::forward<Args>(args)...);
    if (n == self().capacity()) return emplace_in_new_block(at, std::forward<Args>(args)...);
    T value(std::forward<Args>(args)...);
    T* const place = self().data() + at;
    if constexpr (moves_as_bytes<T>) {
      move_bytes(place + 1, place, n - at);
      self().set_size(n + 1);
      std::construct_at(place, std::move(value));
    } else {
      std::construct_at(self().data() + n, std::move(back()));
      self().set_size(n + 1);
      std::move_backward(place, self().data() + n - 1, self().data() + n);
      *place = std::move(value);
    }
    return place;
  }
  iterator insert(const_iterator position, const T& value) { return emplace(position, value); }
  iterator insert(const_iterator position, T&& value) {
    return emplace(position, std::move(value));
  }
  iterator insert(const_iterator position, size_type count, const T& value) {
    return insert_with(index_of(position), count,
                       [&value](T* place, size_type) { std::construct_at(place, value); });
  }
  iterator insert(const_iterator position, std::initializer_list<T> values) {
    return insert(position, values.begin(), values.end());
  }
  template <input_iterator It>
  iterator insert(const_iterator position, It first, It last) {
    const size_type at = index_of(position);
    if constexpr (std::forward_iterator<It>) {
      const auto count = static_cast<size_type>(std::distance(first, last));
      return insert_with(at, count, [&first](T* place, size_type) {
        std::construct_at(place, *first);
        ++first;
      });
    } else {
      const size_type before = self().size();
      for (; first != last; ++first) emplace_back(*first);
      std::rotate(begin() + at, begin() + before, end());
      return begin() + at;
    }
  }

  iterator erase(const_iterator position) { return erase(position, position + 1); }
  iterator erase(const_iterator first, const_iterator last) {
    T* const to = const_cast<T*>(first);
    T* const from = const_cast<T*>(last);
    if (to == from) return to;
    if constexpr (moves_as_bytes<T>) {
      move_bytes(to, from, static_cast<size_type>(end() - from));
    } else {
      std::move(from, end(), to);
    }
    truncate(self().size() - static_cast<size_type>(from - to));
    return to;
  }

  void resize(size_type count) {
    const size_type n = self().size();
    if (count <= n) return truncate(count);
    insert_with(n, count - n, [](T* place, size_type) { std::construct_at(place); });
  }
  void resize(size_type count, const T& value) {
    const size_type n = self().size();
    if (count <= n) return truncate(count);
    insert(end(), count - n, value);
  }

  void assign(size_type count, const T& value) {
    const T copy(value);
    clear();
    insert(end(), count, copy);
  }
  template <input_iterator It>
  void assign(It first, It last) {
    clear();
    insert(end(), first, last);
  }
  void assign(std::initializer_list<T> values) { assign(values.begin(), values.end()); }

  friend bool operator==(const Derived& a, const Derived& b) {
    return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin());
  }
  friend auto operator<=>(const Derived& a, const Derived& b) {
    return std::lexicographical_compare_three_way(a.begin(), a.end(), b.begin(), b.end(),
                                                  SynthThreeWay{});
  }
  friend void swap(Derived& a, Derived& b) noexcept(noexcept(a.swap(b))) { a.swap(b); }

  template <class Predicate>
  friend size_type erase_if(Derived& c, Predicate predicate) {
    const auto from = std::remove_if(c.begin(), c.end(), std::move(predicate));
    const auto removed = static_cast<size_type>(c.end() - from);
    c.erase(from, c.end());
    return removed;
  }
  template <class U>
  friend size_type erase(Derived& c, const U& value) {
    return erase_if(c, [&value](const T& element) { return element == value; });
  }

 protected:
  // The elements from `count` on are destroyed and cleared.
  void truncate(size_type count) noexcept {
    const size_type n = self().size();
    self().set_size(count);
    end_elements(self().data() + count, n - count);
  }

  void move_to_block(size_type capacity) {
    const size_type n = self().size();
    T* const block = allocate_block<T>(capacity);
    relocate(block, self().data(), n);
    self().adopt(block, capacity, n);
  }

 private:
  Derived& self() noexcept { return static_cast<Derived&>(*this); }
  const Derived& self() const noexcept { return static_cast<const Derived&>(*this); }

  size_type index_of(const_iterator position) const noexcept {
    return static_cast<size_type>(position - begin());
  }
  void check_index(size_type i) const {
    if (i >= self().size())
      TRICOLOR_THROW(std::out_of_range("gc::vector::at: index beyond the size"));
  }
  static size_type checked(size_type capacity) {
    if (capacity > max_size())
      TRICOLOR_THROW(std::length_error("gc::vector: longer than max_size()"));
    return capacity;
  }
  size_type grown(size_type extra) const {
    const size_type n = self().size();
    if (extra > max_size() - n)
      TRICOLOR_THROW(std::length_error("gc::vector: longer than max_size()"));
    const size_type doubled = n > max_size() / 2 ? max_size() : 2 * n;
    constexpr size_type kFewest = sizeof(T) > 64 ? 1 : 64 / sizeof(T) < 4 ? 64 / sizeof(T) : 4;
    return std::max({n + extra, doubled, kFewest});
  }

  template <class... Args>
  TRICOLOR_NOINLINE T* emplace_in_new_block(size_type at, Args&&... args) {
    size_type capacity = grown(1);
    T* const block = allocate_block<T>(capacity);
    std::construct_at(block + at, std::forward<Args>(args)...);
    open_gap(block, capacity, at, 1);
    return block + at;
  }

  // The new elements lie in `block` from `at` on; the old ones come around them.
  void open_gap(T* block, size_type capacity, size_type at, size_type count) {
    T* const old = self().data();
    const size_type n = self().size();
    TRICOLOR_TRY {
      relocate(block, old, at);
      TRICOLOR_TRY { relocate(block + at + count, old + at, n - at); }
      TRICOLOR_CATCH(...) {
        end_elements(block, at);
        TRICOLOR_RETHROW;
      }
    }
    TRICOLOR_CATCH(...) {
      end_elements(block + at, count);
      TRICOLOR_RETHROW;
    }
    self().adopt(block, capacity, n + count);
  }

  // `make(place, i)` constructs the i-th of the new elements.
  template <class Make>
  iterator insert_with(size_type at, size_type count, Make make) {
    const size_type n = self().size();
    if (count > self().capacity() - n) {
      size_type capacity = grown(count);
      T* const block = allocate_block<T>(capacity);
      construct_each(block + at, count, make);
      open_gap(block, capacity, at, count);
    } else {
      construct_each(self().data() + n, count, make);
      self().set_size(n + count);
      if (at != n) std::rotate(begin() + at, begin() + n, end());
    }
    return begin() + at;
  }
  template <class Make>
  static void construct_each(T* place, size_type count, Make& make) {
    size_type done = 0;
    TRICOLOR_TRY {
      for (; done < count; ++done) make(place + done, done);
    }
    TRICOLOR_CATCH(...) {
      end_elements(place, done);
      TRICOLOR_RETHROW;
    }
  }
};

}  // namespace tricolor::gc::detail
