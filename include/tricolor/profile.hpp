// Profiles: where memory is allocated, what is alive, and where processor time goes, as `go tool
// pprof` reads them.
//
// A function here that writes a file gives false where that fails, and has said why on standard
// error; the program goes on. Symbols are looked up as the file is written. Threads: any.
#pragma once

#include <chrono>
#include <string>

#include <tricolor/detail/config.hpp>

namespace tricolor::debug {

// Writes what is alive by where it was made, as of the last complete cycle, or so far if there was
// none; call runtime::collect() before to have it as of now. A sample is taken about every 512 KiB
// of allocation (GODEBUG=memprofilerate=BYTES, 0 for none); the figures are estimates from these.
// Traced memory is no part of it.
TRICOLOR_API bool write_heap_profile(const std::string& path);

// The same samples, with all that has been allocated until now in front.
TRICOLOR_API bool write_alloc_profile(const std::string& path);

// Measures for so long where all threads of the process use processor time, 100 times a second of
// it, and writes that; waits meanwhile. One at a time: false while another runs, and where the
// system has no timers to give or the program uses SIGPROF itself.
TRICOLOR_API bool write_cpu_profile(const std::string& path, std::chrono::nanoseconds duration);

// The same between two calls.
TRICOLOR_API bool start_cpu_profile();
TRICOLOR_API bool stop_cpu_profile(const std::string& path);

// Writes how long objects live, by where they are made, with advice: on the stack, in a pool, or as
// they are. From the same samples; HTML where the path ends in ".html", else text.
TRICOLOR_API bool lifetime_report(const std::string& path);

}  // namespace tricolor::debug
