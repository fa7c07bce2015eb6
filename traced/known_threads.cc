#include "traced/known_threads.h"

#include <pthread.h>

#include <mutex>
#include <new>

#include "gc/open_roots.h"
#include "runtime/base/check.h"
#include "runtime/handshake_signal.h"
#include "runtime/heap/heap_map.h"
#include "runtime/os/os.h"
#include "runtime/thread.h"

namespace tricolor::traced {

using runtime::Thread;

namespace {

struct Known {
  Known* next;
  Known* previous;
  Thread::Other thread;
  bool listed;
};

constinit thread_local Known t_known __attribute__((tls_model("initial-exec"))) = {};

constinit runtime::Lock g_lock{runtime::LockRank::known_threads};
Known* g_first = nullptr;  // guarded by g_lock
pthread_key_t g_exit_key;
pthread_once_t g_key_once = PTHREAD_ONCE_INIT;
bool g_has_key = false;

void add_this_thread() noexcept {
  Known& known = t_known;
  known.thread = {&gc::detail::tls, pthread_self(), runtime::os::tid()};
  const std::lock_guard guard(g_lock);
  known.listed = true;
  known.previous = nullptr;
  known.next = g_first;
  if (g_first != nullptr) g_first->previous = &known;
  g_first = &known;
}

// Attached by the collector, it has no key of its own to be detached by.
void end_known_thread(void*) noexcept {
  Known& known = t_known;
  {
    const runtime::BlockedWait wait(Thread::current());
    g_lock.lock();
    if (known.listed) {
      (known.previous == nullptr ? g_first : known.previous->next) = known.next;
      if (known.next != nullptr) known.next->previous = known.previous;
      known.listed = false;
    }
    g_lock.unlock();
  }
  if (Thread* const self = Thread::current()) self->detach();
}

[[gnu::constructor]] void know_first_thread() {
  if (runtime::os::tid() == runtime::os::pid()) add_this_thread();
}

}  // namespace

void begin_known_thread() noexcept {
  if (!runtime::has_handshake_room()) return;  // it can hold no references, and attach() says so
  pthread_once(&g_key_once,
               [] { g_has_key = pthread_key_create(&g_exit_key, end_known_thread) == 0; });
  if (!g_has_key || pthread_setspecific(g_exit_key, &t_known) != 0) return;
  add_this_thread();
  // [known.first]
  if (gc::open_roots() == nullptr || runtime::g_heap.base() == nullptr) return;
  try {
    Thread::attached();
  } catch (...) {
    runtime::fatal("no memory to attach a thread to the collected heap");
  }
}

void attach_known_threads() noexcept {
  const std::lock_guard guard(g_lock);
  for (const Known* known = g_first; known != nullptr; known = known->next) {
    if (gc::detail::load_word(known->thread.local->thread) != nullptr) continue;
    Thread::attach_other(known->thread);
  }
}

runtime::Lock& known_threads_lock() noexcept { return g_lock; }

void keep_only_this_thread() noexcept {
  Known& known = t_known;
  g_first = nullptr;
  if (!known.listed) return;
  known.previous = nullptr;
  known.next = nullptr;
  known.thread.tid = runtime::os::tid();
  g_first = &known;
}

}  // namespace tricolor::traced
