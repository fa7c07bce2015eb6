#pragma once

// The CPU profile: each thread of the process has a timer of its own processor time, whose signal
// looks at the stack.
//
// Threads that come meanwhile get theirs within 50 ms.
// [cpu.ring]  handlers claim a place in the buffer by one fetch_add and fill it, then say so (release); who writes the
//             profile has stopped the timers before and waits for those that have claimed theirs. What finds no place
//             is counted.
// Threads: any; one profile at a time. In a child of fork() nothing runs.

#include <cstdint>
#include <string>

namespace tricolor::observe {

// nullptr, or why there can be none.
const char* start_cpu_profile() noexcept;
// Stops; pprof's format, compressed. Empty where none runs. std::bad_alloc.
std::string finish_cpu_profile();
// The same over a while; `why` where the result is empty.
std::string cpu_profile(int64_t duration_ns, const char*& why);

}  // namespace tricolor::observe
