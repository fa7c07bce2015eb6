#pragma once

// OpenRoots: memory outside of the heap that the collector reads though the program writes it without a barrier:
// traced memory, registered ranges, globals (traced/).
//
// [open.stop]    in an open process a cycle ends in a stop: with all threads standing, stacks, and whatever of this
//                memory was written since it was last read, are read, and what that finds is drained. Nothing can
//                move between the two, so everything reachable is marked then.
// [open.late]    a process that opens during a termination round makes the round unclean: threads that have answered
//                may have taken references out of this memory that others had put there before they answered.
// [open.some]    a stop that finds much lets the threads go on, and marking too; the last of kMostStops is as long
//                as it takes.
// Threads: the collector; scan(): whoever marks.

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace tricolor::gc {

class Marker;

class OpenRoots {
 public:
  // Before H1: threads that are known and not attached are attached. Memory that is read stays
  // mapped until end_cycle().
  virtual void begin_cycle() noexcept = 0;
  // Puts what may be read while threads run into the worklist, as kForeign items.
  virtual void queue_first_scan() noexcept = 0;
  // Before a stop, while threads run. False: there is so much to read that it is better done beside
  // the threads; it is in the worklist.
  virtual bool prepare_stop() noexcept = 0;
  // In the stop: puts what has to be read there into the worklist. False: something has changed
  // that only running threads can settle; the stop is in vain.
  virtual bool queue_stop() noexcept = 0;
  // Items that are queued or being scanned.
  virtual size_t items_left() const noexcept = 0;
  // Does what `item` says; gives the bytes looked at.
  virtual void scan(Marker& marker, uint64_t item) noexcept = 0;
  // Calls visit(context, from, bytes) for everything there is; `standing`: in a stop.
  using Visit = void (*)(void* context, const char* from, size_t bytes) noexcept;
  virtual void visit_all(Visit visit, void* context, bool standing) noexcept = 0;
  // The same for what is read in stops alone: ranges and globals. In a stop; false, and nothing was
  // visited, where something has changed that only running threads can settle.
  virtual bool visit_standing(Visit visit, void* context) noexcept = 0;
  virtual void end_cycle() noexcept = 0;

  // Whether a gc::ptr may lie at `address`.
  virtual bool is_read(const void* address) noexcept = 0;
  // Whether the word at `address` lies in traced memory, cells that are free included.
  virtual bool is_traced(const void* address) const noexcept = 0;
  virtual void release_free_memory() noexcept = 0;

  struct Figures {
    int64_t bytes_scanned = 0;  // in this cycle
    int64_t dirty_pages = 0;    // read in the last stop
    int64_t precleans = 0;
    bool tracks_pages = false;
    int64_t bytes_in_use = 0;
    int64_t bytes_mapped = 0;
  };
  virtual Figures figures() const noexcept = 0;

 protected:
  ~OpenRoots() = default;
};

// nullptr as long as the process is closed; never again after. Stored by the thread that opens it
// (release), loaded by the collector (acquire): a thread that has put a reference there opened the
// process before, and has answered since.
extern std::atomic<OpenRoots*> g_open_roots;

inline OpenRoots* open_roots() noexcept { return g_open_roots.load(std::memory_order_acquire); }

}  // namespace tricolor::gc
