#pragma once

// DirtyPages: which pages of some private memory were written since they were armed, by whoever, the kernel included.
//
// Through userfaultfd's asynchronous write protection, which needs no privilege and sends the
// program no fault: the kernel notes the first write to each armed page. Absent from kernels
// before 6.7, and not asked for under a seccomp filter.
//
// [dirty.one-step]  a page is reported as written and armed again in one step: a write is seen by this call or the
//                   next.
// Threads: one at a time.

#include <cstddef>
#include <cstdint>

namespace tricolor::runtime::os {

class DirtyPages {
 public:
  // False: not to be had here; why_not() says why.
  [[nodiscard]] bool open() noexcept;
  bool is_open() const noexcept { return faults_ >= 0; }
  const char* why_not() const noexcept { return why_not_; }
  // Also in the child of fork(), whose memory is not watched by what it inherits.
  void close() noexcept;

  // From now on writes to the range can be noted. It must stay mapped, or be unmapped as a whole.
  [[nodiscard]] bool watch(void* address, size_t bytes) noexcept;

  // Arms every page of a watched range, calling visit(context, from, bytes) for runs of pages that
  // were written since they were armed before (all that were not). False: nothing is known of the
  // range.
  using Visit = void (*)(void* context, char* from, size_t bytes) noexcept;
  [[nodiscard]] bool arm(void* address, size_t bytes, Visit visit, void* context) noexcept;

 private:
  int faults_ = -1;
  int pagemap_ = -1;
  const char* why_not_ = "not tried";
};

}  // namespace tricolor::runtime::os
