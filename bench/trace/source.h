#pragma once

// Source: random access to the bytes of a trace. A reader never holds more of a file than the
// chunks that are current, so traces may be larger than memory.
//
// Threads: a source belongs to one reader.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace bench::trace {

class Source {
 public:
  virtual ~Source() = default;
  virtual uint64_t size() const = 0;
  // Fills `out` from `offset`; false when the source ends before. Throws TraceError when the system
  // fails.
  virtual bool read_at(uint64_t offset, std::span<std::byte> out) = 0;
  // For messages.
  virtual const std::string& name() const = 0;
};

// Throws TraceError when `path` cannot be opened or is no regular file.
std::unique_ptr<Source> open_file(const std::string& path);

std::unique_ptr<Source> open_memory(std::string name, std::vector<std::byte> bytes);

}  // namespace bench::trace
