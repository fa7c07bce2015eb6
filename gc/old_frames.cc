#include "gc/old_frames.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "runtime/thread.h"

namespace tricolor::gc {

// [stacks.left] A sanitizer would set red zones around the array, and what lies in those would stay.
__attribute__((noinline, no_sanitize("address"))) void forget_old_frames() noexcept {
  // The C library keeps 16 KiB below what a thread still uses as it ends, and gives the rest back
  // to the system. The lowest 8 KiB are left for the handshake's signal.
  constexpr std::ptrdiff_t kStays = 16 << 10;
  constexpr std::ptrdiff_t kSignal = 8 << 10;
  const auto* const here = static_cast<const char*>(__builtin_frame_address(0));
  const runtime::Thread* const thread = runtime::Thread::current();
  if (thread == nullptr || here < thread->stack_lo || here >= thread->stack_hi) return;
  const std::ptrdiff_t bytes = std::min(kStays, here - thread->stack_lo - kSignal);
  if (bytes <= 0) return;
  const auto words = static_cast<std::size_t>(bytes) / sizeof(std::uint64_t);
  auto* const frames =
      static_cast<volatile std::uint64_t*>(__builtin_alloca(words * sizeof(std::uint64_t)));
  for (std::size_t i = 0; i < words; ++i) frames[i] = 0;
}

}  // namespace tricolor::gc
