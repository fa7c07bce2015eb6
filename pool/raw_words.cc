#include <cstdint>

#include "gc/barrier.h"
#include "runtime/thread.h"

#include <tricolor/detail/raw_words.hpp>

namespace tricolor::sync::detail {

// Any of the words may be an address, or none: they are looked at as those of a stack are.
void shade_words(const void* from, const void* to) noexcept {
  runtime::Thread& thread = runtime::Thread::attached();
  const runtime::RuntimeScope scope(thread);
  if (!gc::detail::load_word(TRICOLOR_THIS_THREAD.marking)) return;
  for (const auto* word = static_cast<const uintptr_t*>(from); word < to; ++word) {
    gc::shade_candidate(thread, *word);
  }
}

}  // namespace tricolor::sync::detail
