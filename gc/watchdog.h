#pragma once

// The watchdog of GODEBUG=hangreport=SECONDS: says what every thread does when a cycle takes longer
// than that.

#include <cstdint>

namespace tricolor::gc {

// Starts its thread. Once a process, and once more in each child of fork() that collects.
void start_watchdog(int64_t seconds);

}  // namespace tricolor::gc
