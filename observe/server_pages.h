#pragma once

// What debug::serve shows, by path.
//
// Threads: any, outside of runtime sections.

#include "observe/http.h"

namespace tricolor::observe {

// What goes wrong is a response too.
Response answer(const Request& request) noexcept;

}  // namespace tricolor::observe
