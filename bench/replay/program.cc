#include "bench/replay/program.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>

#include "bench/replay/graph_program.h"
#include "bench/replay/lanes.h"
#include "bench/trace/error.h"

namespace bench::replay {
namespace {

using trace::Event;
using trace::Kind;
using trace::kNever;

struct Step {
  Op op;
  uint32_t object;  // allocated or freed; kRealloc: the new one
  uint32_t old;     // kRealloc: the old one
  uint32_t thread;
};

struct Lives {
  std::vector<Step> steps;
  std::vector<uint32_t> bytes;
  std::vector<uint64_t> birth;  // in steps
  std::vector<uint64_t> end;    // in steps
  std::vector<uint32_t> home;   // the lane, or kNone for an object that crosses lanes
  ThreadSpans spans;
};

uint32_t bytes_of(const trace::Reader& reader, const Event& event) {
  uint64_t bytes = event.amount;
  if (event.kind == Kind::kAllocTyped) bytes *= reader.type(event.number)->bytes;
  if (bytes > kMaxBytes) {
    reader.fail(fmt::format("expected an object of at most {} bytes to replay, found {}", kMaxBytes,
                            bytes));
  }
  return static_cast<uint32_t>(bytes);
}

Lives read_lives(trace::Reader& reader) {
  Lives lives;
  const auto number = [&](uint64_t object) {
    if (object > kMaxName) reader.fail("expected at most 2^28 objects to replay");
    return static_cast<uint32_t>(object);
  };
  const auto begin = [&](Op op, const Event& event, uint32_t old) {
    const uint32_t object = number(event.object);
    lives.bytes.push_back(bytes_of(reader, event));
    lives.birth.push_back(lives.steps.size());
    lives.end.push_back(kNever);
    lives.steps.push_back({op, object, old, event.thread});
  };
  std::vector<uint32_t> threads;  // by object
  for (Event event; reader.next(event);) {
    lives.spans.note(event.thread, event.ticket);
    if (trace::makes_object(event.kind)) threads.push_back(event.thread);
    switch (event.kind) {
      case Kind::kAlloc:
      case Kind::kAllocAligned:
      case Kind::kAllocTyped:
        begin(Op::kAlloc, event, 0);
        break;
      case Kind::kAllocZeroed:
        begin(Op::kAllocZeroed, event, 0);
        break;
      case Kind::kRealloc: {
        const uint32_t old = number(event.target);
        lives.end[old] = lives.steps.size();
        begin(Op::kRealloc, event, old);
        break;
      }
      case Kind::kFree:
      case Kind::kDeath:
        lives.end[event.object] = lives.steps.size();
        lives.steps.push_back({Op::kFree, number(event.object), 0, event.thread});
        break;
      default:
        break;
    }
  }
  for (size_t object = lives.end.size(); object-- > 0;) {
    if (lives.end[object] != kNever) continue;
    lives.end[object] = lives.steps.size();
    lives.steps.push_back({Op::kFree, static_cast<uint32_t>(object), 0, threads[object]});
  }
  return lives;
}

// Says in which lane each object spends its life.
void find_homes(const std::vector<uint32_t>& lane_of_step, Lives& lives) {
  constexpr uint32_t kUnknown = kNone - 1;
  lives.home.assign(lives.bytes.size(), kUnknown);
  const auto note = [&](uint32_t object, uint32_t lane) {
    uint32_t& home = lives.home[object];
    home = home == kUnknown || home == lane ? lane : kNone;
  };
  for (size_t i = 0; i < lives.steps.size(); ++i) {
    note(lives.steps[i].object, lane_of_step[i]);
    if (lives.steps[i].op == Op::kRealloc) note(lives.steps[i].old, lane_of_step[i]);
  }
}

// Finds for each object of one lane, in the order of their births, the one it refers to. Objects
// that cross lanes neither refer nor are referred to: nothing would order their ends.
class Linker {
 public:
  explicit Linker(const Lives& lives) : lives_(&lives) { youngest_.fill(kNone); }

  // The object to refer to, or kNone. [program.neutral-link]
  uint32_t link_of(uint32_t object) const {
    if (lives_->bytes[object] < kMinLinking || lives_->home[object] == kNone) return kNone;
    for (size_t age = age_class(object); age < youngest_.size(); ++age) {
      const uint32_t other = youngest_[age];
      if (other != kNone && lives_->end[other] > lives_->end[object]) return other;
    }
    return kNone;
  }
  void add(uint32_t object) {
    if (lives_->bytes[object] < kMinLinked || lives_->home[object] == kNone) return;
    youngest_[age_class(object)] = object;
  }

 private:
  size_t age_class(uint32_t object) const {
    return static_cast<size_t>(std::bit_width(lives_->end[object] - lives_->birth[object]));
  }

  const Lives* lives_;
  std::array<uint32_t, 65> youngest_;
};

CompiledProgram compile_lives(Lives lives, bool is_parallel, const std::string& trace) {
  std::vector<uint32_t> lane_of_step(lives.steps.size());
  uint32_t lanes = 1;
  if (is_parallel) {
    const auto lane_of_thread = lives.spans.lanes();
    for (size_t i = 0; i < lives.steps.size(); ++i) {
      lane_of_step[i] = lane_of_thread.at(lives.steps[i].thread);
      lanes = std::max(lanes, lane_of_step[i] + 1);
    }
  }
  check_lanes(lanes, trace);
  find_homes(lane_of_step, lives);

  CompiledProgram program;
  ProgramInfo& info = program.info;
  info.allocations = lives.bytes.size();
  LaneWriter writer(lanes, lives.bytes.size());
  std::vector<Linker> linkers(lanes, Linker(lives));
  std::vector<uint32_t> name_of(lives.bytes.size());
  std::vector<std::vector<uint32_t>> free_names(lanes);
  uint64_t live_bytes = 0;
  for (size_t i = 0; i < lives.steps.size(); ++i) {
    const Step& step = lives.steps[i];
    const uint32_t lane = lane_of_step[i];
    uint32_t& name = name_of[step.object];
    if (step.op == Op::kFree) {
      writer.add(lane, {step.object}, {pack(step.op, name), lives.bytes[step.object]});
      free_names[lane].push_back(name);
      live_bytes -= lives.bytes[step.object];
      continue;
    }
    uint32_t old = kNone;
    if (step.op == Op::kRealloc) {
      old = step.old;
      name = name_of[old];
      live_bytes -= lives.bytes[old];
    } else if (!free_names[lane].empty()) {
      name = free_names[lane].back();
      free_names[lane].pop_back();
    } else {
      name = info.names++;
    }
    const uint32_t link = linkers[lane].link_of(step.object);
    const uint32_t link_name = link == kNone ? kNone : name_of[link];
    const uint32_t bytes = lives.bytes[step.object];
    if (step.op == Op::kRealloc) {
      writer.add(lane, {step.object, old},
                 {pack(step.op, name), link_name, bytes, lives.bytes[old]});
    } else {
      writer.add(lane, {step.object}, {pack(step.op, name), link_name, bytes});
    }
    info.links += link == kNone ? 0 : 1;
    linkers[lane].add(step.object);
    live_bytes += lives.bytes[step.object];
    info.allocated_bytes += lives.bytes[step.object];
    info.peak_bytes = std::max(info.peak_bytes, live_bytes);
  }
  info.registers = info.names;
  writer.finish(program);
  return program;
}

}  // namespace

CompiledProgram compile(trace::Reader& reader, Threads threads) {
  if ((reader.flags() & trace::kHasStores) != 0) {
    return compile_graph(trace::read_graph(reader), threads == Threads::kRecorded, reader.name());
  }
  if ((reader.flags() & (trace::kHasFrees | trace::kHasDeaths)) == 0) {
    throw trace::TraceError(reader.name(), 12,
                            "expected a trace with the ends of objects, this has none");
  }
  return compile_lives(read_lives(reader), threads != Threads::kOne, reader.name());
}

}  // namespace bench::replay
