// gc::deque: std::deque with collected storage.
#pragma once

#include <algorithm>
#include <compare>
#include <cstddef>
#include <initializer_list>
#include <iterator>
#include <stdexcept>
#include <type_traits>
#include <utility>

#include <tricolor/allocator.hpp>
#include <tricolor/container/sequence.hpp>
#include <tricolor/detail/block.hpp>
#include <tricolor/detail/exceptions.hpp>
#include <tricolor/detail/node.hpp>

namespace tricolor::gc {

template <class T>
class deque;

namespace detail {

// Elements lie in pieces of one size, each a collected object; an array of references to the
// pieces, the map, is another. A piece knows which of its elements are alive, where they have a
// destructor.
template <class T>
inline constexpr std::size_t kPieceElements = sizeof(T) >= 256 ? 2 : 512 / sizeof(T);

template <class T, bool = has_destructor<T>>
struct deque_piece {
  alignas(T) unsigned char bytes[kPieceElements<T> * sizeof(T)];
  T* elements() noexcept { return reinterpret_cast<T*>(bytes); }
};
template <class T>
struct deque_piece<T, true> {
  std::size_t first = 0;
  std::size_t last = 0;  // alive: from `first` on, before `last`
  alignas(T) unsigned char bytes[kPieceElements<T> * sizeof(T)];
  T* elements() noexcept { return reinterpret_cast<T*>(bytes); }
  ~deque_piece() {
    while (first < last) elements()[--last].~T();
  }
};

}  // namespace detail

template <class T>
struct is_leaf<detail::deque_piece<T, false>> : is_leaf<T> {};

namespace detail {

template <class T>
struct deque_fields {
  using piece = deque_piece<T>;
  static constexpr std::size_t kPiece = kPieceElements<T>;

  ptr<ptr<piece>> map;
  std::size_t map_size = 0;
  std::size_t start = 0;  // of the first element, counted from that of the first place in the map
  std::size_t size = 0;

  T* at(std::size_t i) const noexcept {
    const std::size_t place = start + i;
    return map.get()[place / kPiece]->elements() + place % kPiece;
  }
};

template <class T, bool Const>
class deque_iterator {
  using fields = deque_fields<T>;

 public:
  using iterator_category = std::random_access_iterator_tag;
  using value_type = T;
  using difference_type = std::ptrdiff_t;
  using reference = std::conditional_t<Const, const T&, T&>;
  using pointer = std::remove_reference_t<reference>*;

  deque_iterator() noexcept = default;
  deque_iterator(const deque_iterator<T, false>& other) noexcept requires Const
      : at_(other.at_),
        first_(other.first_),
        place_(other.place_) {}
  deque_iterator(const deque_iterator&) noexcept = default;
  deque_iterator& operator=(const deque_iterator&) noexcept = default;

  reference operator*() const noexcept { return *at_; }
  pointer operator->() const noexcept { return at_; }
  reference operator[](difference_type n) const noexcept { return *(*this + n); }
  deque_iterator& operator++() noexcept {
    if (++at_ == first_ + fields::kPiece) enter(place_ + 1, 0);
    return *this;
  }
  deque_iterator& operator--() noexcept {
    if (at_ == first_) {
      enter(place_ - 1, fields::kPiece - 1);
    } else {
      --at_;
    }
    return *this;
  }
  deque_iterator operator++(int) noexcept {
    const deque_iterator before = *this;
    ++*this;
    return before;
  }
  deque_iterator operator--(int) noexcept {
    const deque_iterator before = *this;
    --*this;
    return before;
  }
  deque_iterator& operator+=(difference_type n) noexcept {
    constexpr auto piece = static_cast<difference_type>(fields::kPiece);
    const difference_type in_piece = at_ - first_ + n;
    if (in_piece >= 0 && in_piece < piece) {
      at_ += n;
    } else {
      const difference_type pieces =
          in_piece >= 0 ? in_piece / piece : -((-in_piece - 1) / piece) - 1;
      enter(place_ + pieces, static_cast<std::size_t>(in_piece - pieces * piece));
    }
    return *this;
  }
  deque_iterator& operator-=(difference_type n) noexcept { return *this += -n; }
  friend deque_iterator operator+(deque_iterator i, difference_type n) noexcept { return i += n; }
  friend deque_iterator operator+(difference_type n, deque_iterator i) noexcept { return i += n; }
  friend deque_iterator operator-(deque_iterator i, difference_type n) noexcept { return i -= n; }
  friend difference_type operator-(const deque_iterator& a, const deque_iterator& b) noexcept {
    return (a.place_ - b.place_) * static_cast<difference_type>(fields::kPiece) +
           (a.at_ - a.first_) - (b.at_ - b.first_);
  }
  friend bool operator==(const deque_iterator& a, const deque_iterator& b) noexcept {
    return a.at_ == b.at_ && a.place_ == b.place_;
  }
  friend auto operator<=>(const deque_iterator& a, const deque_iterator& b) noexcept {
    const auto order = a.place_ <=> b.place_;
    return order != 0 ? order : std::compare_three_way{}(a.at_, b.at_);
  }

 private:
  template <class, bool>
  friend class deque_iterator;
  friend class deque<T>;
  deque_iterator(ptr<deque_piece<T>>* place, std::size_t in_piece) noexcept {
    if (place != nullptr) enter(place, in_piece);
  }
  // The place behind the last piece is null: the end of a deque that fills its pieces.
  void enter(ptr<deque_piece<T>>* place, std::size_t in_piece) noexcept {
    place_ = place;
    deque_piece<T>* const piece = *place;
    first_ = piece == nullptr ? nullptr : piece->elements();
    at_ = first_ + in_piece;
  }

  T* at_ = nullptr;
  T* first_ = nullptr;
  ptr<deque_piece<T>>* place_ = nullptr;
};

template <class T, bool = has_destructor<T>>
struct deque_storage : deque_fields<T> {};
template <class T>
struct deque_storage<T, true> : deque_fields<T> {
  deque_storage() = default;
  deque_storage(const deque_storage&) = delete;
  deque_storage& operator=(const deque_storage&) = delete;
  ~deque_storage() {
    if (ending_dead_object() || this->size == 0) return;  // the pieces look after themselves
    const std::size_t end = (this->start + this->size - 1) / this->kPiece;
    for (std::size_t i = this->start / this->kPiece; i <= end; ++i) {
      end_node(this->map.get()[i].get());
    }
  }
};

}  // namespace detail

// The interface, complexities and exception guarantees of std::deque: references stay valid while
// elements come and go at the ends. Pieces that become empty are let go at once. Lives wherever a
// gc::ptr may; trivially destructible where T is.
template <class T>
class deque {
  using piece = detail::deque_piece<T>;
  static constexpr std::size_t kPiece = detail::deque_fields<T>::kPiece;

 public:
  using value_type = T;
  using allocator_type = allocator<T>;
  using size_type = std::size_t;
  using difference_type = std::ptrdiff_t;
  using reference = T&;
  using const_reference = const T&;
  using pointer = T*;
  using const_pointer = const T*;
  using iterator = detail::deque_iterator<T, false>;
  using const_iterator = detail::deque_iterator<T, true>;
  using reverse_iterator = std::reverse_iterator<iterator>;
  using const_reverse_iterator = std::reverse_iterator<const_iterator>;

  deque() noexcept = default;
  explicit deque(size_type count) { resize(count); }
  deque(size_type count, const T& value) { insert(end(), count, value); }
  template <detail::input_iterator It>
  deque(It first, It last) {
    for (; first != last; ++first) emplace_back(*first);
  }
  deque(std::initializer_list<T> values) : deque(values.begin(), values.end()) {}
  deque(const deque& other) : deque(other.begin(), other.end()) {}
  deque(deque&& other) noexcept { swap(other); }
  ~deque() = default;
  deque& operator=(const deque& other) {
    if (this != &other) assign(other.begin(), other.end());
    return *this;
  }
  deque& operator=(deque&& other) noexcept {
    deque(std::move(other)).swap(*this);
    return *this;
  }
  deque& operator=(std::initializer_list<T> values) {
    assign(values);
    return *this;
  }

  iterator begin() noexcept { return iterator_at<iterator>(0); }
  const_iterator begin() const noexcept { return iterator_at<const_iterator>(0); }
  iterator end() noexcept { return iterator_at<iterator>(size()); }
  const_iterator end() const noexcept { return iterator_at<const_iterator>(size()); }
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
  static constexpr size_type max_size() noexcept { return detail::kMostElements<T>; }
  allocator_type get_allocator() const noexcept { return {}; }

  T& operator[](size_type i) noexcept { return *fields_.at(i); }
  const T& operator[](size_type i) const noexcept { return *fields_.at(i); }
  T& at(size_type i) {
    if (i >= size()) TRICOLOR_THROW(std::out_of_range("gc::deque::at: index beyond the size"));
    return *fields_.at(i);
  }
  const T& at(size_type i) const { return const_cast<deque*>(this)->at(i); }
  T& front() noexcept { return *fields_.at(0); }
  const T& front() const noexcept { return *fields_.at(0); }
  T& back() noexcept { return *fields_.at(size() - 1); }
  const T& back() const noexcept { return *fields_.at(size() - 1); }

  template <class... Args>
  T& emplace_back(Args&&... args) {
    const size_type place = fields_.start + size();
    if (place / kPiece >= fields_.map_size || piece_at(place) == nullptr) add_piece_behind();
    const size_type now = fields_.start + size();
    piece* const p = piece_at(now);
    T* const element = std::construct_at(p->elements() + now % kPiece, std::forward<Args>(args)...);
    ++fields_.size;
    if constexpr (detail::has_destructor<T>) {
      if (p->first == p->last) p->first = now % kPiece;
      p->last = now % kPiece + 1;
    }
    return *element;
  }
  template <class... Args>
  T& emplace_front(Args&&... args) {
    if (fields_.start % kPiece == 0 || piece_at(fields_.start - 1) == nullptr) {
      add_piece_in_front();
    }
    const size_type now = fields_.start - 1;
    piece* const p = piece_at(now);
    T* const element = std::construct_at(p->elements() + now % kPiece, std::forward<Args>(args)...);
    fields_.start = now;
    ++fields_.size;
    if constexpr (detail::has_destructor<T>) {
      if (p->first == p->last) p->last = now % kPiece + 1;
      p->first = now % kPiece;
    }
    return *element;
  }
  void push_back(const T& value) { emplace_back(value); }
  void push_back(T&& value) { emplace_back(std::move(value)); }
  void push_front(const T& value) { emplace_front(value); }
  void push_front(T&& value) { emplace_front(std::move(value)); }
  void pop_back() noexcept {
    const size_type last = fields_.start + size() - 1;
    piece* const p = piece_at(last);
    if constexpr (detail::has_destructor<T>) p->last = last % kPiece;
    detail::end_elements(p->elements() + last % kPiece, 1);
    --fields_.size;
    if (last % kPiece == 0 || empty()) drop_piece(last);
  }
  void pop_front() noexcept {
    const size_type first = fields_.start;
    piece* const p = piece_at(first);
    if constexpr (detail::has_destructor<T>) p->first = first % kPiece + 1;
    detail::end_elements(p->elements() + first % kPiece, 1);
    ++fields_.start;
    --fields_.size;
    if (first % kPiece == kPiece - 1 || empty()) drop_piece(first);
  }
  void clear() noexcept { deque().swap(*this); }
  void shrink_to_fit() noexcept {}

  template <class... Args>
  iterator emplace(const_iterator position, Args&&... args) {
    const size_type i = index_of(position);
    if (i == 0) {
      emplace_front(std::forward<Args>(args)...);
    } else if (i >= size() / 2) {
      emplace_back(std::forward<Args>(args)...);
      std::rotate(nth(i), end() - 1, end());
    } else {
      emplace_front(std::forward<Args>(args)...);
      std::rotate(begin(), begin() + 1, nth(i + 1));
    }
    return nth(i);
  }
  iterator insert(const_iterator position, const T& value) { return emplace(position, value); }
  iterator insert(const_iterator position, T&& value) {
    return emplace(position, std::move(value));
  }
  iterator insert(const_iterator position, size_type count, const T& value) {
    const T copy(value);
    return append_and_rotate(position, [&] {
      for (; count > 0; --count) emplace_back(copy);
    });
  }
  template <detail::input_iterator It>
  iterator insert(const_iterator position, It first, It last) {
    return append_and_rotate(position, [&] {
      for (; first != last; ++first) emplace_back(*first);
    });
  }
  iterator insert(const_iterator position, std::initializer_list<T> values) {
    return insert(position, values.begin(), values.end());
  }
  iterator erase(const_iterator position) { return erase(position, position + 1); }
  iterator erase(const_iterator first, const_iterator last) {
    const size_type i = index_of(first);
    const auto count = static_cast<size_type>(last - first);
    if (count == 0) return nth(i);
    if (i < size() - i - count) {
      std::move_backward(begin(), nth(i), nth(i + count));
      for (size_type n = 0; n < count; ++n) pop_front();
    } else {
      std::move(nth(i + count), end(), nth(i));
      for (size_type n = 0; n < count; ++n) pop_back();
    }
    return nth(i);
  }
  void resize(size_type count) {
    while (size() > count) pop_back();
    while_growing([&] {
      while (size() < count) emplace_back();
    });
  }
  void resize(size_type count, const T& value) {
    while (size() > count) pop_back();
    insert(end(), count - size(), value);
  }
  void assign(size_type count, const T& value) { *this = deque(count, value); }
  template <detail::input_iterator It>
  void assign(It first, It last) {
    *this = deque(first, last);
  }
  void assign(std::initializer_list<T> values) { *this = deque(values); }
  void swap(deque& other) noexcept {
    fields_.map.swap(other.fields_.map);
    std::swap(fields_.map_size, other.fields_.map_size);
    std::swap(fields_.start, other.fields_.start);
    std::swap(fields_.size, other.fields_.size);
  }

  friend bool operator==(const deque& a, const deque& b) {
    return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin());
  }
  friend auto operator<=>(const deque& a, const deque& b) {
    return std::lexicographical_compare_three_way(a.begin(), a.end(), b.begin(), b.end(),
                                                  detail::SynthThreeWay{});
  }
  friend void swap(deque& a, deque& b) noexcept { a.swap(b); }
  template <class Predicate>
  friend size_type erase_if(deque& c, Predicate predicate) {
    const auto from = std::remove_if(c.begin(), c.end(), std::move(predicate));
    const auto removed = static_cast<size_type>(c.end() - from);
    c.erase(from, c.end());
    return removed;
  }
  template <class U>
  friend size_type erase(deque& c, const U& value) {
    return erase_if(c, [&value](const T& element) { return element == value; });
  }

 private:
  // The map has a place more than there may be pieces: see deque_iterator::enter().
  template <class Iterator>
  Iterator iterator_at(size_type i) const noexcept {
    ptr<piece>* const map = fields_.map;
    if (map == nullptr) return Iterator();
    const size_type place = fields_.start + i;
    return iterator(map + place / kPiece, place % kPiece);
  }
  iterator nth(size_type i) noexcept { return begin() + static_cast<difference_type>(i); }
  size_type index_of(const_iterator position) const noexcept {
    return static_cast<size_type>(position - begin());
  }
  piece* piece_at(size_type place) const noexcept { return fields_.map.get()[place / kPiece]; }

  void add_piece_behind() {
    if ((fields_.start + size()) / kPiece >= fields_.map_size) move_map();
    piece* const fresh = make<piece>();
    fields_.map.get()[(fields_.start + size()) / kPiece] = fresh;
  }
  void add_piece_in_front() {
    if (fields_.start < kPiece) move_map();
    if (empty()) fields_.start = fields_.start / kPiece * kPiece;
    piece* const fresh = make<piece>();
    fields_.map.get()[(fields_.start - 1) / kPiece] = fresh;
  }
  // Puts the pieces in the middle of the map, of a larger one if they fill half of it.
  void move_map() {
    const size_type first = fields_.start / kPiece;
    const size_type used = empty() ? 0 : (fields_.start + size() - 1) / kPiece - first + 1;
    const size_type places = std::max<size_type>(8, used * 3);
    ptr<piece>* const fresh = make_array<ptr<piece>>(places + 1);
    const size_type at = (places - used) / 2;
    ptr<piece>* const old = fields_.map;
    for (size_type i = 0; i < used; ++i) fresh[at + i] = old[first + i];
    fields_.map = fresh;
    fields_.map_size = places;
    fields_.start = at * kPiece + (empty() ? 0 : fields_.start % kPiece);
  }
  void drop_piece(size_type place) noexcept {
    piece* const p = piece_at(place);
    if constexpr (detail::has_destructor<T>) detail::end_node(p);
    fields_.map.get()[place / kPiece] = nullptr;
    // The next element begins a piece.
    if (empty()) fields_.start = fields_.map_size / 2 * kPiece;
  }
  // On an exception the elements are those before.
  template <class Grow>
  void while_growing(Grow grow) {
    const size_type before = size();
    TRICOLOR_TRY { grow(); }
    TRICOLOR_CATCH(...) {
      while (size() > before) pop_back();
      TRICOLOR_RETHROW;
    }
  }
  template <class Append>
  iterator append_and_rotate(const_iterator position, Append append) {
    const size_type i = index_of(position);
    const size_type before = size();
    while_growing(append);
    if (i != before) std::rotate(nth(i), nth(before), end());
    return nth(i);
  }

  detail::deque_storage<T> fields_;
};

template <detail::input_iterator It>
deque(It, It) -> deque<typename std::iterator_traits<It>::value_type>;

}  // namespace tricolor::gc
