#pragma once

// Checksum over what a replay reads back, in its order; and the tag that an object is known by.
// One thread each.

#include <cstdint>

namespace bench::replay {

// The top bit is set, so none can be mistaken for an address.
constexpr uint64_t tag_of(uint64_t object) {
  return uint64_t{1} << 63 | (object * 0x9e3779b97f4a7c15u) >> 1;
}

class Checksum {
 public:
  void note(uint64_t value) { value_ = value_ * 0x100000001b3u + value; }
  uint64_t value() const { return value_; }

 private:
  uint64_t value_ = 0;
};

}  // namespace bench::replay
