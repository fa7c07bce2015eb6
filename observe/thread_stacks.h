#pragma once

// The stacks of other threads: each is asked by a signal and looks at its own.
//
// [stacks.slots]  a thread that is asked finds a slot with its id in state kAsked, takes it (kWriting) and gives it
//                 back with the stack (kDone, release; the asker's load is the acquire). Who asks takes only what is
//                 kAsked away from it, and waits for a thread that writes.
// Threads: any, outside of runtime sections; one at a time. std::bad_alloc.

#include <cstdint>
#include <string>
#include <vector>

#include "observe/stack.h"

namespace tricolor::observe {

struct AttachedThread {
  int tid = 0;
  const char* state = "";
  Stack stack;  // no frames: it did not answer
  char description[400];
};

std::vector<AttachedThread> attached_threads();

// Text for people: all threads, what they wait for, their stacks.
std::string threads_text();

}  // namespace tricolor::observe
