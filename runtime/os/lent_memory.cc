#include "runtime/os/lent_memory.h"

#include <fcntl.h>
#include <glob.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstdio>

namespace tricolor::runtime::os {
namespace {

// The file holds a digit for each feature bit, the lowest first.
constexpr int kFreePageReporting = 5;

bool reports_free_pages(const char* features_file) noexcept {
  const int fd = ::open(features_file, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  char bits[kFreePageReporting + 1] = {};
  const bool whole = ::read(fd, bits, sizeof bits) == sizeof bits;
  ::close(fd);
  return whole && bits[kFreePageReporting] == '1';
}

}  // namespace

bool memory_is_lent(const char* root) noexcept {
  const int saved_errno = errno;
  char pattern[PATH_MAX];
  const int length = std::snprintf(
      pattern, sizeof pattern, "%s/sys/bus/virtio/drivers/virtio_balloon/virtio*/features", root);
  bool lent = false;
  glob_t found = {};
  if (length > 0 && length < PATH_MAX && ::glob(pattern, GLOB_NOSORT, nullptr, &found) == 0) {
    for (size_t i = 0; i < found.gl_pathc && !lent; ++i)
      lent = reports_free_pages(found.gl_pathv[i]);
  }
  ::globfree(&found);
  errno = saved_errno;
  return lent;
}

}  // namespace tricolor::runtime::os
