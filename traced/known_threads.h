#pragma once

// Known threads: those that were started through pthread_create, and the first one, so that they
// can be attached without having asked: a thread that takes a plain pointer out of traced memory
// says nothing to the library.
//
// [known.first]  a thread makes itself known and then looks whether the process is open; the collector looks whether
//                the process is open and then goes through the known threads, under the same lock. So a thread that
//                runs in an open process's stop is attached: by the collector, or by itself before it runs program
//                code.
// Threads: any. attach_known: the collector, threads running.

#include "runtime/base/lock.h"

namespace tricolor::traced {

void attach_known_threads() noexcept;

// At the beginning of a thread, before program code; it is forgotten when it ends.
void begin_known_thread() noexcept;

runtime::Lock& known_threads_lock() noexcept;
// In the child of fork().
void keep_only_this_thread() noexcept;

}  // namespace tricolor::traced
