#pragma once

// json_string: a string as JSON writes it, quotes included. Any bytes are accepted; control
// characters are escaped. Pure.

#include <fmt/format.h>

#include <string>
#include <string_view>

namespace bench::trace {

inline std::string json_string(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      out += fmt::format("\\u{:04x}", static_cast<unsigned char>(c));
    } else {
      out += c;
    }
  }
  return out + '"';
}

}  // namespace bench::trace
