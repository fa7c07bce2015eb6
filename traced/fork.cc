// Around fork(): the child finds every list of traced memory whole. What the other threads had in
// their caches is lost to it, as it is with malloc.
//
// Registered before the collector's handlers, so that the locks are taken behind theirs (which wait
// for a cycle that may still ask for memory) and are free again before them.

#include <pthread.h>

#include "runtime/base/check.h"
#include "runtime/os/os.h"
#include "traced/central.h"
#include "traced/chunks.h"
#include "traced/known_threads.h"
#include "traced/open.h"
#include "traced/ranges.h"
#include "traced/traced_roots.h"

namespace tricolor::traced {

namespace {

// Their holders run on: the order of ranks does not bind here.
void acquire(runtime::Lock& lock) noexcept {
  while (!lock.try_lock()) runtime::os::yield();
}

void before() {
  acquire(known_threads_lock());
  acquire(g_ranges.lock());
  g_central.lock_all();
  acquire(g_chunks.lock());
}

void after(bool child) {
  g_chunks.lock().unlock();
  g_central.unlock_all();
  g_ranges.lock().unlock();
  if (child) {
    keep_only_this_thread();
    g_traced_roots.forget_pages();
  }
  known_threads_lock().unlock();
}

// 101: before the constructors of the program's globals, which may start the collector.
[[gnu::constructor(101)]] void install_handlers() {
  if (pthread_atfork(
          before, [] { after(false); }, [] { after(true); }) != 0)
    runtime::fatal("no memory for the fork handlers of traced memory");
}

}  // namespace

void keep_fork_handlers() noexcept {}

}  // namespace tricolor::traced
