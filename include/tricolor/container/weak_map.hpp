// gc::weak_map, gc::weak_set and gc::ephemeron: what is known of objects without keeping them
// alive.
#pragma once

#include <cstddef>
#include <iterator>
#include <type_traits>
#include <utility>

#include <tricolor/make.hpp>
#include <tricolor/ptr.hpp>

namespace tricolor::gc {

namespace detail {

struct EphemeronTable;
struct EphemeronHandle {
  EphemeronTable* table = nullptr;  // in ordinary memory; goes with the handle
};

[[nodiscard]] TRICOLOR_API EphemeronHandle* make_ephemerons();  // std::bad_alloc
[[nodiscard]] TRICOLOR_API void* ephemeron_find(const EphemeronHandle* handle, const void* key,
                                                bool& found) noexcept;
TRICOLOR_API bool ephemeron_set(EphemeronHandle* handle, void* key, void* value);  // true: new
TRICOLOR_API bool ephemeron_erase(EphemeronHandle* handle, const void* key) noexcept;
[[nodiscard]] TRICOLOR_API std::size_t ephemeron_count(const EphemeronHandle* handle) noexcept;
TRICOLOR_API void ephemeron_clear(EphemeronHandle* handle) noexcept;
// Keys and values in turn, at most `most` of each; gives how many.
[[nodiscard]] TRICOLOR_API std::size_t ephemeron_copy(const EphemeronHandle* handle, ptr<void>* out,
                                                      std::size_t most) noexcept;

template <class T>
void* erase_type(T* object) noexcept {
  return const_cast<void*>(static_cast<const volatile void*>(object));
}

// The entries as they were at begin(), all alive as long as the iterator.
template <class Value, class Make>
class weak_iterator {
 public:
  using iterator_category = std::input_iterator_tag;
  using value_type = Value;
  using difference_type = std::ptrdiff_t;
  using reference = Value;
  using pointer = void;

  weak_iterator() noexcept = default;
  weak_iterator(ptr<void>* entries, std::size_t count) noexcept : at_(entries), left_(count) {}
  Value operator*() const noexcept { return Make{}(at_[0].get(), at_[1].get()); }
  weak_iterator& operator++() noexcept {
    at_ += 2;
    --left_;
    return *this;
  }
  weak_iterator operator++(int) noexcept {
    const weak_iterator before = *this;
    ++*this;
    return before;
  }
  friend bool operator==(const weak_iterator& a, const weak_iterator& b) noexcept {
    return a.left_ == b.left_;
  }

 private:
  ptr<void>* at_ = nullptr;
  std::size_t left_ = 0;
};

class weak_table {
 public:
  weak_table() noexcept = default;
  weak_table(weak_table&& other) noexcept : handle_(other.handle_) { other.handle_ = nullptr; }
  weak_table& operator=(weak_table&& other) noexcept {
    if (this == &other) return *this;
    handle_ = other.handle_;
    other.handle_ = nullptr;
    return *this;
  }
  ~weak_table() = default;

  // Entries whose keys have not been found dead yet.
  [[nodiscard]] std::size_t size() const noexcept {
    return handle_ == nullptr ? 0 : ephemeron_count(handle_);
  }
  [[nodiscard]] bool empty() const noexcept { return size() == 0; }
  void clear() noexcept {
    if (handle_ != nullptr) ephemeron_clear(handle_);
  }

 protected:
  void* find(const void* key, bool& found) const noexcept {
    found = false;
    return handle_ == nullptr ? nullptr : ephemeron_find(handle_, key, found);
  }
  bool set(void* key, void* value) {
    if (handle_ == nullptr) handle_ = make_ephemerons();
    return ephemeron_set(handle_, key, value);
  }
  bool erase(const void* key) noexcept {
    return handle_ != nullptr && ephemeron_erase(handle_, key);
  }
  template <class Iterator>
  Iterator copy() const {
    const std::size_t count = size();
    if (count == 0) return Iterator();
    ptr<void>* const entries = make_array<ptr<void>>(2 * count);
    return Iterator(entries, ephemeron_copy(handle_, entries, count));
  }

 private:
  ptr<EphemeronHandle> handle_;
};

template <class K, class V>
struct make_weak_pair {
  std::pair<K*, V*> operator()(void* key, void* value) const noexcept {
    return {static_cast<K*>(key), static_cast<V*>(value)};
  }
};
template <class K>
struct make_weak_key {
  K* operator()(void* key, void*) const noexcept { return static_cast<K*>(key); }
};

}  // namespace detail

template <>
struct is_leaf<detail::EphemeronHandle> : std::true_type {};

// Collected objects by collected objects, which it does not keep alive: an entry goes with its key,
// and until then the value is reachable through the key alone. So a value may refer to its key, or
// to the map. Keys are compared by address. Lives wherever a gc::ptr may; trivially destructible;
// not copyable.
//
// An operation takes some 30 ns, more while a cycle marks; an entry some 50 bytes of ordinary
// memory, which counts towards no limit. gc::destroy of any object looks into all weak tables.
// Threads: one at a time, as a std::map.
template <class K, class V>
class weak_map : public detail::weak_table {
 public:
  using key_type = K*;
  using mapped_type = V*;
  using value_type = std::pair<K*, V*>;
  using iterator = detail::weak_iterator<value_type, detail::make_weak_pair<K, V>>;
  using const_iterator = iterator;

  // Whether the key is new. std::invalid_argument: it is no collected object; std::bad_alloc.
  bool insert_or_assign(K* key, V* value) {
    return this->set(detail::erase_type(key), detail::erase_type(value));
  }
  // The value of `key`; nullptr: there is none.
  [[nodiscard]] V* find(const K* key) const noexcept {
    bool found;
    return static_cast<V*>(weak_table::find(detail::erase_type(key), found));
  }
  [[nodiscard]] bool contains(const K* key) const noexcept {
    bool found;
    (void)weak_table::find(detail::erase_type(key), found);
    return found;
  }
  bool erase(const K* key) noexcept { return weak_table::erase(detail::erase_type(key)); }
  // Visits the entries there are now, in no order; copies their references. std::bad_alloc.
  iterator begin() const { return this->template copy<iterator>(); }
  iterator end() const noexcept { return {}; }
};

// Collected objects, which it does not keep alive; as gc::weak_map.
template <class K>
class weak_set : public detail::weak_table {
 public:
  using key_type = K*;
  using value_type = K*;
  using iterator = detail::weak_iterator<K*, detail::make_weak_key<K>>;
  using const_iterator = iterator;

  bool insert(K* key) { return this->set(detail::erase_type(key), nullptr); }
  [[nodiscard]] bool contains(const K* key) const noexcept {
    bool found;
    (void)this->find(detail::erase_type(key), found);
    return found;
  }
  bool erase(const K* key) noexcept { return weak_table::erase(detail::erase_type(key)); }
  iterator begin() const { return this->template copy<iterator>(); }
  iterator end() const noexcept { return {}; }
};

// One key and the value that is reachable through it alone; as gc::weak_map, which is cheaper for
// many.
template <class K, class V>
class ephemeron : private detail::weak_table {
 public:
  ephemeron() noexcept = default;
  ephemeron(K* key, V* value) { this->set(detail::erase_type(key), detail::erase_type(value)); }

  // Both; two nullptr once the key is dead. std::bad_alloc.
  [[nodiscard]] std::pair<K*, V*> get() const {
    using iterator = detail::weak_iterator<std::pair<K*, V*>, detail::make_weak_pair<K, V>>;
    const iterator at = this->template copy<iterator>();
    return at == iterator() ? std::pair<K*, V*>() : *at;
  }
  [[nodiscard]] K* key() const { return get().first; }
  [[nodiscard]] V* value() const { return get().second; }
  explicit operator bool() const noexcept { return !this->empty(); }
  void reset() noexcept { this->clear(); }
};

}  // namespace tricolor::gc
