#pragma once

// The signal by which a handshake reaches a thread that runs outside the runtime: which one it is,
// its handler, and what becomes of it where others use the same.
//
// It is SIGURG, which does nothing by default; where that has a handler already, a real-time signal
// that has none; or what GODEBUG=handshakesignal names. The handler
// answers whenever its thread is asked, whatever the signal says of its sender (a process that has
// used up RLIMIT_SIGPENDING gets none), and passes on to the handler before it what was not sent by
// us. It runs on the alternate signal stack where the thread has one: a runtime with small stacks
// of its own (Go's) must not have a frame put on them.
//
// Another library may install its own handler in place of ours and not pass the signal on. A
// handshake that gets no answer looks (check_handler()), and goes over to a real-time signal that
// nobody uses; where there is none it takes its own signal back, and passes on to the handler that
// it found.
//
// [signal.merged] SIGURG that comes while one is pending is dropped by the kernel. Sharing it would
// lose signals of whoever had it first, so it is shared only where it is asked for by name, where
// no real-time signal is free, or where no more records of pending signals can be had.
// [signal.room]   a thread that attaches has room for the signal, below its frame or on its signal stack: else it would
//                 write below the stack. How much that is: handshake_stack_bytes().
// [signal.stray]  a thread without a record that gets our signal has the id of one that is gone: thread.named.
// Threads: init_, check_handler(), send_: the collector, or the thread that starts the library.

#include <cstddef>
#include <cstdint>

namespace tricolor::runtime {

class Thread;

// Installs the handler. `wanted`: the signal to use, 0 for SIGURG. Fatal where the system refuses.
void init_handshake_signal(int wanted) noexcept;

int handshake_signal() noexcept;

// The calling thread accepts the signal, and the one that may take its place.
void unblock_handshake_signals() noexcept;

// What the signal needs of the stack that it comes on: the system's part and the handler's.
size_t handshake_stack_bytes() noexcept;
// [signal.room] For the calling thread, below the caller's frame.
bool has_handshake_room() noexcept;

// Whether the handler of the signal in use is still ours; if not, another signal is in use from now
// on, which the caller sends to the threads that have not answered. Says so on stderr where
// `trace`.
bool check_handler(bool trace) noexcept;

enum class Sent : uint8_t {
  yes,
  gone,     // no thread has this id any more
  refused,  // for now: to be tried again
};
Sent send_handshake_signal(const Thread& thread) noexcept;

// What a thread does that is sent the same signal for another purpose, whatever it stands in: no
// lock, no memory. Set once (release), before the first is sent; loaded (acquire) by handlers.
using StackHook = void (*)(const void* ucontext) noexcept;
void set_stack_hook(StackHook hook) noexcept;
Sent send_stack_signal(int tid) noexcept;

// The last handshake that was pending when a thread of this id got our signal and had no record; 0
// if there was none. The id and the handshake are one word, so they belong together.
struct Stray {
  uint32_t tid;
  uint32_t sequence;
};
Stray last_stray() noexcept;

}  // namespace tricolor::runtime
