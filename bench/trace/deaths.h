#pragma once

// write_with_deaths: copies a trace with reference stores and roots and adds the death of every
// object, computed by reachability (graph.h). Frees are left out and a reallocation becomes an
// allocation and the stores that take the references along, as a program under a collector would
// have it.
//
// [deaths.place]  a death stands right behind the last event at which the object was reachable, on
//                 the thread of that event; the youngest of several first.
//
// Threads: one.

#include "bench/trace/graph.h"
#include "bench/trace/reader.h"
#include "bench/trace/writer.h"

namespace bench::trace {

// `reader` is at the beginning of the trace that `graph` was read from. Throws TraceError. The
// options' flags and text are taken from the trace.
void write_with_deaths(Reader& reader, const Graph& graph, std::ostream& out,
                       Writer::Options options);

}  // namespace bench::trace
