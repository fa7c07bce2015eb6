// gc::small_vector: a vector whose first elements lie in the object itself.
#pragma once

#include <cstddef>
#include <initializer_list>
#include <iterator>
#include <type_traits>
#include <utility>

#include <tricolor/container/sequence.hpp>

namespace tricolor::gc {

namespace detail {

template <class T, std::size_t N>
struct small_vector_fields {
  ptr<T> block;  // null: the elements lie in `local`
  std::size_t size = 0;
  std::size_t capacity = N;
  alignas(T) unsigned char local[N * sizeof(T)];

  T* inside() noexcept { return reinterpret_cast<T*>(local); }
  T* data() noexcept { return block == nullptr ? inside() : block.get(); }
  // The elements are destroyed and cleared; a block is let go.
  void end() noexcept {
    if (T* const elements = block.get()) {
      if constexpr (has_destructor<T>) {
        for (std::size_t n = size; n > 0; --n) elements[n - 1].~T();
        disarm_block(elements);
      }
      block = nullptr;
    } else {
      end_elements(inside(), size);
    }
    size = 0;
    capacity = N;
  }
};
template <class T, std::size_t N, bool = has_destructor<T>>
struct small_vector_storage : small_vector_fields<T, N> {};
template <class T, std::size_t N>
struct small_vector_storage<T, N, true> : small_vector_fields<T, N> {
  small_vector_storage() = default;
  small_vector_storage(const small_vector_storage&) = delete;
  small_vector_storage& operator=(const small_vector_storage&) = delete;
  ~small_vector_storage() {
    // What lies in the object itself dies with it; a block looks after itself.
    if (this->block == nullptr || !ending_dead_object()) this->end();
  }
};

}  // namespace detail

// gc::vector with room for N elements in the object. Moving one that uses this room moves the
// elements; else as gc::vector.
template <class T, std::size_t N>
class small_vector : public detail::sequence<small_vector<T, N>, T> {
  static_assert(N > 0);
  using base = detail::sequence<small_vector<T, N>, T>;
  friend base;

 public:
  small_vector() noexcept = default;
  explicit small_vector(std::size_t count) { this->resize(count); }
  small_vector(std::size_t count, const T& value) { this->insert(this->end(), count, value); }
  template <detail::input_iterator It>
  small_vector(It first, It last) {
    this->insert(this->end(), first, last);
  }
  small_vector(std::initializer_list<T> values) : small_vector(values.begin(), values.end()) {}
  small_vector(const small_vector& other) : base(), storage_() {
    this->insert(this->end(), other.begin(), other.end());
  }
  small_vector(small_vector&& other) noexcept(std::is_nothrow_move_constructible_v<T>) {
    take(other);
  }
  ~small_vector() = default;
  small_vector& operator=(const small_vector& other) {
    if (this != &other) this->assign(other.begin(), other.end());
    return *this;
  }
  small_vector& operator=(small_vector&& other) noexcept(std::is_nothrow_move_constructible_v<T>) {
    if (this == &other) return *this;
    storage_.end();
    take(other);
    return *this;
  }
  small_vector& operator=(std::initializer_list<T> values) {
    this->assign(values);
    return *this;
  }

  T* data() noexcept { return storage_.data(); }
  const T* data() const noexcept { return const_cast<small_vector*>(this)->storage_.data(); }
  std::size_t size() const noexcept { return storage_.size; }
  std::size_t capacity() const noexcept { return storage_.capacity; }
  static constexpr std::size_t inline_capacity() noexcept { return N; }
  bool is_inline() const noexcept { return storage_.block == nullptr; }

  void shrink_to_fit() {
    if (is_inline() || size() == capacity()) return;
    small_vector tight;
    tight.reserve(size());
    for (T& element : *this) tight.push_back(std::move_if_noexcept(element));
    *this = std::move(tight);
  }
  void swap(small_vector& other) noexcept(std::is_nothrow_move_constructible_v<T>) {
    small_vector mine(std::move(*this));
    *this = std::move(other);
    other = std::move(mine);
  }

 private:
  void set_size(std::size_t count) noexcept {
    storage_.size = count;
    if constexpr (detail::has_destructor<T>) {
      if (!is_inline()) detail::set_live(storage_.block.get(), count);
    }
  }
  void adopt(T* block, std::size_t capacity, std::size_t count) noexcept {
    storage_.end();
    storage_.block = block;
    storage_.capacity = capacity;
    set_size(count);
  }
  // By one that is empty.
  void take(small_vector& other) {
    if (other.is_inline()) {
      detail::relocate(data(), other.data(), other.size());
      set_size(other.size());
      other.storage_.end();
    } else {
      storage_.block = other.storage_.block;
      storage_.capacity = std::exchange(other.storage_.capacity, N);
      storage_.size = std::exchange(other.storage_.size, 0);
      other.storage_.block = nullptr;
    }
  }

  detail::small_vector_storage<T, N> storage_;
};

}  // namespace tricolor::gc
