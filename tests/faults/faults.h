// Faults: makes system calls and malloc fail on request, in programs that are linked with it.
//
//     TRICOLOR_FAULTS=mmap:n=17      the 17th call of mmap fails
//     TRICOLOR_FAULTS=any:n=17       the 17th call of any of them, but for waits
//     TRICOLOR_FAULTS=malloc:p=0.01  each call of malloc, calloc, realloc with this probability (from TRICOLOR_SEED)
//
// The linker leads calls of the program and of the library in it here (--wrap), so the library is
// the one that is installed, not a variant with tests in it. What the C library asks of the system
// for itself does not come by; its malloc does. Wakes of futexes cannot fail.
#pragma once

#include <cstdint>

namespace tricolor::tests::faults {

void arm() noexcept;  // from here on calls count
void disarm() noexcept;
std::uint64_t injected() noexcept;

}  // namespace tricolor::tests::faults
