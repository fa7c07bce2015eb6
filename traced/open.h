#pragma once

// Whether the process is open: traced memory, a root range, or a wish to scan globals exists. It
// never closes again.

namespace tricolor::traced {

// Idempotent; any thread, with any lock of traced/ held. Takes none itself.
void open_process() noexcept;

// Does nothing: who calls it is linked with the handlers around fork().
void keep_fork_handlers() noexcept;

}  // namespace tricolor::traced
