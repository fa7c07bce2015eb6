// A running program seen from a browser, from `go tool pprof` and from Prometheus: part of
// <tricolor/debug.hpp>.
//
//     debug::serve("127.0.0.1:6060");
//
//     go tool pprof http://127.0.0.1:6060/debug/pprof/heap
//
//   /debug/pprof/heap, allocs     as write_heap_profile and write_alloc_profile
//   /debug/pprof/profile          processor time over ?seconds=N (30)
//   /debug/pprof/threads          as threads()
//   /debug/timeline               a trace over ?seconds=N (1)
//   /debug/snapshot               as write_heap_snapshot, by way of a file in $TMPDIR or /tmp
//   /debug/lifetimes              as lifetime_report
//   /metrics                      runtime::MemStats for Prometheus
//   /                             lists these
#pragma once

#include <cstdint>
#include <string>

#include <tricolor/detail/config.hpp>

namespace tricolor::debug {

// Answers HTTP at `address` until stop_serving() or the end of the process, on threads of the
// library's own; gives the port. Accepted: "127.0.0.1:PORT" (any 127.x.x.x), "localhost:PORT" (the
// same as 127.0.0.1), "[::1]:PORT", where port 0 means any that is free, and "unix:PATH" (port 0 is
// given). Whoever can reach the address sees the program's memory, so others are refused; to reach
// it from elsewhere takes a tunnel, as `ssh -L` makes.
//
// Several addresses may be served, up to eight. A request waits for what it asks for as a call
// would, holds up no collection while it is read and sent, and 16 are answered at a time. A child
// of fork() serves nothing until it calls this itself.
//
// std::invalid_argument: the address is malformed, or not local. std::system_error: the system
// refuses it, as when the port is in use. Any thread; attaches it.
TRICOLOR_API std::uint16_t serve(const std::string& address);

// Closes all addresses; when it returns they may be used again. What is being answered goes on.
// Not from a request. Any thread.
TRICOLOR_API void stop_serving() noexcept;

}  // namespace tricolor::debug
