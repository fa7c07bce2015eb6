#include "runtime/base/poison.h"

#if TRICOLOR_VALGRIND

#include <valgrind/memcheck.h>

namespace tricolor::runtime {

constinit bool g_on_valgrind = false;

void look_for_valgrind() noexcept { g_on_valgrind = RUNNING_ON_VALGRIND != 0; }

// Requests that another tool than memcheck does not know are ignored.
void set_accessible(const void* from, std::size_t bytes, bool accessible) noexcept {
  if (accessible) {
    VALGRIND_MAKE_MEM_DEFINED(from, bytes);
  } else {
    VALGRIND_MAKE_MEM_NOACCESS(from, bytes);
  }
}

}  // namespace tricolor::runtime

#endif
