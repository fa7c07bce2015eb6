#pragma once

// Triggers: profiles and dumps without a call, by TRICOLOR_PROFILE and GODEBUG=dumpsignal.
//
// Threads: the one that starts the library.

namespace tricolor::observe {

void set_up_triggers() noexcept;  // handlers
void start_triggers() noexcept;   // the thread that writes

}  // namespace tricolor::observe
