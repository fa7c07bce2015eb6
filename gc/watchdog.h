#pragma once

// The watchdog of GODEBUG=hangreport=SECONDS: says what every thread does when a cycle takes longer
// than that.

namespace tricolor::gc {

// Starts its thread; false where the system refuses. A child of fork() has none.
bool start_watchdog(unsigned seconds) noexcept;

}  // namespace tricolor::gc
