#pragma once

// Event: one event of a trace as a reader hands it out, with objects named by dense numbers.

#include <cstdint>
#include <string>
#include <vector>

#include "bench/trace/format.h"

namespace bench::trace {

inline constexpr uint64_t kNullObject = ~uint64_t{0};

struct TypeInfo {
  uint64_t number = 0;  // from 1; 0 stands for untyped bytes and is never defined
  uint64_t bytes = 0;   // of one element
  std::vector<bool>
      mask;  // one bit per 8-byte word that may hold a reference; words beyond it hold none
  std::string name;
};

// Only the fields that the kind's comment in format.h names are meaningful.
struct Event {
  Kind kind = Kind::kMark;
  uint32_t thread = 0;
  uint64_t ticket = 0;
  uint64_t object = kNullObject;  // allocated (also by kRealloc), freed, dead, or stored into
  uint64_t target =
      kNullObject;      // what a store or a root now refers to; the old object of kRealloc
  uint64_t amount = 0;  // bytes, or the array length of kAllocTyped
  uint64_t number = 0;  // type, root, slot, request or parent thread + 1
  uint32_t align_log2 = 0;
  std::string text;  // of kMark
  TypeInfo type;     // of kTypeDef
};

const char* kind_name(Kind kind);

}  // namespace bench::trace
