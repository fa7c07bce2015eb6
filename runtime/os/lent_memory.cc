#include "runtime/os/lent_memory.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "runtime/base/no_cancellation.h"

namespace tricolor::runtime::os {
namespace {

// The file holds a digit for each feature bit, the lowest first.
constexpr int kFreePageReporting = 5;

// A file descriptor that is closed at the end; -1: none.
class Descriptor {
 public:
  explicit Descriptor(int fd) noexcept : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const noexcept { return fd_; }

 private:
  int fd_;
};

constexpr int kDirectory = O_RDONLY | O_DIRECTORY | O_CLOEXEC;

bool reports_free_pages(int driver, const char* device) noexcept {
  const Descriptor directory(::openat(driver, device, kDirectory));
  if (directory.get() < 0) return false;
  const Descriptor file(::openat(directory.get(), "features", O_RDONLY | O_CLOEXEC));
  if (file.get() < 0) return false;
  char bits[kFreePageReporting + 1] = {};
  return ::read(file.get(), bits, sizeof bits) == sizeof bits && bits[kFreePageReporting] == '1';
}

// The directory's entries; step by step, for on the smallest stacks there is no room for a path.
bool any_device_reports(int driver) noexcept {
  const int listed = ::openat(driver, ".", kDirectory);
  if (listed < 0) return false;
  DIR* const entries = ::fdopendir(listed);
  if (entries == nullptr) {
    ::close(listed);
    return false;
  }
  bool found = false;
  while (const dirent* const entry = found ? nullptr : ::readdir(entries)) {
    found =
        std::strncmp(entry->d_name, "virtio", 6) == 0 && reports_free_pages(driver, entry->d_name);
  }
  ::closedir(entries);
  return found;
}

bool balloon_reports(const char* root) noexcept {
  const Descriptor top(::open(*root == '\0' ? "/" : root, kDirectory));
  if (top.get() < 0) return false;
  const Descriptor driver(::openat(top.get(), "sys/bus/virtio/drivers/virtio_balloon", kDirectory));
  return driver.get() >= 0 && any_device_reports(driver.get());
}

}  // namespace

bool memory_is_lent(const char* root) noexcept {
  const NoCancellation whole;
  const int saved_errno = errno;
  const bool lent = balloon_reports(root);
  errno = saved_errno;
  return lent;
}

}  // namespace tricolor::runtime::os
