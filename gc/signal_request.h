#pragma once

// A collection on a signal, for those who ask for it with GODEBUG=gcsignal=USR1.

namespace tricolor::gc {

// The handler only notes the request; the signal's previous handler runs too.
void install_collect_signal(int signal) noexcept;

}  // namespace tricolor::gc
