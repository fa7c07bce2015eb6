// The runtime as a program sees it: collections, threads, hooks and statistics.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>

#include <tricolor/detail/config.hpp>

namespace tricolor::runtime {

// Runs a full collection and returns when it is swept and the destructors and finalizers of what
// died are queued for the finalizer thread. When a cycle is running, waits for it and runs another,
// so everything that was unreachable at the call is found. Any thread; attaches it. Where the
// system refuses the library a thread of its own, the cycle runs on the calling thread;
// std::bad_alloc if there is no memory to prepare that.
TRICOLOR_API void collect();

// Waits until the finalizer thread has run what was queued before the call. Not from a finalizer or
// destructor. Where the system refuses that thread, they run on the calling one: only here, so a
// program that never calls this keeps them queued until the thread can be had.
TRICOLOR_API void wait_for_finalizers();

// Switches to finalizing by hand: destructors of the dead, finalizers and cleanups run in
// run_finalizers() alone, and no thread waits for them. Gives what was set before. Any thread;
// what runs at the time is not waited for.
TRICOLOR_API bool finalize_by_hand(bool on);

// Runs up to `max` destructors, finalizers and cleanups that are queued, on this thread; gives how
// many. Waits while another thread runs some, and gives 0 inside one of them. An exception that
// leaves one of them is fatal. Any thread; attaches it.
TRICOLOR_API std::size_t run_finalizers(std::size_t max = SIZE_MAX);

// Tells of memory outside of the heap that collected objects have come to own (negative: no longer
// own, as in a destructor): it counts towards the heap's goal and the memory limit like objects.
// Cheap: threads pass their sums on in steps of 64 KiB. std::invalid_argument for more than 2^62
// bytes at a time, or if more is taken back than was told of by all threads. May wait as gc::make
// does. Any thread; attaches it.
TRICOLOR_API void adjust_external_memory(std::ptrdiff_t bytes);

// One size class of MemStats.
struct SizeStats {
  std::uint32_t size = 0;     // bytes of a cell
  std::uint64_t mallocs = 0;  // objects allocated so far
  std::uint64_t frees = 0;    // objects reclaimed so far
};

// Figures of the heap, named and defined as in Go's runtime.MemStats. Bytes and nanoseconds;
// counters are cumulative since the process started.
struct MemStats {
  std::uint64_t alloc = 0;          // = heap_alloc
  std::uint64_t total_alloc = 0;    // bytes ever allocated
  std::uint64_t sys = 0;            // = heap_sys + gc_sys + other_sys
  std::uint64_t mallocs = 0;        // objects ever allocated
  std::uint64_t frees = 0;          // objects ever reclaimed
  std::uint64_t heap_alloc = 0;     // bytes of objects, reachable or not yet reclaimed
  std::uint64_t heap_sys = 0;       // bytes of address space committed for the heap
  std::uint64_t heap_idle = 0;      // bytes in free pages
  std::uint64_t heap_inuse = 0;     // bytes in spans
  std::uint64_t heap_released = 0;  // bytes of heap_idle that were returned to the system
  std::uint64_t heap_objects = 0;   // = mallocs - frees
  std::uint64_t stack_inuse = 0;    // bytes of the stacks scanned by the last cycle
  std::uint64_t mspan_inuse = 0;    // bytes of span headers in use
  std::uint64_t gc_sys = 0;         // bytes of bitmaps, tables and mark queues
  std::uint64_t other_sys = 0;      // bytes of the records of attached threads
  std::uint64_t traced_inuse = 0;   // bytes of traced memory in spans and large cells (not in sys)
  std::uint64_t traced_sys = 0;     // bytes of address space for it
  std::uint64_t next_gc = 0;        // heap goal of the next cycle; 2^64 - 1 when there is none
  std::uint64_t last_gc = 0;        // end of the last cycle, nanoseconds since 1970
  std::uint64_t pause_total_ns =
      0;  // summed longest handshakes of the cycles: no thread was held longer
  std::array<std::uint64_t, 256>
      pause_ns{};  // the longest handshake of cycle n at [(n + 255) % 256]
  std::array<std::uint64_t, 256> pause_end{};  // nanoseconds since 1970
  std::uint32_t num_gc = 0;
  std::uint32_t num_forced_gc = 0;
  std::uint64_t finalizer_queue = 0;  // destructors, finalizers and cleanups that wait to be run
  std::uint64_t finalizer_queue_bytes =
      0;                             // of dead objects, and what they own outside (estimated)
  std::uint64_t external_bytes = 0;  // as told by adjust_external_memory
  std::uint64_t heap_inuse_released =
      0;  // bytes of heap_inuse that were returned to the system: no object lies there
  double gc_cpu_fraction =
      0;  // share of the available processor time since start that the collector used
  bool enable_gc = true;
  bool debug_gc = false;
  std::array<SizeStats, 73> by_size{};  // small objects; [0] is unused
};

// Fills `stats`. The counts are exact for what happened before the call on this thread and on
// threads that are not allocating meanwhile. Any thread; attaches it. Takes some 10 us plus a
// little per thread.
TRICOLOR_API void read_mem_stats(MemStats& stats);

// Attaches the calling thread: from then on its stack holds roots. Needed only by a thread that
// receives raw references without ever allocating, storing or using a root first. Idempotent.
// std::bad_alloc.
TRICOLOR_API void attach_thread();

// Attaches the thread for a scope; detaches at its end only if it was the one to attach.
class ThreadScope {
 public:
  TRICOLOR_API ThreadScope();
  TRICOLOR_API ~ThreadScope();
  ThreadScope(const ThreadScope&) = delete;
  ThreadScope& operator=(const ThreadScope&) = delete;

 private:
  bool attached_here_;
};

class Thread;
namespace detail {
// Takes the registers as the caller has them, so it must be called right from the frame that waits.
TRICOLOR_API Thread* enter_blocking_scope() noexcept __asm__("tricolor_enter_blocking_scope");
}  // namespace detail

// Around a long blocking call: the thread promises not to touch collected objects until the scope
// ends, so a collection neither waits for it nor signals it. Its references stay roots. Nests.
// A fiber that is in a scope must not go on on another thread: left there, the scope ends the
// program with a message.
class BlockingScope {
 public:
  TRICOLOR_ALWAYS_INLINE BlockingScope() noexcept : thread_(detail::enter_blocking_scope()) {}
  TRICOLOR_API ~BlockingScope();
  BlockingScope(const BlockingScope&) = delete;
  BlockingScope& operator=(const BlockingScope&) = delete;

 private:
  Thread* thread_;  // nullptr if it was not attached
};

// A fiber's stack [lo, hi): all of it is scanned as roots by every cycle, whether the fiber runs or
// not, until it is unregistered (with the same lo). The registers of a side that waits must be
// saved on its stack: a ucontext_t elsewhere hides the references in them. A guard page in the
// range is set up before it is registered; memory that can be read once stays so.
// std::invalid_argument for an empty or unaligned range. Any thread.
TRICOLOR_API void register_stack(const void* lo, const void* hi);
TRICOLOR_API void unregister_stack(const void* lo) noexcept;

// Names a registered hook.
using HookId = std::uint64_t;

// Calls `hook` once at the start of every cycle, before marking, on the collector's thread (or the
// one that calls collect(), if that cannot be had; a cycle that an allocation has to run itself
// calls no hook, for the thread may hold a lock that the hook needs). A hook may use collected
// objects and must not start or wait for a collection. Any thread may register and unregister.
// unregister_pre_mark_hook returns true when the hook is gone: not running, or called by the hook
// itself; false while another thread runs it, and then it stays registered: try again
// (or there is no such hook).
TRICOLOR_API HookId register_pre_mark_hook(std::function<void()> hook);
TRICOLOR_API bool unregister_pre_mark_hook(HookId id);
inline bool unregister(HookId id) { return unregister_pre_mark_hook(id); }

}  // namespace tricolor::runtime
