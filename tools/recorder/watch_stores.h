#pragma once

// What the hooks of a program's stores tell the recorder.
//
// A hook runs before its store, and without the value. So the address is kept, and the word is read
// at the thread's next hook or allocation, when the store is done.
//
// Threads: any.

#include <cstddef>
#include <cstdint>

namespace tools::recorder {

// The calling thread is about to write there.
void will_write(const void* address, size_t bytes);
// It has written there.
void did_write(const void* address, size_t bytes);
// A function was entered, or is about to be left; `stack` is the lowest address of its frame.
void function_entered(const void* stack);
void function_left();

}  // namespace tools::recorder
