#pragma once

// Timelines as contents of files: what debug::stop_timeline writes and a server hands out.
//
// One is recorded at a time, for the program, for TRICOLOR_PROFILE, or for a request.
// Threads: any, outside of runtime sections.

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "observe/time_ring.h"

namespace tricolor::observe {

// Records for so long and gives the file's contents; the calling thread waits as blocked.
// std::logic_error while another is recorded, std::bad_alloc.
std::string timeline(int64_t duration_ns);

// For TRICOLOR_PROFILE: why it cannot be, or nullptr; and what was recorded since that or the last
// such call, "" where it is not (in a child of fork()). It goes on. std::bad_alloc.
const char* start_ordered_timeline() noexcept;
std::string take_ordered_timeline();

// In Chrome's format. std::bad_alloc, and what `write` throws.
void write_timeline(const TimedEvents& events, const std::function<void(std::string_view)>& write);

}  // namespace tricolor::observe
