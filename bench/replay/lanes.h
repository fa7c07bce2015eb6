#pragma once

// Lanes: writes the code of a program lane by lane, and puts in the waits that keep the recorded
// order where objects cross threads.
//
// [lanes.acyclic]  an operation waits only for operations that were recorded before it, so the
//                  recorded order is a schedule without deadlock.
//
// Threads: one.

#include <cstdint>
#include <initializer_list>
#include <map>
#include <string>
#include <vector>

#include "bench/replay/program.h"

namespace bench::replay {

// When each thread of a trace was first and last heard of.
class ThreadSpans {
 public:
  void note(uint32_t thread, uint64_t time);
  // Lane by thread: a greedy colouring of the spans, so that there are as many lanes as threads
  // were alive at once.
  std::map<uint32_t, uint32_t> lanes() const;

 private:
  struct Span {
    uint64_t first = ~uint64_t{0};
    uint64_t last = 0;
  };
  std::map<uint32_t, Span> spans_;
};

inline constexpr uint32_t kMostLanes = 1024;
// Throws TraceError, naming `trace`, when there are more.
void check_lanes(uint32_t lanes, const std::string& trace);

class LaneWriter {
 public:
  LaneWriter(uint32_t lanes, uint64_t objects);

  // One operation in `lane`; `touched` are the objects (kNone: nobody) that it names.
  void add(uint32_t lane, std::initializer_list<uint32_t> touched,
           std::initializer_list<uint32_t> words);
  uint32_t allocations(uint32_t lane) const { return lanes_[lane].allocations; }

  // Moves the code out, with waits and signals.
  void finish(CompiledProgram& program);

 private:
  struct Wait {
    uint64_t operation;  // of this lane, that waits
    uint32_t lane;
    uint64_t awaited;  // operation of that lane
  };
  struct Lane {
    std::vector<uint32_t> code;
    std::vector<uint64_t> known;      // by lane: operations that have surely run
    std::vector<Wait> waits;          // by operation
    std::vector<uint64_t> signalled;  // operations
    uint64_t operations = 0;
    uint32_t allocations = 0;
  };
  struct LastUse {
    uint32_t lane = kNone;
    uint64_t operation = 0;
  };

  void order(uint32_t lane, uint32_t object);

  std::vector<Lane> lanes_;
  std::vector<LastUse> last_use_;  // by object; empty when there is one lane
};

}  // namespace bench::replay
