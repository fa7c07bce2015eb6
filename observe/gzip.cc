#include "observe/gzip.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <new>

#if TRICOLOR_ZLIB
#include <zlib.h>
#endif

namespace tricolor::observe {

#if TRICOLOR_ZLIB

std::string gzip(std::string_view data) {
  z_stream stream{};
  constexpr int kGzip = 16 + MAX_WBITS;
  if (deflateInit2(&stream, Z_BEST_SPEED, Z_DEFLATED, kGzip, 8, Z_DEFAULT_STRATEGY) != Z_OK)
    throw std::bad_alloc();
  std::string out(deflateBound(&stream, data.size()) + 64, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(data.data()));
  stream.avail_in = static_cast<uInt>(data.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  const int result = deflate(&stream, Z_FINISH);
  out.resize(out.size() - stream.avail_out);
  deflateEnd(&stream);
  if (result != Z_STREAM_END) throw std::bad_alloc();
  return out;
}

#else

namespace {

constexpr std::array<uint32_t, 256> make_crc_table() {
  std::array<uint32_t, 256> table{};
  for (uint32_t i = 0; i < 256; ++i) {
    uint32_t value = i;
    for (int bit = 0; bit < 8; ++bit)
      value = (value & 1) != 0 ? 0xedb88320u ^ value >> 1 : value >> 1;
    table[i] = value;
  }
  return table;
}

uint32_t crc32(std::string_view data) {
  static constexpr std::array<uint32_t, 256> kTable = make_crc_table();
  uint32_t crc = ~0u;
  for (const char c : data) crc = kTable[(crc ^ static_cast<unsigned char>(c)) & 0xff] ^ crc >> 8;
  return ~crc;
}

void append_number(std::string& out, uint32_t value, int bytes) {
  for (; bytes > 0; --bytes, value >>= 8) out += static_cast<char>(value & 0xff);
}

}  // namespace

// Blocks that are stored as they are.
std::string gzip(std::string_view data) {
  constexpr size_t kBlock = 65535;
  std::string out;
  out.reserve(data.size() + data.size() / kBlock * 5 + 32);
  out.append("\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff", 10);
  size_t at = 0;
  do {
    const size_t size = std::min(kBlock, data.size() - at);
    out += static_cast<char>(at + size == data.size() ? 1 : 0);  // the last block
    append_number(out, static_cast<uint32_t>(size), 2);
    append_number(out, ~static_cast<uint32_t>(size) & 0xffff, 2);
    out.append(data.substr(at, size));
    at += size;
  } while (at < data.size());
  append_number(out, crc32(data), 4);
  append_number(out, static_cast<uint32_t>(data.size()), 4);
  return out;
}

#endif

}  // namespace tricolor::observe
