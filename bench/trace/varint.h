#pragma once

// Varints: seven bits a byte, lowest first, the high bit says that another byte follows (LEB128). A
// 64-bit value takes at most ten bytes. Pure: usable inside an allocator.

#include <cstddef>
#include <cstdint>

namespace bench::trace {

inline constexpr size_t kMaxVarint = 10;

// `out` has room for kMaxVarint bytes; returns the first byte behind the value.
inline std::byte* put_varint(std::byte* out, uint64_t value) {
  while (value >= 0x80) {
    *out++ = static_cast<std::byte>(value | 0x80);
    value >>= 7;
  }
  *out++ = static_cast<std::byte>(value);
  return out;
}

// Reads one value from [in, end). Returns the first byte behind it, or nullptr when the bytes end
// inside the value or the value does not fit into 64 bits.
inline const std::byte* get_varint(const std::byte* in, const std::byte* end, uint64_t& value) {
  if (in != end && static_cast<uint8_t>(*in) < 0x80) {
    value = static_cast<uint64_t>(*in);
    return in + 1;
  }
  uint64_t result = 0;
  for (unsigned shift = 0; shift < 64; shift += 7) {
    if (in == end) return nullptr;
    const uint64_t byte = static_cast<uint64_t>(*in++);
    if (shift == 63 && byte > 1) return nullptr;
    result |= (byte & 0x7f) << shift;
    if (byte < 0x80) {
      value = result;
      return in;
    }
  }
  return nullptr;
}

}  // namespace bench::trace
