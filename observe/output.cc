#include "observe/output.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <system_error>

#include "observe/output_file.h"
#include "runtime/base/check.h"
#include "runtime/base/no_cancellation.h"

namespace tricolor::observe {

void report_failure(const char* what, const std::string& path, const char* why) noexcept {
  runtime::report("%s: \"%s\" cannot be written: %s", what, path.c_str(), why);
}

bool write_file(const char* what, const std::string& path, std::string_view contents) noexcept {
  const runtime::NoCancellation whole;
  const int saved_errno = errno;
  const bool written = [&]() noexcept {
    try {
      OutputFile file(path);
      file.write(contents);
      file.finish();
      return true;
    } catch (const std::system_error& e) {
      char room[128];
      report_failure(what, path, strerror_r(e.code().value(), room, sizeof room));
    } catch (const std::exception& e) {
      report_failure(what, path, e.what());
    }
    return false;
  }();
  errno = saved_errno;
  return written;
}

void print(std::string_view text) noexcept {
  const runtime::NoCancellation whole;
  while (!text.empty()) {
    const ssize_t written = ::write(STDERR_FILENO, text.data(), text.size());
    if (written < 0 && errno != EINTR) return;
    if (written > 0) text.remove_prefix(static_cast<size_t>(written));
  }
}

}  // namespace tricolor::observe
