#pragma once

// Whether this is a virtual machine whose host takes back what is free.
//
// With free page reporting (virtio balloon, feature bit 5) a free block of 2 MiB loses its memory
// within seconds, and whoever touches it next waits for the host to find it anew: 3 to 4.5 ms for a
// huge page measured, against 0.17 ms where the memory is there. Pages of 4 KiB mostly come from
// smaller blocks, which are not reported: 1.6 us each.
// Threads: any. Not for signal handlers.

namespace tricolor::runtime::os {

// Reads <root>/sys/bus/virtio. What is missing or malformed is no such machine.
bool memory_is_lent(const char* root = "") noexcept;

}  // namespace tricolor::runtime::os
