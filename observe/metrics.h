#pragma once

// Metrics: runtime::MemStats in the text format of Prometheus (version 0.0.4).
//
// Threads: any, outside of runtime sections. std::bad_alloc.

#include <string>

#include <tricolor/runtime.hpp>

namespace tricolor::observe {

std::string metrics_text();
std::string metrics_text(const runtime::MemStats& stats);

}  // namespace tricolor::observe
