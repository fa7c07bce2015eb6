#pragma once

// Deputy: lets a thread do the collector's work while its own record is blocked like any other's.
//
// Whoever runs a cycle answers no handshake with its stack: it keeps no references. A thread of the
// program does. So it goes blocked, as in a BlockingScope, and stands in the list a second time,
// under a record whose stack is never looked at: what the cycle's frames hold are addresses of what
// is marked. Handshakes answer for the first record, from the snapshot that enter_blocked took.
// Meanwhile tls is the second record's; the flags that a handshake changes for a blocked thread
// come to lie in `kept_` and are taken over at the end.
// The record is made as the library starts: a cycle needs no memory.
// Threads: the calling thread's; one cycle at a time, so that nobody else's handshake changes flags
// and one record does.

#include "runtime/base/no_cancellation.h"
#include "runtime/thread.h"

namespace tricolor::runtime {

class Deputy {
 public:
  // Before the first one: the record, with the collector's part in it.
  static void keep(Thread* record) noexcept { g_record = record; }

  explicit Deputy(Thread& principal) noexcept;
  ~Deputy();
  Deputy(const Deputy&) = delete;
  Deputy& operator=(const Deputy&) = delete;

  // In a runtime section from the beginning to the end.
  static Thread& record() noexcept { return *g_record; }

 private:
  static constinit Thread* g_record;

  NoCancellation whole_;
  Thread& principal_;
  gc::detail::ThreadLocal kept_;
};

}  // namespace tricolor::runtime
