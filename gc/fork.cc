#include "gc/fork.h"

#include <pthread.h>

#include <atomic>

#include "gc/collector.h"
#include "gc/finalizer_thread.h"
#include "gc/held.h"
#include "gc/helper_threads.h"
#include "gc/pacing.h"
#include "gc/roots.h"
#include "gc/stacks.h"
#include "gc/worklist.h"
#include "runtime/base/check.h"
#include "runtime/base/once.h"
#include "runtime/handshake.h"
#include "runtime/heap/spans.h"
#include "runtime/os/os.h"
#include "runtime/thread.h"

namespace tricolor::gc {

using runtime::g_threads;
using runtime::Lock;
using runtime::Once;
using runtime::Thread;

namespace {

// A lock whose holder, if any, is a thread that was never attached, and runs on. try_lock: the
// order of ranks does not bind here, because nobody else can be waiting for two of these.
void acquire(Lock& lock) noexcept {
  while (!lock.try_lock()) runtime::os::yield();
}

void nothing(Thread&, runtime::StackView) noexcept {}

// One fork at a time; not by the ordinary lock(), so that a thread that waits its turn can be
// asked.
runtime::Lock g_fork_turn;

// What fork() has found of the runtime's start. Relaxed: until it is kDone, and stays so, only
// whoever has the start gets this far.
constinit std::atomic<Once::Turn> g_start_found{};

void before_fork() {
  const Once::Turn found = runtime::runtime_start().take();
  g_start_found.store(found, std::memory_order_relaxed);
  if (found != Once::Turn::kDone) return;  // nothing else is there
  Thread* const self = Thread::current();
  {
    const runtime::BlockedWait wait(self);
    g_fork_turn.lock();
  }
  g_collector.hold_for_fork();
  if (self != nullptr) self->enter();
  // Nobody is stopped where he stands: he may be inside malloc, which wants to be whole at a fork
  // too.
  runtime::close_runtime();
  runtime::g_handshake.run(nothing);
  acquire(g_threads.lock());
  acquire(g_roots.lock());
  acquire(g_worklist.lock());  // workers are not attached: the runtime's being closed stops none
  runtime::g_spans.pages().hold_for_fork();  // an ordinary lock(): by rank
  acquire(g_pacing.lock());
  acquire(g_collector.history_lock());
  acquire(fiber_stacks_lock());
}

void release_locks() noexcept {
  fiber_stacks_lock().unlock();
  g_collector.history_lock().unlock();
  g_pacing.lock().unlock();
  runtime::g_spans.pages().resume_after_fork();
  g_worklist.lock().unlock();
  g_roots.lock().unlock();
  g_threads.lock().unlock();
}

// Whether nothing but the start was held.
bool gives_start_back() noexcept {
  const Once::Turn found = g_start_found.load(std::memory_order_relaxed);
  if (found == Once::Turn::kTaken) runtime::runtime_start().give_back();
  return found != Once::Turn::kDone;
}

void after_fork_in_parent() {
  if (gives_start_back()) return;
  release_locks();
  runtime::open_runtime();
  if (Thread* const self = Thread::current()) self->leave();
  g_collector.resume_after_fork(false);
  g_fork_turn.unlock();
}

void after_fork_in_child() {
  if (gives_start_back()) return;
  release_locks();
  Thread* const self = Thread::current();
  // The other threads are gone; what they had taken goes back as at their exit.
  Thread* others = nullptr;
  for (Thread *t = g_threads.first(), *next; t != nullptr; t = next) {
    next = t->next;
    if (t == self) continue;
    t->next = others;
    others = t;
  }
  g_threads.keep_only(self);
  if (self != nullptr) self->tid = runtime::os::tid();
  while (Thread* const gone = others) {
    others = gone->next;
    g_threads.take_back(*gone);
  }
  g_worklist.reset_after_fork();
  finalizer_thread().forget_thread();
  g_helper_threads.forget();
  g_held.forget_after_fork();
  runtime::open_runtime();
  if (self != nullptr) self->leave();
  g_collector.resume_after_fork(true);
  g_fork_turn.unlock();
}

}  // namespace

bool install_fork_handlers() noexcept {
  return pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child) == 0;
}

}  // namespace tricolor::gc
