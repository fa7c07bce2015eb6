#pragma once

// Verify: the checks that GODEBUG asks for at the end of marking, with all threads stopped.
//
//   gccheckmark=1  a second mark, from the roots and through the objects the first one marked: whatever it finds must
//                  be marked. Stack words are left out: a frame may hold an address that nobody uses any more, which
//                  nobody has stored since.
//   findlost=1     every writable mapping of the process is searched for words that point to what is about to be
//                  reclaimed, and their places are reported: a raw reference that was handed to another thread, or
//                  lies in memory that is not traced. A report may be stale memory; a bug it names is real. The
//                  checking build does so after collect() unless it is 0.
//
// Threads: the collector, after the weak gate is closed and before H4. No malloc: a stopped thread may be inside it.

#include "gc/open_roots.h"
#include "runtime/handshake.h"
#include "runtime/thread.h"

namespace tricolor::gc {

// In a stop, behind marking: every object that open memory refers to is marked.
void verify_open_roots(OpenRoots& open) noexcept;
// `forced`: somebody waits for this cycle.
void verify_marks(bool forced) noexcept;

// Stops all threads until g_handshake.resume(). False where that was in vain time and again, which
// is reported once.
[[nodiscard]] bool stop_for_check(runtime::Handshake::Action action) noexcept;

}  // namespace tricolor::gc
