// gc::vector: std::vector with collected storage.
#pragma once

#include <initializer_list>
#include <iterator>
#include <type_traits>
#include <utility>

#include <tricolor/allocator.hpp>
#include <tricolor/container/sequence.hpp>

namespace tricolor::gc {

namespace detail {

template <class T>
struct vector_fields {
  ptr<T> data;
  std::size_t size = 0;
  std::size_t capacity = 0;

  void end() noexcept {
    T* const elements = data.get();
    if (elements == nullptr) return;
    if constexpr (has_destructor<T>) {
      for (std::size_t n = size; n > 0; --n) elements[n - 1].~T();
      disarm_block(elements);
    }
  }
};
// clang 14 has no conditionally trivial destructors.
template <class T, bool = has_destructor<T>>
struct vector_storage : vector_fields<T> {};
template <class T>
struct vector_storage<T, true> : vector_fields<T> {
  vector_storage() = default;
  vector_storage(const vector_storage&) = delete;
  vector_storage& operator=(const vector_storage&) = delete;
  ~vector_storage() {
    if (!ending_dead_object()) this->end();
  }
};

}  // namespace detail

// The interface, complexities and exception guarantees of std::vector; elements may be or hold
// gc::ptr and other collected containers. Lives wherever a gc::ptr may: in collected objects and on
// stacks. Trivially destructible where T is. Where T has a destructor, a vector that dies with its
// collected object leaves the elements to the finalizer thread, which visits their block once.
// Iterators are T*: they keep the block alive, but once the vector has grown or gone they refer to
// what it was. Threads: as std::vector.
template <class T>
class vector : public detail::sequence<vector<T>, T> {
  using base = detail::sequence<vector<T>, T>;
  friend base;

 public:
  using allocator_type = allocator<T>;

  vector() noexcept = default;
  explicit vector(const allocator<T>&) noexcept {}
  explicit vector(std::size_t count) { this->resize(count); }
  vector(std::size_t count, const T& value) { this->insert(this->end(), count, value); }
  template <detail::input_iterator It>
  vector(It first, It last) {
    this->insert(this->end(), first, last);
  }
  vector(std::initializer_list<T> values) : vector(values.begin(), values.end()) {}
  vector(const vector& other) : base(), storage_() {
    this->insert(this->end(), other.begin(), other.end());
  }
  vector(vector&& other) noexcept { swap(other); }
  ~vector() = default;
  vector& operator=(const vector& other) {
    if (this != &other) this->assign(other.begin(), other.end());
    return *this;
  }
  vector& operator=(vector&& other) noexcept {
    vector(std::move(other)).swap(*this);
    return *this;
  }
  vector& operator=(std::initializer_list<T> values) {
    this->assign(values);
    return *this;
  }

  T* data() noexcept { return storage_.data.get(); }
  const T* data() const noexcept { return storage_.data.get(); }
  std::size_t size() const noexcept { return storage_.size; }
  std::size_t capacity() const noexcept { return storage_.capacity; }
  allocator_type get_allocator() const noexcept { return {}; }

  void shrink_to_fit() {
    if (size() == capacity()) return;
    if (this->empty()) {
      vector().swap(*this);
    } else {
      this->move_to_block(size());
    }
  }
  void swap(vector& other) noexcept {
    storage_.data.swap(other.storage_.data);
    std::swap(storage_.size, other.storage_.size);
    std::swap(storage_.capacity, other.storage_.capacity);
  }

 private:
  void set_size(std::size_t count) noexcept {
    storage_.size = count;
    if constexpr (detail::has_destructor<T>) {
      if (T* const elements = data()) detail::set_live(elements, count);
    }
  }
  void adopt(T* block, std::size_t capacity, std::size_t count) noexcept {
    storage_.end();
    storage_.data = block;
    storage_.capacity = capacity;
    set_size(count);
  }

  detail::vector_storage<T> storage_;
};

template <detail::input_iterator It>
vector(It, It) -> vector<typename std::iterator_traits<It>::value_type>;

}  // namespace tricolor::gc
