// gc::basic_string: std::basic_string with collected storage.
#pragma once

#include <algorithm>
#include <compare>
#include <cstddef>
#include <functional>
#include <initializer_list>
#include <istream>
#include <iterator>
#include <ostream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include <tricolor/allocator.hpp>
#include <tricolor/container/sequence.hpp>
#include <tricolor/detail/block.hpp>
#include <tricolor/detail/exceptions.hpp>

namespace tricolor::gc {

// The interface of std::basic_string. Characters lie in the object itself up to 15 bytes, else in a
// collected block that is never scanned. Trivially destructible; converts to and from
// std::basic_string_view, which is also how it is compared and searched. Lives wherever a gc::ptr
// may.
template <class C, class Traits = std::char_traits<C>>
class basic_string {
  static_assert(std::is_trivial_v<C> && is_leaf_v<C>);
  using view = std::basic_string_view<C, Traits>;
  template <class S>
  static constexpr bool is_view_like =
      std::is_convertible_v<const S&, view> && !std::is_convertible_v<const S&, const C*>;

 public:
  using traits_type = Traits;
  using value_type = C;
  using allocator_type = allocator<C>;
  using size_type = std::size_t;
  using difference_type = std::ptrdiff_t;
  using reference = C&;
  using const_reference = const C&;
  using pointer = C*;
  using const_pointer = const C*;
  using iterator = C*;
  using const_iterator = const C*;
  using reverse_iterator = std::reverse_iterator<iterator>;
  using const_reverse_iterator = std::reverse_iterator<const_iterator>;
  static constexpr size_type npos = static_cast<size_type>(-1);

  basic_string() noexcept {}
  basic_string(const C* s) { assign(view(s)); }
  basic_string(const C* s, size_type count) { assign(view(s, count)); }
  basic_string(size_type count, C c) { assign(count, c); }
  basic_string(std::initializer_list<C> values) { assign(view(values.begin(), values.size())); }
  template <detail::input_iterator It>
  basic_string(It first, It last) {
    append(first, last);
  }
  template <class S>
  requires is_view_like<S>
  explicit basic_string(const S& s) { assign(view(s)); }
  basic_string(const basic_string& other, size_type from, size_type count = npos) {
    assign(view(other).substr(from, count));
  }
  basic_string(std::nullptr_t) = delete;
  basic_string(const basic_string& other) { assign(view(other)); }
  basic_string(basic_string&& other) noexcept { take(other); }
  ~basic_string() = default;
  basic_string& operator=(const basic_string& other) { return assign(view(other)); }
  basic_string& operator=(basic_string&& other) noexcept {
    if (this != &other) take(other);
    return *this;
  }
  basic_string& operator=(const C* s) { return assign(view(s)); }
  basic_string& operator=(C c) { return assign(1, c); }
  basic_string& operator=(std::initializer_list<C> values) {
    return assign(view(values.begin(), values.size()));
  }
  template <class S>
  requires is_view_like<S> basic_string& operator=(const S& s) { return assign(view(s)); }

  operator view() const noexcept { return view(data(), size_); }
  C* data() noexcept { return heap_ == nullptr ? local_ : heap_.get(); }
  const C* data() const noexcept { return heap_ == nullptr ? local_ : heap_.get(); }
  const C* c_str() const noexcept { return data(); }
  size_type size() const noexcept { return size_; }
  size_type length() const noexcept { return size_; }
  size_type capacity() const noexcept { return heap_ == nullptr ? kLocal : capacity_; }
  static constexpr size_type max_size() noexcept { return detail::kMostElements<C> - 1; }
  [[nodiscard]] bool empty() const noexcept { return size_ == 0; }
  allocator_type get_allocator() const noexcept { return {}; }

  iterator begin() noexcept { return data(); }
  const_iterator begin() const noexcept { return data(); }
  iterator end() noexcept { return data() + size_; }
  const_iterator end() const noexcept { return data() + size_; }
  const_iterator cbegin() const noexcept { return begin(); }
  const_iterator cend() const noexcept { return end(); }
  reverse_iterator rbegin() noexcept { return reverse_iterator(end()); }
  const_reverse_iterator rbegin() const noexcept { return const_reverse_iterator(end()); }
  reverse_iterator rend() noexcept { return reverse_iterator(begin()); }
  const_reverse_iterator rend() const noexcept { return const_reverse_iterator(begin()); }
  const_reverse_iterator crbegin() const noexcept { return rbegin(); }
  const_reverse_iterator crend() const noexcept { return rend(); }

  C& operator[](size_type i) noexcept { return data()[i]; }
  const C& operator[](size_type i) const noexcept { return data()[i]; }
  C& at(size_type i) {
    check(i, size_ == 0 ? 0 : size_ - 1, "at");
    return data()[i];
  }
  const C& at(size_type i) const {
    check(i, size_ == 0 ? 0 : size_ - 1, "at");
    return data()[i];
  }
  C& front() noexcept { return data()[0]; }
  const C& front() const noexcept { return data()[0]; }
  C& back() noexcept { return data()[size_ - 1]; }
  const C& back() const noexcept { return data()[size_ - 1]; }

  void reserve(size_type capacity) {
    if (capacity > this->capacity()) move_to_block(capacity);
  }
  void shrink_to_fit() {
    if (heap_ == nullptr || size_ == capacity_) return;
    basic_string tight(*this);
    take(tight);
  }
  void clear() noexcept { set_size(0); }
  void resize(size_type count, C c = C()) {
    if (count > size_) {
      append(count - size_, c);
    } else {
      set_size(count);
    }
  }

  basic_string& assign(view s) { return replace(0, size_, s); }
  basic_string& assign(const C* s, size_type count) { return assign(view(s, count)); }
  basic_string& assign(size_type count, C c) {
    clear();
    return append(count, c);
  }
  template <detail::input_iterator It>
  basic_string& assign(It first, It last) {
    return *this = basic_string(first, last);
  }

  void push_back(C c) {
    if (size_ == capacity()) move_to_block(grown(1));
    C* const chars = data();
    chars[size_] = c;
    chars[++size_] = C();
  }
  void pop_back() noexcept { set_size(size_ - 1); }
  basic_string& append(view s) { return replace(size_, 0, s); }
  basic_string& append(const C* s, size_type count) { return append(view(s, count)); }
  basic_string& append(size_type count, C c) { return replace(size_, 0, count, c); }
  template <detail::input_iterator It>
  basic_string& append(It first, It last) {
    for (; first != last; ++first) push_back(static_cast<C>(*first));
    return *this;
  }
  basic_string& append(std::initializer_list<C> v) { return append(view(v.begin(), v.size())); }
  basic_string& operator+=(view s) { return append(s); }
  basic_string& operator+=(C c) {
    push_back(c);
    return *this;
  }
  basic_string& operator+=(std::initializer_list<C> v) { return append(v); }

  basic_string& insert(size_type at, view s) { return replace(at, 0, s); }
  basic_string& insert(size_type at, const C* s, size_type n) { return replace(at, 0, view(s, n)); }
  basic_string& insert(size_type at, size_type count, C c) { return replace(at, 0, count, c); }
  iterator insert(const_iterator position, C c) { return insert(position, 1, c); }
  iterator insert(const_iterator position, size_type count, C c) {
    const size_type at = index_of(position);
    replace(at, 0, count, c);
    return begin() + at;
  }
  template <detail::input_iterator It>
  iterator insert(const_iterator position, It first, It last) {
    const size_type at = index_of(position);
    replace(at, 0, view(basic_string(first, last)));
    return begin() + at;
  }

  basic_string& erase(size_type at = 0, size_type count = npos) {
    return replace(at, count, view());
  }
  iterator erase(const_iterator position) { return erase(position, position + 1); }
  iterator erase(const_iterator first, const_iterator last) {
    const size_type at = index_of(first);
    replace(at, static_cast<size_type>(last - first), view());
    return begin() + at;
  }

  // `s` may lie in this string.
  basic_string& replace(size_type at, size_type count, view s) {
    const bool inside = !s.empty() && std::less_equal<>{}(data(), s.data()) &&
                        std::less_equal<>{}(s.data(), data() + size_);
    if (inside) {
      const basic_string copy(s.data(), s.size());
      return replace(at, count, view(copy));
    }
    C* const gap = open_gap(at, count, s.size());
    if (!s.empty()) Traits::copy(gap, s.data(), s.size());
    return *this;
  }
  basic_string& replace(size_type at, size_type count, const C* s, size_type n) {
    return replace(at, count, view(s, n));
  }
  basic_string& replace(size_type at, size_type count, size_type copies, C c) {
    C* const gap = open_gap(at, count, copies);
    if (copies > 0) Traits::assign(gap, copies, c);
    return *this;
  }
  basic_string& replace(const_iterator first, const_iterator last, view s) {
    return replace(index_of(first), static_cast<size_type>(last - first), s);
  }

  basic_string substr(size_type from = 0, size_type count = npos) const {
    return basic_string(*this, from, count);
  }
  size_type copy(C* to, size_type count, size_type from = 0) const {
    return view(*this).copy(to, count, from);
  }
  void swap(basic_string& other) noexcept {
    basic_string mine(std::move(*this));
    *this = std::move(other);
    other = std::move(mine);
  }

  int compare(view s) const noexcept { return view(*this).compare(s); }
  int compare(size_type at, size_type n, view s) const { return view(*this).compare(at, n, s); }
  bool starts_with(view s) const noexcept { return view(*this).starts_with(s); }
  bool starts_with(C c) const noexcept { return view(*this).starts_with(c); }
  bool ends_with(view s) const noexcept { return view(*this).ends_with(s); }
  bool ends_with(C c) const noexcept { return view(*this).ends_with(c); }
  bool contains(view s) const noexcept { return find(s) != npos; }
  bool contains(C c) const noexcept { return find(c) != npos; }
  size_type find(view s, size_type at = 0) const noexcept { return view(*this).find(s, at); }
  size_type find(C c, size_type at = 0) const noexcept { return view(*this).find(c, at); }
  size_type rfind(view s, size_type at = npos) const noexcept { return view(*this).rfind(s, at); }
  size_type rfind(C c, size_type at = npos) const noexcept { return view(*this).rfind(c, at); }
  size_type find_first_of(view s, size_type at = 0) const noexcept {
    return view(*this).find_first_of(s, at);
  }
  size_type find_last_of(view s, size_type at = npos) const noexcept {
    return view(*this).find_last_of(s, at);
  }
  size_type find_first_not_of(view s, size_type at = 0) const noexcept {
    return view(*this).find_first_not_of(s, at);
  }
  size_type find_last_not_of(view s, size_type at = npos) const noexcept {
    return view(*this).find_last_not_of(s, at);
  }

  friend bool operator==(const basic_string& a, const basic_string& b) noexcept {
    return view(a) == view(b);
  }
  friend auto operator<=>(const basic_string& a, const basic_string& b) noexcept {
    return view(a) <=> view(b);
  }
  friend bool operator==(const basic_string& a, const C* b) { return view(a) == view(b); }
  friend auto operator<=>(const basic_string& a, const C* b) { return view(a) <=> view(b); }
  template <class S>
  requires is_view_like<S> &&(!std::is_same_v<S, basic_string>)friend bool operator==(
      const basic_string& a, const S& b) noexcept {
    return view(a) == view(b);
  }
  template <class S>
  requires is_view_like<S> &&(!std::is_same_v<S, basic_string>)friend auto operator<=>(
      const basic_string& a, const S& b) noexcept {
    return view(a) <=> view(b);
  }
  friend basic_string operator+(const basic_string& a, const basic_string& b) {
    return joined(a, b);
  }
  friend basic_string operator+(const basic_string& a, const C* b) { return joined(a, view(b)); }
  friend basic_string operator+(const C* a, const basic_string& b) { return joined(view(a), b); }
  friend basic_string operator+(const basic_string& a, C b) { return joined(a, view(&b, 1)); }
  friend basic_string operator+(C a, const basic_string& b) { return joined(view(&a, 1), b); }
  friend basic_string operator+(basic_string&& a, const basic_string& b) {
    return std::move(a.append(view(b)));
  }
  friend basic_string operator+(basic_string&& a, const C* b) {
    return std::move(a.append(view(b)));
  }
  friend basic_string operator+(basic_string&& a, C b) { return std::move(a += b); }
  friend void swap(basic_string& a, basic_string& b) noexcept { a.swap(b); }

  friend std::basic_ostream<C, Traits>& operator<<(std::basic_ostream<C, Traits>& out,
                                                   const basic_string& s) {
    return out << view(s);
  }
  friend std::basic_istream<C, Traits>& operator>>(std::basic_istream<C, Traits>& in,
                                                   basic_string& s) {
    std::basic_string<C, Traits> word;
    in >> word;
    s.assign(view(word));
    return in;
  }
  friend std::basic_istream<C, Traits>& getline(std::basic_istream<C, Traits>& in, basic_string& s,
                                                C end) {
    std::basic_string<C, Traits> line;
    std::getline(in, line, end);
    s.assign(view(line));
    return in;
  }
  friend std::basic_istream<C, Traits>& getline(std::basic_istream<C, Traits>& in,
                                                basic_string& s) {
    return getline(in, s, in.widen('\n'));
  }
  template <class Predicate>
  friend size_type erase_if(basic_string& s, Predicate predicate) {
    const iterator from = std::remove_if(s.begin(), s.end(), std::move(predicate));
    const auto removed = static_cast<size_type>(s.end() - from);
    s.set_size(s.size_ - removed);
    return removed;
  }
  friend size_type erase(basic_string& s, C c) {
    return erase_if(s, [c](C other) { return Traits::eq(c, other); });
  }

 private:
  static constexpr size_type kLocalBytes = 16;
  static constexpr size_type kLocal = kLocalBytes / sizeof(C) - 1;

  static void check(size_type at, size_type most, const char* what) {
    if (at <= most && most != npos) return;
    TRICOLOR_THROW(
        std::out_of_range(std::string("gc::basic_string::") + what + ": beyond the end"));
  }
  size_type index_of(const_iterator p) const noexcept {
    return static_cast<size_type>(p - begin());
  }
  static basic_string joined(view a, view b) {
    basic_string sum;
    sum.reserve(a.size() + b.size());
    sum.append(a);
    sum.append(b);
    return sum;
  }
  void set_size(size_type count) noexcept {
    size_ = count;
    data()[count] = C();
  }
  size_type grown(size_type extra) const {
    if (extra > max_size() - size_) {
      TRICOLOR_THROW(std::length_error("gc::basic_string: longer than max_size()"));
    }
    return std::max(size_ + extra, std::min(2 * capacity(), max_size()));
  }
  void move_to_block(size_type capacity) {
    if (capacity > max_size())
      TRICOLOR_THROW(std::length_error("gc::basic_string: longer than max_size()"));
    size_type room = capacity + 1;
    C* const block = detail::allocate_block<C>(room);
    Traits::copy(block, data(), size_ + 1);
    heap_ = block;
    capacity_ = room - 1;
  }
  // `count` characters at `at` make room for `fresh` others, which are as they are.
  C* open_gap(size_type at, size_type count, size_type fresh) {
    check(at, size_, "replace");
    count = std::min(count, size_ - at);
    if (fresh > count) {
      const size_type extra = fresh - count;
      if (extra > capacity() - size_) move_to_block(grown(extra));
    }
    C* const gap = data() + at;
    if (fresh != count) Traits::move(gap + fresh, gap + count, size_ - at - count);
    set_size(size_ - count + fresh);
    return gap;
  }
  // Leaves `other` empty.
  void take(basic_string& other) noexcept {
    size_ = other.size_;
    if (other.heap_ == nullptr) {
      heap_ = nullptr;
      Traits::copy(local_, other.local_, size_ + 1);
    } else {
      heap_ = other.heap_;
      capacity_ = other.capacity_;
      other.heap_ = nullptr;
    }
    other.set_size(0);
  }

  ptr<C> heap_;
  size_type size_ = 0;
  union {
    size_type capacity_;
    C local_[kLocalBytes / sizeof(C)] = {};
  };
};

using string = basic_string<char>;
using wstring = basic_string<wchar_t>;
using u8string = basic_string<char8_t>;
using u16string = basic_string<char16_t>;
using u32string = basic_string<char32_t>;

}  // namespace tricolor::gc

template <class C, class Traits>
struct std::hash<tricolor::gc::basic_string<C, Traits>> {
  std::size_t operator()(const tricolor::gc::basic_string<C, Traits>& s) const noexcept {
    return std::hash<std::basic_string_view<C>>{}({s.data(), s.size()});
  }
};
