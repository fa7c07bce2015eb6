// What a cache keeps and what goes: W-TinyLFU (Einziger, Friedman and Manes, 2017), or an Evictor.
//
//     new --> window --> probation <--> protected        each a list by last use, with the cost of its entries
//
// What falls out of the window is admitted to the main part only if it was asked for more often, of
// late, than what it would displace. How often is what a sketch of 4-bit counters remembers, of
// keys that are gone too. The window's share of the cost is found by trying: hill climbing on the
// hit ratio.
//
// [cache.bound] room is made before an entry is added: the cost of what is in the lists never passes the bound.
// Threads: the caller holds the cache's lock.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <utility>
#include <vector>

#include <tricolor/detail/config.hpp>
#include <tricolor/ptr.hpp>
#include <tricolor/root.hpp>
#include <tricolor/sync/evictor.hpp>

namespace tricolor::sync::detail {

enum class CachePart : std::uint8_t { kNone, kWindow, kProbation, kProtected };

// The part of an entry that the policy knows. Guarded by the cache's lock.
struct CacheNode {
  explicit CacheNode(std::uint64_t i) noexcept : id(i) {}

  const std::uint64_t id;
  gc::ptr<CacheNode> newer, older;
  std::size_t cost = 0;
  std::uint64_t uses = 0;
  CachePart part = CachePart::kNone;
};

struct CacheList {
  gc::ptr<CacheNode> newest, oldest;
  std::size_t cost = 0;
};

struct CacheLists {
  std::array<CacheList, 4> parts;  // [CachePart]
};

// How often a key was asked for of late: a count-min sketch with four counters of 4 bits a key,
// halved every ten times its size.
class FrequencySketch {
 public:
  TRICOLOR_API void ensure(std::size_t keys);
  TRICOLOR_API void add(std::uint64_t key) noexcept;
  [[nodiscard]] TRICOLOR_API unsigned estimate(std::uint64_t key) const noexcept;  // 15 at most

 private:
  void halve() noexcept;
  std::vector<std::uint64_t> words_;  // 16 counters each; a power of two of them
  std::size_t added_ = 0;
};

class CachePolicy {
 public:
  // What the policy needs of the cache.
  class Host {
   public:
    virtual CacheNode* find(std::uint64_t id) = 0;
    // The entry has left the lists; no room was left for it.
    virtual void evicted(CacheNode& node) = 0;

   protected:
    ~Host() = default;
  };

  TRICOLOR_API CachePolicy(Host& host, std::size_t max_cost, std::shared_ptr<Evictor> evictor);

  // An entry was asked for.
  TRICOLOR_API void on_hit(CacheNode& node);
  // Takes an entry in, for which there is room then; false if its cost is above the bound.
  // std::bad_alloc: then nothing has changed.
  TRICOLOR_API bool add(CacheNode& node, std::size_t cost);
  // Another cost; false, and the entry is out, if it is above the bound.
  TRICOLOR_API bool change(CacheNode& node, std::size_t cost);
  TRICOLOR_API void remove(CacheNode& node);
  TRICOLOR_API void clear();
  // The entries that are there go over to it, the longest unused first.
  TRICOLOR_API void set_evictor(std::shared_ptr<Evictor> evictor);
  // What the evictor has thrown, once.
  std::exception_ptr take_error() noexcept { return std::exchange(error_, nullptr); }

  std::size_t cost() const noexcept { return cost_; }
  std::size_t entries() const noexcept { return entries_; }
  // The longest unused of a part, and those after it.
  CacheNode* oldest(CachePart part) const noexcept { return list(part).oldest; }

 private:
  CacheList& list(CachePart part) const noexcept {
    return lists_->parts[static_cast<std::size_t>(part)];
  }
  void link(CacheNode& node, CachePart part) noexcept;
  void unlink(CacheNode& node) noexcept;
  void touch(CacheNode& node) noexcept;
  void make_room(std::size_t cost, CacheNode* keep);
  bool overflow_window(std::size_t cost, CacheNode* keep);
  void evict(CacheNode& node);
  CacheNode* choose_by_evictor(CacheNode* keep);
  CacheNode* main_victim(CacheNode* keep) const noexcept;
  void climb(bool hit) noexcept;
  template <class Call>
  void guarded(Call call);

  Host& host_;
  const std::size_t max_cost_;
  std::size_t cost_ = 0, entries_ = 0;
  gc::root<CacheLists> lists_;
  FrequencySketch sketch_;
  std::shared_ptr<Evictor> evictor_;
  std::exception_ptr error_;

  std::size_t window_cost_;  // the window's share of max_cost_
  double step_;
  double last_ratio_ = 0;
  std::size_t hits_ = 0, accesses_ = 0;
};

}  // namespace tricolor::sync::detail
