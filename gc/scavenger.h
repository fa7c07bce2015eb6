#pragma once

// Pages returned to the system beside those that an allocation returns by itself ([pages.limit]).
// All functions write a scavtrace line where one is asked for, with what allocations have returned
// since the last one; the last one always, the others if there is something to tell. In a runtime
// section.

namespace tricolor::gc {

// Some of the free pages that are resident beyond the memory limit, whatever the program does: at
// most 16 MiB every 100 ms. The collector, between cycles.
void return_excess_pages() noexcept;

// Some of the free pages that the heap will not need soon, in whole huge pages. The collector,
// while it has nothing to do.
void return_surplus_pages() noexcept;

// All free pages. Any thread.
void return_free_pages() noexcept;

}  // namespace tricolor::gc
