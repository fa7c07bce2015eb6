// What sync::Map consists of: an open-addressed table of references to entries, which tables share.
//
// [map.entry]  an entry, once in a slot, stays there; a table is replaced as a whole. Its value says whether the key is
//              there: `gone` is none. So a reader needs the table, the slot and the value, each a single load, and an
//              operation on a key that is there is one compare-exchange of the value, in whatever table it was found.
// [map.revive] only a thread that holds the key's stripe turns `gone` into a value or adds an entry; who replaces the
//              table holds all stripes, so no entry that it leaves out as gone comes back.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <type_traits>

#include <tricolor/atomic.hpp>
#include <tricolor/detail/raw_words.hpp>
#include <tricolor/make.hpp>
#include <tricolor/ptr.hpp>

namespace tricolor::sync::detail {

// A key that is an address keeps what it points to, as a reference of the entry.
template <class K>
using StoredKey = typename std::conditional_t<
    std::is_pointer_v<K> && !std::is_function_v<std::remove_pointer_t<K>>,
    std::type_identity<gc::ptr<std::remove_pointer_t<K>>>, std::type_identity<K>>::type;

template <class K>
decltype(auto) key_of(const StoredKey<K>& stored) noexcept {
  if constexpr (std::is_pointer_v<K>) {
    return static_cast<K>(stored);
  } else {
    return (stored);
  }
}

inline constexpr char kGoneAddress = 0;

template <class K, class V>
struct MapEntry {
  MapEntry(std::uint64_t h, const K& k, V* v) : hash(h), key(k), value(v) {}

  // No object's address: the key is not there.
  static V* gone() noexcept { return reinterpret_cast<V*>(const_cast<char*>(&kGoneAddress)); }

  const std::uint64_t hash;
  const StoredKey<K> key;
  // Written with release, read with acquire: the pair makes the object that it refers to visible.
  gc::atomic<V> value;
};

template <class K, class V>
struct MapTable {
  using Entry = MapEntry<K, V>;

  explicit MapTable(std::size_t capacity)
      : mask(capacity - 1), slots(gc::make_array<gc::atomic<Entry>>(capacity)) {}

  std::size_t capacity() const noexcept { return mask + 1; }

  const std::size_t mask;
  // Each set once, with release, and loaded with acquire: the pair makes the entry visible.
  const gc::ptr<gc::atomic<Entry>> slots;
};

// The locks for new keys, chosen by hash.
struct alignas(64) MapStripe {
  std::mutex lock;
  // Slots in use, and keys there. Relaxed: bounds that may be a moment old. `used` is changed under
  // the lock.
  std::atomic<std::size_t> used{0};
  std::atomic<std::ptrdiff_t> live{0};
};

template <class K, class V>
struct MapState {
  static constexpr std::size_t kStripes = 16;
  static constexpr std::size_t kLeast = 64;

  // Stored with release under all stripes, loaded with acquire.
  gc::atomic<MapTable<K, V>> table{gc::make<MapTable<K, V>>(kLeast)};
  std::array<MapStripe, kStripes> stripes;
  std::mutex rebuilding;  // before the stripes; one thread makes the next table

  MapStripe& stripe_of(std::uint64_t hash) noexcept { return stripes[hash >> 60]; }
  std::size_t used() const noexcept {
    std::size_t sum = 0;
    for (const MapStripe& s : stripes) sum += s.used.load(std::memory_order_relaxed);
    return sum;
  }
  std::size_t live() const noexcept {
    std::ptrdiff_t sum = 0;
    for (const MapStripe& s : stripes) sum += s.live.load(std::memory_order_relaxed);
    return sum < 0 ? 0 : static_cast<std::size_t>(sum);
  }

  // All stripes, in their order.
  class AllStripes {
   public:
    explicit AllStripes(MapState& state) : state_(state) {
      for (MapStripe& s : state_.stripes) s.lock.lock();
    }
    ~AllStripes() {
      for (MapStripe& s : state_.stripes) s.lock.unlock();
    }
    AllStripes(const AllStripes&) = delete;
    AllStripes& operator=(const AllStripes&) = delete;

   private:
    MapState& state_;
  };
};

// std::hash is the identity for numbers: all bits count in all bits. (The finaliser of
// MurmurHash3.)
inline std::uint64_t spread_hash(std::uint64_t h) noexcept {
  h ^= h >> 33;
  h *= 0xff51afd7ed558ccd;
  h ^= h >> 33;
  h *= 0xc4ceb9fe1a85ec53;
  return h ^ h >> 33;
}

}  // namespace tricolor::sync::detail
