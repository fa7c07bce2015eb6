#pragma once

// GODEBUG=findlost=1; see gc/verify.h.

namespace tricolor::gc {

// Reports the places in untraced memory that point to objects about to be reclaimed. All threads
// are stopped.
void find_lost() noexcept;

}  // namespace tricolor::gc
