#pragma once

// Oracle: knows from the program which objects are alive, and watches what the heap does with them.
//
// [oracle.live]  memory of an object that is alive is never given out again, and the collector
//                knows the object whenever the program uses it and after every collection.
//
// A heap that breaks this ends the run with a message. What the collector keeps though the program
// can no longer reach it is counted at full collections, which the oracle asks for in even
// distances: objects whose end has passed, whose memory was not given out again, and which the
// collector still takes for live.
//
// Besides what a replay needs of a backend: kCollects; collect(); is_kept(const void*), right after
// collect(): the collection left this object; knows(const void*), at any time: an object begins
// there; held_bytes(), right after collect(): what it left in all, the collector's own rounding and
// the registers' pages included.
//
// Threads: one.

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <stdexcept>
#include <string>

namespace bench::replay {

template <typename Backend>
class Oracle {
 public:
  static constexpr bool kIsOn = true;

  // `turns`: how often turn_ended() will be called; `probes`: how many full collections to ask for.
  Oracle(Backend& backend, uint64_t turns, uint64_t probes)
      : backend_(backend), distance_(std::max<uint64_t>(turns / (probes + 1), 1)) {}

  void began(void* object, uint32_t bytes) {
    const auto from = reinterpret_cast<uintptr_t>(object);
    const uintptr_t to = from + std::max(bytes, 1u);
    auto at = known_.upper_bound(from);
    if (at != known_.begin() && std::prev(at)->second.to > from) --at;
    while (at != known_.end() && at->first < to) {
      if (at->second.is_alive) {
        fail(at->second,
             fmt::format("its memory was given to object {} of {} bytes", objects_, bytes));
      }
      at = known_.erase(at);
    }
    known_.emplace(from, Known{to, objects_++, bytes, true});
    live_bytes_ += bytes;
  }

  void used(const void* object) {
    const auto at = known_.find(reinterpret_cast<uintptr_t>(object));
    if (at == known_.end() || !at->second.is_alive) {
      throw std::runtime_error("oracle: the program names an object that has ended");
    }
    if (Backend::kCollects && !backend_.knows(object)) {
      fail(at->second, "the collector no longer knows it");
    }
    ++uses_;
  }

  void ended(const void* object) {
    used(object);
    Known& known = known_.at(reinterpret_cast<uintptr_t>(object));
    known.is_alive = false;
    live_bytes_ -= known.bytes;
    if (!Backend::kCollects) known_.erase(reinterpret_cast<uintptr_t>(object));
  }

  void turn_ended() {
    if (++turns_ % distance_ == 0 && Backend::kCollects) probe();
  }

  std::string to_json() const {
    const double count = static_cast<double>(std::max<uint64_t>(probes_, 1));
    return fmt::format(
        R"({{"uses":{},"probes":{},"live_bytes_mean":{:.0f},"kept_bytes_mean":{:.0f},)"
        R"("kept_bytes_max":{},"kept_objects_max":{},"held_bytes_mean":{:.0f}}})",
        uses_, probes_, static_cast<double>(live_sum_) / count,
        static_cast<double>(kept_sum_) / count, kept_most_, kept_objects_most_,
        static_cast<double>(held_sum_) / count);
  }

 private:
  struct Known {
    uintptr_t to;
    uint64_t number;
    uint32_t bytes;
    bool is_alive;
  };

  // [oracle.live]
  [[noreturn]] void fail(const Known& known, const std::string& what) const {
    throw std::runtime_error(
        fmt::format("oracle: object {} of {} bytes is alive, but {} (object {} is the newest, {} "
                    "collections so far)",
                    known.number, known.bytes, what, objects_ - 1, backend_.collections()));
  }

  void probe() {
    backend_.collect();
    uint64_t kept = 0;
    uint64_t kept_objects = 0;
    for (auto at = known_.begin(); at != known_.end();) {
      const bool is_kept = backend_.is_kept(reinterpret_cast<const void*>(at->first));
      const Known& known = at->second;
      if (known.is_alive && !is_kept) fail(known, "a collection reclaimed it");
      if (!known.is_alive && is_kept) {
        kept += known.bytes;
        ++kept_objects;
      }
      at = known.is_alive || is_kept ? std::next(at) : known_.erase(at);
    }
    ++probes_;
    live_sum_ += live_bytes_;
    kept_sum_ += kept;
    held_sum_ += backend_.held_bytes();
    kept_most_ = std::max(kept_most_, kept);
    kept_objects_most_ = std::max(kept_objects_most_, kept_objects);
  }

  Backend& backend_;
  uint64_t distance_;
  std::map<uintptr_t, Known> known_;  // by address: alive, or ended and perhaps not reclaimed
  uint64_t objects_ = 0;
  uint64_t live_bytes_ = 0;
  uint64_t uses_ = 0;
  uint64_t turns_ = 0;
  uint64_t probes_ = 0;
  uint64_t live_sum_ = 0;
  uint64_t kept_sum_ = 0;
  uint64_t held_sum_ = 0;
  uint64_t kept_most_ = 0;
  uint64_t kept_objects_most_ = 0;
};

}  // namespace bench::replay
