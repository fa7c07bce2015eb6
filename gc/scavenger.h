#pragma once

// Pages returned to the system beside those that an allocation returns by itself ([pages.limit]).
// Both functions write a scavtrace line where one is asked for, with what allocations have returned
// since the last one; the first only if there is something to tell. In a runtime section.

namespace tricolor::gc {

// Some of the free pages that the heap will not need soon, in whole huge pages. The collector,
// while it has nothing to do.
void return_surplus_pages() noexcept;

// All free pages. Any thread.
void return_free_pages() noexcept;

}  // namespace tricolor::gc
