// sync::Evictor: what a cache asks which entry is to go; LRU, LRU-K and sampled LFU.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <unordered_map>
#include <utility>
#include <vector>

#include <tricolor/detail/config.hpp>

namespace tricolor::sync {

// Decides which entry of a Cache goes when there is no room. Keys are named by 64-bit numbers, one
// for each key and namespace. The cache calls it under its own lock: one call at a time, from any
// thread, and it must not use the cache. If a function throws, the cache goes on without the
// evictor, as LRU, and throws it on to the next writer.
class Evictor {
 public:
  virtual ~Evictor() = default;

  // The key was read or stored. Reads come a few at a time and late, and some get lost between many
  // threads.
  virtual void on_access(std::uint64_t key) = 0;
  // Whether this key is the one to go. The cache asks for one after the other, the longest unused
  // first, until it hears yes; if it hears none, the first one goes.
  virtual bool should_evict(std::uint64_t key) = 0;
  // Forgets everything.
  virtual void reset() = 0;

  // The key has left the cache.
  virtual void on_remove(std::uint64_t /*key*/) {}
  // For an evictor that knows which key is to go without being asked for each.
  virtual std::optional<std::uint64_t> victim() { return std::nullopt; }
};

// The longest unused one goes: the order that the cache asks in.
class TRICOLOR_API LruEvictor final : public Evictor {
 public:
  void on_access(std::uint64_t key) override;
  bool should_evict(std::uint64_t key) override;
  void reset() override;
};

// The one whose k-th last use lies furthest back goes (O'Neil, O'Neil and Weikum, 1993); of those
// used less than k times, the longest unused. k = 2 tells apart what a scan touches once.
class TRICOLOR_API LruKEvictor final : public Evictor {
 public:
  // std::invalid_argument for k = 0.
  explicit LruKEvictor(std::size_t k = 2);
  void on_access(std::uint64_t key) override;
  bool should_evict(std::uint64_t key) override;
  void reset() override;
  void on_remove(std::uint64_t key) override;
  std::optional<std::uint64_t> victim() override;

 private:
  using Rank = std::pair<std::uint64_t, std::uint64_t>;  // k-th last use (0: none), last use
  struct Uses {
    std::vector<std::uint64_t> times;  // the last first, k at most
    Rank rank;
  };

  std::size_t k_;
  std::uint64_t now_ = 0;
  std::unordered_map<std::uint64_t, Uses> uses_;
  std::map<Rank, std::uint64_t> order_;  // ranks are unique: no two uses have one time
};

// Of a few keys chosen at random the least used goes; counts are halved from time to time.
class TRICOLOR_API SampledLfuEvictor final : public Evictor {
 public:
  // std::invalid_argument for sample = 0.
  explicit SampledLfuEvictor(std::size_t sample = 5, std::uint64_t seed = 1);
  void on_access(std::uint64_t key) override;
  bool should_evict(std::uint64_t key) override;
  void reset() override;
  void on_remove(std::uint64_t key) override;
  std::optional<std::uint64_t> victim() override;

 private:
  struct Counted {
    std::uint64_t key;
    std::uint64_t count;
  };

  std::size_t sample_;
  std::uint64_t random_;
  std::uint64_t since_halved_ = 0;
  std::vector<Counted> keys_;
  std::unordered_map<std::uint64_t, std::size_t> places_;  // in keys_
};

}  // namespace tricolor::sync
