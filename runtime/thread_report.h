#pragma once

// What a thread is doing, as one piece of text: for the message that names a thread which does not
// answer.
//
// Read from /proc without allocating: the C library may be what the thread holds up.
// Threads: any, with the thread in the list (g_threads.lock()).

#include <cstddef>

namespace tricolor::runtime {

class Thread;

struct ThreadDescription {
  char text[400];
};

// For example: 4711 "reader", sleeping in system call 0 (read), with signal 23 masked
void describe_thread(const Thread& thread, ThreadDescription& out) noexcept;

}  // namespace tricolor::runtime
