#pragma once

// Hooks: what runs at the start of every cycle, before marking; and what a thread does as it leaves.
//
// Threads: add(), remove(): any. run(): the collector. A hook may add and remove hooks.

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "runtime/base/memory.h"

namespace tricolor::gc {

class Hooks {
 public:
  using Hook = std::shared_ptr<std::function<void()>>;

  // Made outside of runtime sections. `own`: of the library; takes no lock that a thread could hold
  // as it allocates.
  uint64_t add(Hook hook, bool own = false);
  // False when there is no such hook, or it is running right now on another thread: then it stays.
  // What it was is left in `removed`, to be destroyed outside of the runtime: it may hold anything.
  bool remove(uint64_t id, Hook& removed);
  void run(bool all);  // or only the library's own

  std::mutex& mutex() noexcept { return mutex_; }

 private:
  struct Entry {
    uint64_t id;
    Hook hook;
    bool own;
  };

  std::mutex mutex_;
  // Guarded by mutex_.
  std::vector<Entry, runtime::MallocAllocator<Entry>> entries_;  // [memory.no-handler]
  uint64_t next_id_ = 1;
  uint64_t running_ = 0;
};

// Called by a thread that is about to leave, if set: what it remembers of collected objects,
// without being a root for them, is void from then on. Must not use the heap. Stored once, in a
// pthread_once that every thread passes before it remembers anything: relaxed.
extern constinit std::atomic<void (*)() noexcept> g_forget_at_detach;

}  // namespace tricolor::gc
