// DeferStack: memory for many deferred calls, which the collector reads word by word.

#include <algorithm>

#include <tricolor/make.hpp>
#include <tricolor/ptr.hpp>
#include <tricolor/sync/defer_stack.hpp>

namespace tricolor::sync::detail {

namespace {
constexpr std::size_t kLeast = 1024, kMost = 16384;
}

// Each chunk is reached from the entries of the one above, the last from the stack. Its words may
// be references without being gc::ptr: as such they are made, for the checking build.
DeferSpace more_defer_space(std::size_t before, std::size_t bytes) {
  const std::size_t wanted = std::max(bytes, std::clamp(before * 2, kLeast, kMost));
  const std::size_t words = wanted / sizeof(gc::ptr<void>) - 1;  // and the array's length
  const std::size_t usable = std::max(bytes, words * sizeof(gc::ptr<void>) / 16 * 16);
  auto* const chunk =
      reinterpret_cast<std::byte*>(gc::make_array<gc::ptr<void>>(usable / sizeof(gc::ptr<void>)));
  return {chunk, chunk + usable};
}

}  // namespace tricolor::sync::detail
