#pragma once

// ObjectIndex: which events allocated, and which of the objects have ended.
//
// Events name objects by the ticket of their allocation; consumers want numbers without holes. One
// bit per event and a running count per 512 of them turn one into the other (rank in a bitmap,
// Jacobson 1989), which keeps a trace of 100 million events at 15 MB. One more bit per object says
// whether it has ended.
//
// Threads: belongs to one reader.

#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace bench::trace {

class ObjectIndex {
 public:
  uint64_t events() const { return events_; }
  uint64_t objects() const { return objects_; }

  // The next ticket belongs to an event that did or did not allocate.
  void append(bool allocates) {
    const uint64_t ticket = events_++;
    if (ticket % 64 == 0) {
      if (ticket % kBlock == 0) rank_.push_back(objects_);
      bits_.push_back(0);
    }
    if (!allocates) return;
    bits_.back() |= uint64_t{1} << (ticket % 64);
    if (objects_ % 64 == 0) ended_.push_back(0);
    ++objects_;
  }

  // The number of the object that the event with this ticket allocated.
  std::optional<uint64_t> object_of(uint64_t ticket) const {
    if (ticket >= events_) return std::nullopt;
    const uint64_t word = ticket / 64;
    const uint64_t bit = uint64_t{1} << (ticket % 64);
    if ((bits_[word] & bit) == 0) return std::nullopt;
    uint64_t number = rank_[ticket / kBlock];
    for (uint64_t w = ticket / kBlock * (kBlock / 64); w < word; ++w) {
      number += static_cast<uint64_t>(std::popcount(bits_[w]));
    }
    return number + static_cast<uint64_t>(std::popcount(bits_[word] & (bit - 1)));
  }

  bool has_ended(uint64_t object) const { return (ended_[object / 64] >> (object % 64) & 1) != 0; }
  void end(uint64_t object) { ended_[object / 64] |= uint64_t{1} << (object % 64); }

 private:
  static constexpr uint64_t kBlock = 512;

  uint64_t events_ = 0;
  uint64_t objects_ = 0;
  std::vector<uint64_t> bits_;
  std::vector<uint64_t> rank_;
  std::vector<uint64_t> ended_;
};

}  // namespace bench::trace
