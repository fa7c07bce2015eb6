#include "runtime/thread.h"

#include <pthread.h>

#include <algorithm>
#include <cstring>
#include <exception>
#include <mutex>
#include <new>
#include <string>
#include <system_error>

#include "runtime/base/check.h"
#include "runtime/base/once.h"
#include "runtime/base/poison.h"
#include "runtime/base/thread_order.h"
#include "runtime/handshake.h"
#include "runtime/handshake_signal.h"
#include "runtime/heap/allocate.h"
#include "runtime/heap/central.h"
#include "runtime/heap/heap_map.h"
#include "runtime/heap/spans.h"
#include "runtime/os/os.h"
#include "runtime/time_watch.h"

namespace tricolor::gc::detail {

namespace {
// Without a free cell: the first allocation of a thread takes the slow path, which attaches it.
constinit std::array<CacheEntry, kCacheEntries> g_no_cells{};
}  // namespace

// used: inlined code names it in assembly.
constinit thread_local ThreadLocal tls
    __attribute__((tls_model("initial-exec"), used)) = {g_no_cells.data(), nullptr, true};

void attach_slow() noexcept { runtime::Thread::attached_or_fatal(); }

}  // namespace tricolor::gc::detail

namespace tricolor::runtime {

using gc::detail::load_word;
using gc::detail::store_word;
using gc::detail::tls;

constinit Threads g_threads;
constinit std::atomic<bool> g_runtime_closed{false};

namespace {
constinit std::atomic<uint32_t> g_openings{0};  // changes when the runtime opens; slept on
constinit std::atomic<const Thread*> g_closer{nullptr};
}  // namespace

void close_runtime() noexcept {
  g_closer.store(Thread::current(), std::memory_order_relaxed);
  g_runtime_closed.store(true, std::memory_order_seq_cst);
}

void open_runtime() noexcept {
  g_runtime_closed.store(false, std::memory_order_release);
  g_closer.store(nullptr, std::memory_order_relaxed);
  g_openings.fetch_add(1, std::memory_order_release);
  futex::wake(&g_openings, INT32_MAX);
}

namespace {
void wait_until_open() noexcept {
  for (;;) {
    const uint32_t seen = g_openings.load(std::memory_order_acquire);
    if (!g_runtime_closed.load(std::memory_order_acquire)) return;
    futex::wait(&g_openings, seen);
  }
}
}  // namespace

// Only the outermost section may find the runtime closed, or be entered by a blocked thread: inner
// ones belong to a wait inside the runtime, which is over before the section goes on.
void Thread::enter_slow() noexcept {
  if (depth_ != 1) return;
  if (blocked_depth_ != 0) {
    run_again();  // [thread.reentry]
    return;
  }
  if (!g_runtime_closed.load(std::memory_order_acquire) ||
      g_closer.load(std::memory_order_relaxed) == this) {
    return;
  }
  // [thread.closed] as blocked: run_again() comes back when the runtime is open
  enter_blocked();
  leave_blocked();
}

// [thread.reentry] The snapshot of the outermost enter_blocked() stands: the thread has promised that
// what it refers to does not change.
void Thread::leave_while_blocked() noexcept {
  if (depth_ == 1) state.store(ThreadState::kBlocked, std::memory_order_release);
  std::atomic_signal_fence(std::memory_order_seq_cst);
  store_word(depth_, depth_ - 1);
}

namespace {

pthread_key_t g_exit_key;
constinit Once g_start;

// Runs after the destructors of thread_locals. A later key destructor that uses the heap attaches
// the thread again, and the system calls this once more.
void on_thread_exit(void* thread) noexcept {
  if (Thread::current() == thread) static_cast<Thread*>(thread)->detach();
}

// What a program reads when it does not catch it.
class NoHeap : public std::bad_alloc {
 public:
  const char* what() const noexcept override {
    return "tricolor: no address space for the heap (64 MiB and tables at least are needed)";
  }
};

// [once.restart]
void start() {
  static constinit bool heap_there = false;
  static constinit bool spans_there = false;
  static constinit bool key_there = false;
  static constinit bool handler_there = false;
  if (!heap_there) {
    look_for_valgrind();
    if (!g_heap.init()) throw NoHeap();
    heap_there = true;
  }
  if (!spans_there) {
    if (!g_spans.init()) throw NoHeap();
    spans_there = true;
  }
  if (!key_there) {
    if (const int error = pthread_key_create(&g_exit_key, on_thread_exit)) {
      throw std::system_error(error, std::generic_category(), "tricolor: pthread_key_create");
    }
    key_there = true;
  }
  init_collector();
  if (!handler_there) {
    g_handshake.init();  // as init_collector() has configured it
    handler_there = true;
  }
}

// [signal.room]
[[noreturn, gnu::noinline]] void refuse_stack() {
  throw std::system_error(std::make_error_code(std::errc::not_enough_memory),
                          "tricolor: a handshake's signal needs " +
                              std::to_string(handshake_stack_bytes()) +
                              " bytes of the thread's stack, or of its signal stack");
}

}  // namespace

Once& runtime_start() noexcept { return g_start; }

// Under g_threads.lock().
void Thread::prepare(gc::detail::ThreadLocal& its_local, int its_tid) noexcept {
  depth_ = 0;
  blocked_depth_ = 0;
  tid = its_tid;
  seen_sp.store(nullptr, std::memory_order_relaxed);
  signal_lo.store(nullptr, std::memory_order_relaxed);
  signal_hi.store(nullptr, std::memory_order_relaxed);
  local = &its_local;
  state.store(ThreadState::kRunning, std::memory_order_relaxed);
  requested.store(g_handshake.sequence(), std::memory_order_relaxed);
  answered.store(g_handshake.sequence(), std::memory_order_relaxed);
}

// What the thread reads meanwhile leads to the same as before or after: its table of cells is empty
// either way, and whoever finds no record comes to attach(), which looks again. Until it finds its
// record, its signals do not.
bool Thread::attach_other(const Other& other) noexcept {
  lock_threads(current());
  const std::lock_guard guard(g_threads.lock(), std::adopt_lock);
  if (load_word(other.local->thread) != nullptr) return false;
  Thread* thread = nullptr;
  try {
    thread = g_threads.take_record();
    thread->prepare(*other.local, other.tid);
    if (!os::stack_bounds_of(other.handle, other.tid, &thread->stack_lo, &thread->stack_hi))
      throw std::bad_alloc();
    thread_attached(*thread);
  } catch (...) {
    if (thread != nullptr) g_threads.give_record(*thread);
    return false;
  }
  // The thread reads both as published (TRICOLOR_LOAD_PUBLISHED): the record is written before.
  __atomic_store_n(&other.local->cache, thread->cache.data(), __ATOMIC_RELEASE);
  // [thread.named] before the record is in the list
  __atomic_store_n(&other.local->thread, thread, __ATOMIC_RELEASE);
  g_threads.add(*thread);
  return true;
}

Thread& Thread::attach() {
  learn_order();
  g_start.run(start);
  if (!has_handshake_room()) refuse_stack();
  thread_attaches();
  Thread* thread;
  lock_threads(nullptr);
  {
    const std::lock_guard guard(g_threads.lock(), std::adopt_lock);
    if (Thread* const attached_by_other = current()) return *attached_by_other;
    thread = g_threads.take_record();
    thread->prepare(tls, os::tid());
    thread->depth_ = 1;
    try {
      if (!os::stack_bounds(&thread->stack_lo, &thread->stack_hi)) throw std::bad_alloc();
      thread_attached(*thread);
      // What it says at the thread's end counts from tls.thread on.
      if (pthread_setspecific(g_exit_key, thread) != 0) throw std::bad_alloc();
    } catch (...) {
      g_threads.give_record(*thread);
      throw;
    }
    tls.thread = thread;  // [thread.named] before the record is in the list
    tls.cache = thread->cache.data();
    g_threads.add(*thread);
  }
  unblock_handshake_signals();
  start_collector_threads();
  thread->leave();
  if (g_handshake.asides() != 0) thread->stand_aside();
  return *thread;
}

Thread& Thread::attach_or_fatal() noexcept {
  try {
    return attach();
  } catch (const std::exception& error) {
    fatal("the thread cannot attach, in a function that cannot throw: %s", error.what());
  }
}

void Thread::set_current(Thread& thread) noexcept {
  tls.thread = &thread;
  tls.cache = thread.cache.data();
  pthread_setspecific(g_exit_key, &thread);
}

void Thread::stand_in(const Thread& principal) noexcept {
  lock_threads(nullptr);
  {
    const std::lock_guard guard(g_threads.lock(), std::adopt_lock);
    prepare(tls, principal.tid);
    depth_ = 1;
    stack_lo = principal.stack_lo;
    stack_hi = principal.stack_hi;
    thread_attached(*this);
    set_current(*this);  // [thread.named] before the record is in the list
    g_threads.add(*this);
  }
  leave();
  if (g_handshake.asides() != 0) stand_aside();
  enter();
}

void Thread::detach() noexcept {
  if (TimeWatch* const watch = time_watch()) watch->thread_ends();
  enter();
  return_cells(*this);
  enter_blocked();
  lock_threads(nullptr);
  thread_detached(*this);
  g_threads.remove(*this);
  // [thread.named] once the record is in no list
  tls.cache = gc::detail::g_no_cells.data();
  tls.thread = nullptr;
  store_word(tls.marking, true);  // the next store attaches again
  pthread_setspecific(g_exit_key, nullptr);
  tell_order();
  g_threads.give_record(*this);
  g_threads.lock().unlock();
}

namespace {
bool on_own_stack(const Thread& thread, const char* sp) noexcept {
  return sp >= thread.stack_lo && sp < thread.stack_hi;
}
}  // namespace

const char* Thread::end_of_signal_stack(const char* sp) noexcept {
  if (on_own_stack(*this, sp)) return nullptr;
  const char* lo = nullptr;
  const char* const hi = os::signal_stack_end(sp, &lo);
  if (hi != nullptr) {
    signal_lo.store(lo, std::memory_order_relaxed);
    signal_hi.store(hi, std::memory_order_relaxed);
  }
  return hi;
}

void Thread::answer_here(Interrupted interrupted) noexcept {
  interrupted_sp = interrupted.sp;
  uint32_t sequence = 0;
  while (is_asked()) {
    store_word(depth_, 1);
    std::atomic_signal_fence(std::memory_order_seq_cst);
    if (!is_asked()) {  // [handshake.once] a signal came first and has answered
      store_word(depth_, 0);
      continue;
    }
    sequence = requested.load(std::memory_order_acquire);
    arch::Registers registers;
    arch::spill_registers(registers);
    tell_order();
    const char* const sp = arch::stack_pointer();
    g_handshake.perform(*this, StackView{sp, registers.words, std::size(registers.words),
                                         end_of_signal_stack(sp), interrupted_sp});
    g_handshake.acknowledge(*this, sequence);
    std::atomic_signal_fence(std::memory_order_seq_cst);
    store_word(depth_, 0);
    std::atomic_signal_fence(std::memory_order_seq_cst);
  }
  if (sequence != 0 && !interrupted.in_system_call && g_handshake.asides() != 0) stand_aside();
  interrupted_sp = nullptr;
}

// [handshake.aside] As blocked: what is asked next, the collector answers.
void Thread::stand_aside() noexcept {
  const TimedScope timed(Timed::kAside);
  const BlockedWait wait(this);
  g_handshake.stand_aside();
}

namespace {

// How far up from `sp` memory may be read, `bytes` at most: stacks that are not the thread's own
// may be of any size.
const char* readable_end(const char* sp, size_t bytes) noexcept {
  const uintptr_t page = os::page_size();
  const uintptr_t from = reinterpret_cast<uintptr_t>(sp);
  uintptr_t end = (from / page + 1) * page;
  while (end < from + bytes && os::is_readable(end)) end += page;
  return sp + std::min<size_t>(end - from, bytes);
}

__attribute__((no_sanitize("address", "thread"))) void save_frames(uintptr_t* out, size_t count,
                                                                   const char* sp,
                                                                   const char* hi) noexcept {
  const uintptr_t* from = reinterpret_cast<const uintptr_t*>(sp);
  const size_t there = hi > sp ? static_cast<size_t>(hi - sp) / sizeof(uintptr_t) : 0;
  for (size_t i = 0; i < count; ++i) {
    const volatile uintptr_t* const word = from + i;
    out[i] = i < there ? *word : 0;
  }
}

}  // namespace

extern "C" void tricolor_block(Thread* thread, const arch::Registers* registers,
                               const char* sp) noexcept {
  thread->block(*registers, sp);
}

void Thread::block(const arch::Registers& registers, const char* sp) noexcept {
  if (blocked_depth_ != 0) {
    ++blocked_depth_;
    return;
  }
  enter();  // no answer between the snapshot and the change of state
  tell_order();
  std::memcpy(saved_words.data(), registers.words, sizeof(registers.words));
  constexpr size_t kRegisters = std::size(decltype(registers.words){});
  constexpr size_t kFrames = decltype(saved_words){}.size() - kRegisters;
  const bool own = on_own_stack(*this, sp);
  saved_sp = sp;
  saved_signal_hi = end_of_signal_stack(sp);
  save_frames(saved_words.data() + kRegisters, kFrames, sp,
              own ? stack_hi : readable_end(sp, kFrames * sizeof(uintptr_t)));
  blocked_depth_ = 1;
  state.store(ThreadState::kBlocked, std::memory_order_release);
  std::atomic_signal_fence(std::memory_order_seq_cst);
  store_word(depth_, depth_ - 1);
}

void Thread::leave_blocked() noexcept {
  if (--blocked_depth_ > 0) return;
  run_again();
  if (is_asked() && depth_ == 0) answer_here();
}

void Thread::run_again() noexcept {
  for (int spins = 0;; ++spins) {
    // [thread.taken]
    ThreadState expected = ThreadState::kBlocked;
    if (state.compare_exchange_weak(expected, ThreadState::kRunning, std::memory_order_acq_rel)) {
      if (depth_ == 0 || !g_runtime_closed.load(std::memory_order_seq_cst) ||
          g_closer.load(std::memory_order_relaxed) == this) {
        return;
      }
      // [thread.closed] back to where fork() may find us
      state.store(ThreadState::kBlocked, std::memory_order_release);
      wait_until_open();
      continue;
    }
    if (spins < 100) {
      arch::pause();
    } else {
      os::sleep_ns(20'000);
    }
  }
}

// [thread.list]
void lock_threads(Thread* self) noexcept {
  while (!g_threads.lock().try_lock()) {
    if (self == nullptr) {
      g_threads.lock().lock();
      return;
    }
    // Not kept across the end of the wait: that may have to wait itself, for a fork that wants the
    // lock.
    const BlockedWait wait(self);
    g_threads.lock().lock();
    g_threads.lock().unlock();
  }
}

void Threads::add(Thread& thread) noexcept {
  thread.previous = nullptr;
  thread.next = first_;
  if (first_ != nullptr) first_->previous = &thread;
  first_ = &thread;
  ++count_;
}

void Threads::remove(Thread& thread) noexcept {
  (thread.previous == nullptr ? first_ : thread.previous->next) = thread.next;
  if (thread.next != nullptr) thread.next->previous = thread.previous;
  thread.next = nullptr;
  thread.previous = nullptr;
  --count_;
}

void Threads::keep_only(Thread* survivor) noexcept {
  first_ = survivor;
  count_ = 0;
  if (survivor == nullptr) return;
  survivor->next = nullptr;
  survivor->previous = nullptr;
  count_ = 1;
}

Thread* Threads::take_record() {
  if (free_ == nullptr) return new Thread;
  Thread* const thread = free_;
  free_ = thread->next;
  thread->next = nullptr;
  return thread;
}

void Threads::give_record(Thread& thread) noexcept {
  thread.cache.fill({});  // nothing that findlost could take for a reference
  thread.saved_words.fill(0);
  thread.next = free_;
  free_ = &thread;
}

void Threads::settle(Thread& gone) noexcept {
  return_cells(gone);
  thread_detached(gone);
}

void Threads::take_back(Thread& gone) noexcept {
  settle(gone);
  give_record(gone);
}

}  // namespace tricolor::runtime
