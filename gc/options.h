#pragma once

// The options the environment asked for, as the collector uses them.

#include "runtime/options.h"

namespace tricolor::gc {

// Constant once the first thread is attached.
const runtime::Options& options() noexcept;

}  // namespace tricolor::gc
