#pragma once

// AllocationWatch: what the heap tells those who look at allocations one by one. observe/ implements it.
//
// The inlined path knows nothing of it: what is watched comes through the slow path, because the
// thread is handed no cell that it could take alone.
//
// [watch.samples]  a thread counts the bytes it is handed, Thread::until_sample; the cells before the sampled byte are
//                  handed out as ever, the one that holds it alone, and that is reported. So each byte is sampled with
//                  the same probability, whatever the sizes before it.
// [watch.types]    while types are recorded cells are handed out one by one, and each type is noted in the runtime
//                  section that hands the cell out: who looks at the heap in a stop finds every object's.
//
// Threads: as the functions say.

#include <cstddef>
#include <cstdint>

namespace tricolor::gc::detail {
struct TypeInfo;
}

namespace tricolor::runtime {

class Thread;

class AllocationWatch {
 public:
  // Bytes from the one sampled last to the next one of `thread`; INT64_MAX: none. Under the
  // threads' lock, or by the thread itself.
  virtual int64_t next_sample(Thread& thread) noexcept = 0;

  // `object`, not yet constructed, holds a sampled byte. By the thread itself, outside of runtime
  // sections and without locks.
  virtual void sampled(Thread& thread, const void* object, size_t size,
                       const gc::detail::TypeInfo* type) noexcept = 0;

  // In a runtime section. [watch.types]
  virtual void note_type(const void* object, const gc::detail::TypeInfo* type) noexcept = 0;
  // What was noted of a live object; nullptr: nothing. In a runtime section or a stop.
  virtual const gc::detail::TypeInfo* noted_type(const void* object) const noexcept = 0;

  // gc::destroy is about to free the object, in whose span there has been a sample. In a runtime
  // section.
  virtual void destroyed(const void* object) noexcept = 0;

  // By the collector's thread: what is allocated from here on has its fate decided by the next
  // cycle; and: what is not marked by now is dead, and not swept yet.
  virtual void cycle_begins() noexcept = 0;
  virtual void cycle_marked() noexcept = 0;

 protected:
  ~AllocationWatch() = default;
};

// Before functions that stand between the program and a sample: a section of their own tells their
// addresses, so that stacks begin where the program allocates.
#define TRICOLOR_ALLOCATOR __attribute__((section("tricolor_allocate")))
extern "C" __attribute__((visibility("hidden"))) const char __start_tricolor_allocate[];
extern "C" __attribute__((visibility("hidden"))) const char __stop_tricolor_allocate[];

// nullptr: nobody watches. Set before the first thread is attached, and constant then.
extern constinit AllocationWatch* g_allocation_watch;
// The same: cells are handed out one by one, with their types.
extern constinit bool g_hands_out_singly;

}  // namespace tricolor::runtime
