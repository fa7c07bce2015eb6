#pragma once

// Exit: tells that the process has begun to exit before the destructors of statics run.
//
// exit() runs the destructors of the calling thread's thread_locals first, then what was registered
// by atexit() and the destructors of statics, the latest first. So it is watched in front of all:
//
// - by an exit() of the library's own, which every call from outside the C library comes through;
// - the C library calls its own when main() returns: a thread_local of the thread that loads the
//   library, which tells exit() from the end of its thread by the functions that are on the stack;
// - where the program's exit() is not the library's (it was loaded by dlopen(), or the program has
//   one), by such a thread_local of each attached thread, whose record takes memory;
// - at last by a handler of atexit(), registered again as the work goes on, before the statics that
//   were made until then are gone.
// Threads: any, under no lock.

namespace tricolor::gc {

// The calling thread's exit() is seen. Once for each thread is enough.
void watch_thread_for_exit();

// Of the library's own: what watches takes the loader's lock, and whoever holds that may wait for
// this thread.
void leave_thread_unwatched() noexcept;

// Whether the calling thread runs what exit() calls.
bool is_in_exit() noexcept;

// An atexit() handler from here on; false without memory for one. Not under locks: it may allocate.
bool watch_process_for_exit() noexcept;

}  // namespace tricolor::gc
