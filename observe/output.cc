#include "observe/output.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "runtime/base/check.h"
#include "runtime/base/no_cancellation.h"

namespace tricolor::observe {

void report_failure(const char* what, const std::string& path, const char* why) noexcept {
  runtime::report("%s: \"%s\" cannot be written: %s", what, path.c_str(), why);
}

namespace {
const char* name_of_error(int error, char (&room)[128]) noexcept {
  return strerror_r(error, room, sizeof room);
}
}  // namespace

bool write_file(const char* what, const std::string& path, std::string_view contents) noexcept {
  const runtime::NoCancellation whole;
  const int saved_errno = errno;
  char room[128];
  const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY, 0666);
  if (file < 0) {
    report_failure(what, path, name_of_error(errno, room));
    errno = saved_errno;
    return false;
  }
  int error = 0;
  while (!contents.empty() && error == 0) {
    const ssize_t written = ::write(file, contents.data(), contents.size());
    if (written >= 0) {
      contents.remove_prefix(static_cast<size_t>(written));
    } else if (errno != EINTR) {
      error = errno;
    }
  }
  if (::close(file) != 0 && error == 0 && errno != EINTR) error = errno;
  if (error != 0) {
    report_failure(what, path, name_of_error(error, room));
    // What is there is no profile.
    if (::truncate(path.c_str(), 0) != 0) {
    }
  }
  errno = saved_errno;
  return error == 0;
}

}  // namespace tricolor::observe
