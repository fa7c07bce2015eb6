#pragma once

// NoCancellation: calls that are cancellation points (open, read, write, sleeping) go on when the
// calling thread is cancelled; the program's next cancellation point acts on it.
//
// An unwinding that begins inside the library would meet noexcept functions and half-changed
// structures. Futexes are waited for by syscall(), which is no cancellation point.
// Threads: any; also in signal handlers.

#include <pthread.h>

namespace tricolor::runtime {

class NoCancellation {
 public:
  NoCancellation() noexcept { pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before_); }
  ~NoCancellation() { pthread_setcancelstate(before_, nullptr); }
  NoCancellation(const NoCancellation&) = delete;
  NoCancellation& operator=(const NoCancellation&) = delete;

 private:
  int before_ = PTHREAD_CANCEL_ENABLE;
};

}  // namespace tricolor::runtime
