#pragma once

// Summary: what a trace contains, counted in one pass.

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "bench/trace/reader.h"

namespace bench::trace {

struct Summary {
  uint64_t events = 0;
  std::array<uint64_t, kLastKind + 1> by_kind{};
  uint64_t objects = 0;
  uint64_t survivors = 0;  // objects that never end
  uint64_t allocated_bytes = 0;
  uint64_t peak_objects = 0;
  uint64_t peak_bytes = 0;
  uint64_t threads = 0;
  // Objects of up to 16, 32, 64, ... bytes; the last takes the rest.
  std::array<uint64_t, 24> by_size{};
  std::vector<std::string> marks;
};

// Reads to the end; throws TraceError.
Summary summarize(Reader& reader);

}  // namespace bench::trace
