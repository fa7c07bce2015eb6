#pragma once

// Graph: a trace with reference stores and roots, taken apart into what changes the object graph,
// and the end of every object by reachability.
//
// An object lives while a recorded root leads to it over recorded references, and in any case until
// the last event that names it or that removes a reference to it: whatever the program uses, it
// could reach, be it over a stack that the recorder did not see. Ends are found as Merlin does
// (Hertz, Blackburn, Moss, McKinley, Stefanovic 2002): every object is stamped with the last event
// that proves it alive, and stamps are handed on, latest first, along the references that are left.
//
// [graph.end]    an object's end is the event after which nothing leads to it; kNever for what a
//                root still leads to when the trace ends.
// [graph.realloc] a reallocation is a new object, into which the old one's references are stored.
//
// free() ends nothing here: a program under a collector does not call it. It counts as a use, and
// so does a death that the trace holds already.
//
// Threads: one.

#include <cstdint>
#include <vector>

#include "bench/trace/fields.h"
#include "bench/trace/reader.h"

namespace bench::trace {

inline constexpr uint64_t kNever = ~uint64_t{0};

struct GraphStep {
  enum class Kind : uint8_t {
    kAlloc,  // object
    kStore,  // object.slot = target, was before
    kRoot,   // root `slot` = target, was before
    kUse,    // object
  };
  Kind kind;
  uint32_t thread;
  uint32_t object;
  uint32_t slot;  // of kRoot: numbered without holes
  uint32_t target;
  uint32_t before;
  uint64_t ticket;  // of the event that it comes from
};

struct GraphObject {
  uint64_t bytes = 0;
  uint32_t type = 0;      // 0: none
  uint32_t length = 0;    // of a typed array
  bool may_refer = true;  // false when its type says that it holds no references
  uint64_t birth = 0;     // in steps
  uint64_t end = 0;       // the step after which it is dead, or kNever
};

struct Graph {
  std::vector<GraphStep> steps;
  std::vector<GraphObject> objects;
  uint32_t roots = 0;
  uint64_t recorded_deaths = 0;
};

// Reads the trace to its end. Throws TraceError when it is damaged, too large (2^28 objects, 2^32
// words in one), has no stores and roots, or holds a death before the object's end by reachability.
Graph read_graph(Reader& reader);

}  // namespace bench::trace
