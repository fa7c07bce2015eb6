#pragma once

// TraceError: what every function of this folder throws when a trace cannot be used. The message
// names the file, the byte where reading failed and what was expected there.

#include <cstdint>
#include <stdexcept>
#include <string>

namespace bench::trace {

class TraceError : public std::runtime_error {
 public:
  TraceError(const std::string& source, uint64_t offset, const std::string& problem)
      : std::runtime_error(source + ": byte " + std::to_string(offset) + ": " + problem),
        offset_(offset) {}
  // For what no byte is to blame for: a file that cannot be opened, a disk that is full.
  TraceError(const std::string& source, const std::string& problem)
      : std::runtime_error(source + ": " + problem) {}

  // Offset in the file; for a fault inside a chunk, where the chunk begins.
  uint64_t offset() const { return offset_; }

 private:
  uint64_t offset_ = 0;
};

}  // namespace bench::trace
