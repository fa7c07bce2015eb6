// Tells ThreadSanitizer in what order the library brings threads, where the program is built with
// it and the library is not: it sees the program's accesses then, and none of the library's.
//
// A thread tells what it has done where it answers a handshake, blocks, ends, or gives away an
// object, a root's slot or a cell; and is told of that where it gets one. What orders them in
// truth is documented there. Two loads where nobody listens; slow paths only.
#pragma once

#include <tricolor/detail/config.hpp>

extern "C" void __tsan_acquire(void* address) __attribute__((weak));
extern "C" void __tsan_release(void* address) __attribute__((weak));

namespace tricolor::runtime {

#if TRICOLOR_TSAN
inline void tell_order() noexcept {}
inline void learn_order() noexcept {}
#else
inline constinit char g_thread_order = 0;

// What this thread has done so far comes before what follows a later learn_order().
inline void tell_order() noexcept {
  if (&__tsan_release != nullptr) __tsan_release(&g_thread_order);
}
inline void learn_order() noexcept {
  if (&__tsan_acquire != nullptr) __tsan_acquire(&g_thread_order);
}
#endif

}  // namespace tricolor::runtime
