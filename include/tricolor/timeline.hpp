// Timelines: what the collector did and when, and what it made threads wait for, as a picture.
//
// ui.perfetto.dev and chrome://tracing open the file (Chrome's trace events, JSON). Each thread has
// a track: on the collector's, cycles with their phases; on workers', marking; on the program's
// threads, answers to handshakes, assists, stalls, collect(), slow allocations, destructors and
// finalizers. Beside it a thread that was asked has one of how long it took from asked to answered.
// The heap's size and goal are counters.
//
// The newest 131,072 events are kept, in at most 7 MiB of the process's memory; the file says how
// many older ones were dropped. What was under way at the beginning or end is not in it.
#pragma once

#include <chrono>
#include <string>

#include <tricolor/detail/config.hpp>

namespace tricolor::debug {

// Begins to record. Allocations that leave the thread's own cells and take `slow_allocation` or
// longer are shown. One at a time: std::logic_error while another is recorded, TRICOLOR_PROFILE's
// included. std::system_error where no file can be made at `path`, which is found out now;
// std::bad_alloc. Any thread; attaches it.
//
// What is not stopped is written at exit. A child of fork() records nothing and writes nothing, and
// may start its own.
TRICOLOR_API void start_timeline(const std::string& path, std::chrono::nanoseconds slow_allocation =
                                                              std::chrono::microseconds(100));

// Ends it and writes the file, which is there as a whole or not at all. False: none was started.
// std::system_error where it cannot be written (a full disk), std::bad_alloc; it has ended all the
// same. Any thread.
TRICOLOR_API bool stop_timeline();

}  // namespace tricolor::debug
