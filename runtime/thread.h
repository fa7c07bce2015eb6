#pragma once

// Thread: what the runtime knows of an attached thread, and the protocol by which the collector reaches it.
//
//   kRunning   runs program code, or runtime code while depth > 0. Answers handshakes itself: when it leaves the
//              runtime, or in a signal handler if depth is 0.
//   kBlocked   promises not to touch collected objects. Its references lie in saved_words and above saved_sp.
//   kTaken     blocked, and the collector is answering for it; it may not leave until it is kBlocked again.
//
//   kRunning -> kBlocked            the thread itself (enter_blocked, leave())
//   kBlocked -> kRunning            the thread itself (leave_blocked, enter())
//   kBlocked -> kTaken -> kBlocked  the collector, in a handshake
//
// [thread.depth]    depth > 0 while the thread is inside the runtime: a signal does not answer then, because
//                   structures may be half changed. Whoever brings depth back to 0 looks for a request.
// [thread.taken]    a thread leaves kBlocked only by its own compare-exchange from kBlocked: never while taken.
// [thread.reentry]  a blocked thread that enters the runtime (a root destroyed in a BlockingScope) runs for the length
//                   of that section, and is blocked again behind it, with the snapshot of before: it answers nothing
//                   itself while the collector may be answering for it.
// [thread.closed]   while the runtime is closed no thread enters it, but for the one that closed it. Those that want
//                   in wait as blocked: they may have all signals masked, and the closer waits for their answer.
// [thread.list]     threads join and leave the list under g_threads.lock(). A thread that waits for that lock is
//                   either not in the list or blocked.
// [thread.gone]     a thread that ended without leaving the list (attached by the last destructor of a thread-specific
//                   key) is taken out by the handshake that finds it gone: the system does not know its id any more
//                   (ESRCH, and no other refusal), or the id is another thread's by now.
// [thread.named]    a record is in the list only while its thread's tls leads to it, so a thread that receives a signal
//                   and has no record proves that no record with its id is alive.

#include <array>
#include <atomic>
#include <cstdint>

#include "runtime/arch/cpu.h"
#include "runtime/base/lock.h"
#include "runtime/base/memory.h"
#include "runtime/heap/span.h"

#include <tricolor/detail/thread_local.hpp>

namespace tricolor::gc {
struct ThreadData;
}

namespace tricolor::runtime {

using gc::detail::CacheEntry;
using gc::detail::kCacheEntries;

enum class ThreadState : uint32_t { kRunning, kBlocked, kTaken };

// What a thread may keep references in: its stack from `sp` up, and some words saved elsewhere.
// `signal_hi`: where the thread's signal stack ends, if `sp` lies on that; only the thread itself
// can ask the system.
struct StackView {
  const char* sp;
  const uintptr_t* words;
  size_t count;
  // On a signal stack: where that ends.
  const char* signal_hi = nullptr;
  // In a signal handler: the stack pointer of what it interrupted, which may lie on another stack.
  const char* interrupted = nullptr;
};

// Set around fork(): nobody enters the runtime, nor comes back to it from a wait. After a handshake
// nobody is inside. Stored by the forking thread (release), loaded by all as they enter (acquire).
extern constinit std::atomic<bool> g_runtime_closed;
void close_runtime() noexcept;
void open_runtime() noexcept;

class Once;
class Thread;

// runtime/arch/enter_blocked.S
extern "C" void tricolor_enter_blocked(Thread* thread) noexcept;

class Thread : public FromMalloc {
 public:
  static Thread* current() noexcept { return TRICOLOR_LOAD_PUBLISHED(TRICOLOR_THIS_THREAD.thread); }
  // Deputy: makes tls this record's, whose thread is the calling one.
  static void set_current(Thread& thread) noexcept;
  // Deputy: lists its record, which has the collector's part, for the calling thread. In a runtime
  // section at the end.
  void stand_in(const Thread& principal) noexcept;
  // The calling thread's record; attaches it first if need be. std::bad_alloc.
  static Thread& attached() {
    Thread* const self = current();
    return self != nullptr ? *self : attach();
  }
  // For functions that cannot throw: fatal, and says why.
  static Thread& attached_or_fatal() noexcept {
    Thread* const self = current();
    return self != nullptr ? *self : attach_or_fatal();
  }
  static Thread& attach();
  static Thread& attach_or_fatal() noexcept;
  // Attaches another thread of the process, which may be anywhere in the program's code and does
  // not know.
  // False: it was attached, or there is no memory. The caller keeps it from ending.
  struct Other {
    gc::detail::ThreadLocal* local;
    unsigned long handle;  // a pthread_t
    int tid;
  };
  static bool attach_other(const Other& other) noexcept;

  // Gives everything back and leaves the list. The calling thread only, outside runtime sections.
  void detach() noexcept;

  void enter() noexcept {
    gc::detail::store_word(depth_, depth_ + 1);
    std::atomic_signal_fence(std::memory_order_seq_cst);
    if (__builtin_expect(g_runtime_closed.load(std::memory_order_acquire) || blocked_depth_ != 0,
                         0)) {
      enter_slow();
    }
  }
  void leave() noexcept {
    std::atomic_signal_fence(std::memory_order_seq_cst);
    if (__builtin_expect(blocked_depth_ != 0, 0)) {
      leave_while_blocked();
      return;
    }
    gc::detail::store_word(depth_, depth_ - 1);
    std::atomic_signal_fence(std::memory_order_seq_cst);
    if (__builtin_expect(is_asked(), 0) && depth_ == 0) answer_here();
  }
  // A stretch in which no handshake is answered though it is not the runtime's: the thread holds a
  // lock that threads in the runtime may want. Waits for nothing, so it may be entered anywhere;
  // ends with leave(). False: the thread is blocked and answers nothing anyway; then there is
  // nothing to leave.
  bool enter_quietly() noexcept {
    if (blocked_depth_ != 0) return false;
    gc::detail::store_word(depth_, depth_ + 1);
    std::atomic_signal_fence(std::memory_order_seq_cst);
    return true;
  }
  bool in_runtime() const noexcept { return gc::detail::load_word(depth_) != 0; }

  // A handshake waits for this thread's answer.
  bool is_asked() const noexcept {
    return requested.load(std::memory_order_acquire) != answered.load(std::memory_order_relaxed);
  }

  // Answers all requests now. The calling thread, kRunning at depth 0. What a handler interrupted:
  // its stack pointer (see StackView), and whether it had better go back at once.
  struct Interrupted {
    const char* sp = nullptr;
    bool in_system_call = false;
  };
  void answer_here(Interrupted interrupted) noexcept __attribute__((noinline));
  void answer_here() noexcept { answer_here({}); }

  // Around waiting; nests. The registers of the caller, its frame and everything above stay roots,
  // on whatever stack.
  __attribute__((always_inline)) void enter_blocked() noexcept { tricolor_enter_blocked(this); }
  // What enter_blocked() becomes, with the registers as they were there and the stack pointer after
  // it.
  void block(const arch::Registers& registers, const char* sp) noexcept;
  void leave_blocked() noexcept;

  // --- The calling thread's allocation state (see heap/allocate.cc) -----------------------------
  std::array<CacheEntry, kCacheEntries> cache{};
  std::array<Span*, kCacheEntries> spans{};
  // Cells handed out so far, per cache index, those in `cache` included. Written by the owner, read
  // relaxed by statistics.
  std::array<std::atomic<uint64_t>, kCacheEntries> handed{};
  uint32_t slow_paths = 0;  // for GODEBUG=gcstress
  // [watch.samples] bytes that may be handed out before the sampled one
  int64_t until_sample = INT64_MAX;
  uint64_t sample_seed = 0;

  // --- Handshakes ------------------------------------------------------------------------------
  // `requested` is stored by the collector (release), loaded by the thread (acquire): the pair
  // makes the action visible. `answered` is stored by whoever answers (release), loaded by the
  // collector (acquire): the pair makes the effects of the answer visible, and everything the
  // thread did before.
  std::atomic<uint32_t> requested{0};
  std::atomic<uint32_t> answered{0};
  // Transitions above. Entering kBlocked is a release, taking and leaving it acquire: whoever moves
  // on sees what the other did before.
  std::atomic<ThreadState> state{ThreadState::kRunning};
  const char* saved_sp = nullptr;
  // Where the stack ended when it was scanned last. Relaxed: for observers.
  std::atomic<const char*> seen_sp{nullptr};
  // The signal stack on which it last answered. Relaxed: a handler's frames are there no more, but
  // what they held is, and findlost is not to take that for references.
  std::atomic<const char*> signal_lo{nullptr};
  std::atomic<const char*> signal_hi{nullptr};
  const char* interrupted_sp = nullptr;   // while answer_here() runs in a handler
  const char* saved_signal_hi = nullptr;  // as in StackView
  // Registers, and the frames right above saved_sp: a constructor or wrapper that entered kBlocked
  // for its caller is gone when it returns, and its frame may hold the caller's registers.
  std::array<uintptr_t, 96> saved_words{};

  // --- Constant while attached -----------------------------------------------------------------
  gc::detail::ThreadLocal* local =
      nullptr;  // the thread's tls: the collector writes it while it is blocked
  char* stack_lo = nullptr;
  char* stack_hi = nullptr;
  int tid = 0;
  gc::ThreadData* data = nullptr;  // the collector's part

  // Guarded by g_threads.lock().
  Thread* next = nullptr;
  Thread* previous = nullptr;

 private:
  // The rare parts of enter() and leave(). [thread.closed] [thread.reentry]
  void enter_slow() noexcept __attribute__((noinline));
  void leave_while_blocked() noexcept __attribute__((noinline));
  void stand_aside() noexcept __attribute__((noinline));
  void prepare(gc::detail::ThreadLocal& local, int tid) noexcept;
  // nullptr: `sp` is not on the signal stack.
  const char* end_of_signal_stack(const char* sp) noexcept;
  // From kBlocked to kRunning; waits while taken, and while the runtime is closed to a section.
  void run_again() noexcept;

  int depth_ = 0;
  int blocked_depth_ = 0;
};

// Marks a stretch of runtime code: no handshake is answered inside.
class RuntimeScope {
 public:
  explicit RuntimeScope(Thread& thread) noexcept : thread_(thread) { thread_.enter(); }
  ~RuntimeScope() { thread_.leave(); }
  RuntimeScope(const RuntimeScope&) = delete;
  RuntimeScope& operator=(const RuntimeScope&) = delete;

 private:
  Thread& thread_;
};

// While the calling thread waits inside the runtime for something that may take long or for
// g_threads.lock().
class BlockedWait {
 public:
  __attribute__((always_inline)) explicit BlockedWait(Thread* thread) noexcept : thread_(thread) {
    if (thread_ != nullptr) thread_->enter_blocked();
  }
  ~BlockedWait() {
    if (thread_ != nullptr) thread_->leave_blocked();
  }
  BlockedWait(const BlockedWait&) = delete;
  BlockedWait& operator=(const BlockedWait&) = delete;

 private:
  Thread* thread_;
};

// The list of attached threads.
class Threads {
 public:
  Lock& lock() noexcept { return lock_; }
  Thread* first() const noexcept { return first_; }
  size_t count() const noexcept { return count_.load(std::memory_order_relaxed); }

  // Under lock().
  void add(Thread& thread) noexcept;
  void remove(Thread& thread) noexcept;
  // Forgets all threads but `survivor` (nullptr: all): in the child of fork().
  void keep_only(Thread* survivor) noexcept;

  // Records are never returned to the system. Under lock().
  Thread* take_record();
  void give_record(Thread& thread) noexcept;
  // Of a thread that is no more: its cells, what it had gathered, its record. Under lock(), the
  // thread being in no list.
  void take_back(Thread& gone) noexcept;
  // The same but for the record.
  static void settle(Thread& gone) noexcept;

 private:
  Lock lock_{LockRank::threads};
  Thread* first_ = nullptr;
  Thread* free_ = nullptr;
  std::atomic<size_t> count_{0};  // written under lock_, read relaxed by statistics
};

extern Threads g_threads;

// Takes g_threads.lock(); the calling thread counts as blocked while it waits for it.
void lock_threads(Thread* self) noexcept;

// The start of the runtime, for fork(), which takes it: a child must not find it half done.
Once& runtime_start() noexcept;

// Hooks implemented by the collector. The first three run under g_threads.lock().
// Before the first thread is attached; if it throws, it is called again. [once.restart]
void init_collector();
void thread_attached(Thread& thread);           // its phase flags; may throw std::bad_alloc
void thread_detached(Thread& thread) noexcept;  // hands over what it has gathered
void fold_statistics(Thread& thread) noexcept;  // a leaving thread's counts outlive it
void start_collector_threads() noexcept;        // after the first thread is attached
// Before all else, under no lock: it may wait for the loader's.
void thread_attaches();

}  // namespace tricolor::runtime
