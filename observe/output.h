#pragma once

// Output: a file that is written at once, and what is said when it cannot be.
//
// Threads: any.

#include <exception>
#include <string>
#include <string_view>

namespace tricolor::observe {

// False, and a line on stderr that begins with `what`, where the file cannot be written in full.
bool write_file(const char* what, const std::string& path, std::string_view contents) noexcept;

// To stderr, as it is.
void print(std::string_view text) noexcept;

// The line alone.
void report_failure(const char* what, const std::string& path, const char* why) noexcept;

// Writes what make() -> std::string gives; want of memory is reported like a full disk.
template <class Make>
bool write_made(const char* what, const std::string& path, Make make) noexcept {
  try {
    return write_file(what, path, make());
  } catch (const std::exception& e) {
    report_failure(what, path, e.what());
    return false;
  }
}

}  // namespace tricolor::observe
