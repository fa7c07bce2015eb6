#pragma once

// Pages returned to the system beside those that an allocation returns by itself ([pages.limit]).
// All functions write a scavtrace line where one is asked for, with what allocations have returned
// since the last one; the last one always, the others if there is something to tell. In a runtime
// section, but for the last.

namespace tricolor::runtime {
class Thread;
}

namespace tricolor::gc {

// Some of the free pages that are resident beyond the memory limit, whatever the program does: at
// most 16 MiB every 100 ms. The collector, between cycles.
void return_excess_pages() noexcept;

// Some of the free pages that the heap will not need soon, in whole huge pages. The collector,
// while it has nothing to do.
void return_surplus_pages() noexcept;

// What lies unused between objects, where that comes to more than a quarter of what the heap has
// resident and all of this is far beyond its goal: 16 MiB every 100 ms while the collector is
// `idle`, else 2. The collector, between cycles.
void return_unused_cells_if_many(bool idle) noexcept;

// All free pages. Any thread.
void return_free_pages() noexcept;

// All that lies unused between objects. Any thread, not in a runtime section: it answers
// handshakes meanwhile.
void return_unused_cells(runtime::Thread& thread) noexcept;

}  // namespace tricolor::gc
