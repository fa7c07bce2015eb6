#include "runtime/os/dirty_pages.h"

#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include "runtime/base/no_cancellation.h"
#include "runtime/os/os.h"

namespace tricolor::runtime::os {

namespace {

// What the C library's headers do not have yet; the kernel's include/uapi/linux/fs.h and
// userfaultfd.h.
struct PageRegion {
  uint64_t start;
  uint64_t end;
  uint64_t categories;
};

struct PageScan {
  uint64_t size;
  uint64_t flags;
  uint64_t start;
  uint64_t end;
  uint64_t walk_end;
  uint64_t regions;
  uint64_t region_count;
  uint64_t max_pages;
  uint64_t category_inverted;
  uint64_t category_mask;
  uint64_t category_any_mask;
  uint64_t return_mask;
};

constexpr unsigned long kScanPages = _IOWR('f', 16, PageScan);
constexpr uint64_t kWriteProtectMatching = 1;
constexpr uint64_t kCheckAsync = 2;
constexpr uint64_t kWritten = 2;
constexpr uint64_t kUnpopulated = uint64_t{1} << 13;
constexpr uint64_t kAsynchronous = uint64_t{1} << 15;
constexpr unsigned long kUserModeOnly = 1;

class KeepErrno {
 public:
  KeepErrno() noexcept : saved_(errno) {}
  ~KeepErrno() { errno = saved_; }
  KeepErrno(const KeepErrno&) = delete;
  KeepErrno& operator=(const KeepErrno&) = delete;

 private:
  int saved_;
};

}  // namespace

bool DirtyPages::open() noexcept {
  if (is_open()) return true;
  const KeepErrno keep;
  const NoCancellation whole;
  if (is_filtered()) {
    why_not_ = "a seccomp filter is set";
    return false;
  }
  why_not_ = "the kernel has no userfaultfd for this process";
  faults_ = static_cast<int>(
      ::syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK | static_cast<int>(kUserModeOnly)));
  if (faults_ < 0) return false;
  uffdio_api api{};
  api.api = UFFD_API;
  api.features = kUnpopulated | kAsynchronous;
  why_not_ = "the kernel has no asynchronous write protection";
  if (::ioctl(faults_, UFFDIO_API, &api) != 0) {
    close();
    return false;
  }
  why_not_ = "/proc/self/pagemap cannot be opened";
  pagemap_ = ::open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
  if (pagemap_ < 0) {
    close();
    return false;
  }
  return true;
}

void DirtyPages::close() noexcept {
  const KeepErrno keep;
  const NoCancellation whole;
  if (faults_ >= 0) ::close(faults_);
  if (pagemap_ >= 0) ::close(pagemap_);
  faults_ = -1;
  pagemap_ = -1;
}

bool DirtyPages::watch(void* address, size_t bytes) noexcept {
  const KeepErrno keep;
  advise_no_huge(address, bytes);  // arming would split them
  uffdio_register range{};
  range.range.start = reinterpret_cast<uintptr_t>(address);
  range.range.len = bytes;
  range.mode = UFFDIO_REGISTER_MODE_WP;
  return ::ioctl(faults_, UFFDIO_REGISTER, &range) == 0;
}

// [dirty.one-step] With room for regions in every call: kernels before the fix of 2024 write to none otherwise.
bool DirtyPages::arm(void* address, size_t bytes, Visit visit, void* context) noexcept {
  constexpr size_t kRegions = 256;
  const KeepErrno keep;
  PageRegion regions[kRegions];
  PageScan scan{};
  scan.size = sizeof(scan);
  scan.flags = kWriteProtectMatching | kCheckAsync;
  scan.start = reinterpret_cast<uintptr_t>(address);
  scan.end = scan.start + bytes;
  scan.regions = reinterpret_cast<uintptr_t>(regions);
  scan.region_count = kRegions;
  scan.category_mask = kWritten;
  scan.return_mask = kWritten;
  const uint64_t end = scan.end;
  while (scan.start < end) {
    const int found = ::ioctl(pagemap_, kScanPages, &scan);
    if (found < 0) return false;  // some pages may be armed that nobody was told of
    if (visit != nullptr) {
      for (int i = 0; i < found; ++i) {
        // NOLINTNEXTLINE(performance-no-int-to-ptr)
        visit(context, reinterpret_cast<char*>(regions[i].start),
              regions[i].end - regions[i].start);
      }
    }
    // Short of the end only where the room was used up.
    if (found < static_cast<int>(kRegions) || scan.walk_end <= scan.start) break;
    scan.start = scan.walk_end;
  }
  return true;
}

}  // namespace tricolor::runtime::os
