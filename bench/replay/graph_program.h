#pragma once

// compile_graph: the program of a trace with reference stores and roots; see program.h.
//
// Threads: one.

#include <string>

#include "bench/replay/program.h"
#include "bench/trace/graph.h"

namespace bench::replay {

// `is_parallel`: a lane for every recorded thread. The lanes then drift against each other, and
// what one of them is about to use may have lost, in another, the path that led to it; so every
// object is held by a register until its end, besides the recorded references. Throws TraceError,
// naming `trace`, for an object too large to replay.
CompiledProgram compile_graph(const trace::Graph& graph, bool is_parallel,
                              const std::string& trace);

}  // namespace bench::replay
