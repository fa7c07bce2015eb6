#include "bench/replay/lanes.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "bench/replay/code.h"
#include "bench/trace/error.h"

namespace bench::replay {

void ThreadSpans::note(uint32_t thread, uint64_t time) {
  Span& span = spans_[thread];
  span.first = std::min(span.first, time);
  span.last = time;
}

std::map<uint32_t, uint32_t> ThreadSpans::lanes() const {
  std::vector<std::pair<uint64_t, uint32_t>> order;  // first time, thread
  for (const auto& [thread, span] : spans_) order.emplace_back(span.first, thread);
  std::sort(order.begin(), order.end());
  std::map<uint32_t, uint32_t> lane_of;
  std::vector<uint64_t> busy_until;
  for (const auto& [first, thread] : order) {
    uint32_t lane = 0;
    while (lane < busy_until.size() && busy_until[lane] >= first) ++lane;
    if (lane == busy_until.size()) busy_until.push_back(0);
    busy_until[lane] = spans_.at(thread).last;
    lane_of[thread] = lane;
  }
  return lane_of;
}

void check_lanes(uint32_t lanes, const std::string& trace) {
  if (lanes <= kMostLanes) return;
  throw trace::TraceError(
      trace, fmt::format("expected at most {} threads alive at once, found {}", kMostLanes, lanes));
}

LaneWriter::LaneWriter(uint32_t lanes, uint64_t objects) : lanes_(lanes) {
  if (lanes == 1) return;
  last_use_.resize(objects);
  for (Lane& lane : lanes_) lane.known.resize(lanes);
}

// [lanes.acyclic] [program.order]
void LaneWriter::order(uint32_t lane_number, uint32_t object) {
  LastUse& use = last_use_[object];
  Lane& lane = lanes_[lane_number];
  if (use.lane != kNone && use.lane != lane_number && lane.known[use.lane] <= use.operation) {
    lane.waits.push_back({lane.operations, use.lane, use.operation});
    lanes_[use.lane].signalled.push_back(use.operation);
    lane.known[use.lane] = use.operation + 1;
  }
  use = {lane_number, lane.operations};
}

void LaneWriter::add(uint32_t lane_number, std::initializer_list<uint32_t> touched,
                     std::initializer_list<uint32_t> words) {
  Lane& lane = lanes_[lane_number];
  if (lanes_.size() > 1) {
    for (const uint32_t object : touched) {
      if (object != kNone) order(lane_number, object);
    }
  }
  const Op op = op_of(*words.begin());
  if (op == Op::kNew || op == Op::kNewLeaf) ++lane.allocations;
  lane.code.insert(lane.code.end(), words);
  ++lane.operations;
}

void LaneWriter::finish(CompiledProgram& program) {
  for (Lane& lane : lanes_) {
    std::sort(lane.signalled.begin(), lane.signalled.end());
    lane.signalled.erase(std::unique(lane.signalled.begin(), lane.signalled.end()),
                         lane.signalled.end());
  }
  ProgramInfo& info = program.info;
  info.lanes = static_cast<uint32_t>(lanes_.size());
  ShapeTable shapes;
  for (Lane& lane : lanes_) {
    Encoder encoder(shapes, info.names);
    auto wait = lane.waits.begin();
    auto signal = lane.signalled.begin();
    const uint32_t* at = lane.code.data();
    for (uint64_t operation = 0; operation < lane.operations; ++operation) {
      for (; wait != lane.waits.end() && wait->operation == operation; ++wait) {
        const std::vector<uint64_t>& given = lanes_[wait->lane].signalled;
        const auto place = std::lower_bound(given.begin(), given.end(), wait->awaited);
        const uint32_t words[] = {pack(Op::kWait, wait->lane),
                                  static_cast<uint32_t>(place - given.begin()) + 1};
        encoder.add(words);
      }
      encoder.add(at);
      at += words_of(op_of(*at));
      if (signal != lane.signalled.end() && *signal == operation) {
        const uint32_t word = pack(Op::kSignal, 0);
        encoder.add(&word);
        ++signal;
      }
    }
    info.operations += lane.operations;
    info.waits += lane.waits.size();
    std::vector<uint32_t>().swap(lane.code);
    program.code.push_back(encoder.finish());
    info.words += program.code.back().size();
  }
  program.shapes = shapes.shapes();
  info.shapes = static_cast<uint32_t>(program.shapes.size());
}

}  // namespace bench::replay
