#include "bench/replay/program.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>

#include "bench/trace/error.h"

namespace bench::replay {
namespace {

using trace::Event;
using trace::Kind;

constexpr uint64_t kNever = ~uint64_t{0};

struct Step {
  Op op;
  uint32_t object;  // allocated or freed; kRealloc: the new one
  uint32_t old;     // kRealloc: the old one
};

struct Lives {
  std::vector<Step> steps;
  std::vector<uint32_t> bytes;
  std::vector<uint64_t> birth;  // in steps
  std::vector<uint64_t> end;    // in steps
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
    if (object > kMaxSlot) reader.fail("expected at most 2^30 objects to replay");
    return static_cast<uint32_t>(object);
  };
  const auto begin = [&](Op op, const Event& event, uint32_t old) {
    const uint32_t object = number(event.object);
    lives.bytes.push_back(bytes_of(reader, event));
    lives.birth.push_back(lives.steps.size());
    lives.end.push_back(kNever);
    lives.steps.push_back({op, object, old});
  };
  for (Event event; reader.next(event);) {
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
        lives.steps.push_back({Op::kFree, number(event.object), 0});
        break;
      default:
        break;
    }
  }
  for (size_t object = lives.end.size(); object-- > 0;) {
    if (lives.end[object] != kNever) continue;
    lives.end[object] = lives.steps.size();
    lives.steps.push_back({Op::kFree, static_cast<uint32_t>(object), 0});
  }
  return lives;
}

// Finds for each object, in the order of their births, the one it refers to.
class Linker {
 public:
  explicit Linker(const Lives& lives) : lives_(lives) { youngest_.fill(kNobody); }

  // The object to refer to, or kNobody. [program.neutral-link]
  uint32_t link_of(uint32_t object) const {
    if (lives_.bytes[object] < kMinLinking) return kNobody;
    for (size_t age = age_class(object); age < youngest_.size(); ++age) {
      const uint32_t other = youngest_[age];
      if (other != kNobody && lives_.end[other] > lives_.end[object]) return other;
    }
    return kNobody;
  }
  void add(uint32_t object) {
    if (lives_.bytes[object] >= kMinLinked) youngest_[age_class(object)] = object;
  }

  static constexpr uint32_t kNobody = ~uint32_t{0};

 private:
  size_t age_class(uint32_t object) const {
    return static_cast<size_t>(std::bit_width(lives_.end[object] - lives_.birth[object]));
  }

  const Lives& lives_;
  std::array<uint32_t, 65> youngest_;
};

}  // namespace

CompiledProgram compile(trace::Reader& reader) {
  if ((reader.flags() & (trace::kHasFrees | trace::kHasDeaths)) == 0) {
    throw trace::TraceError(reader.name(), 12,
                            "expected a trace with the ends of objects, this has none");
  }
  if ((reader.flags() & trace::kHasStores) != 0) {
    throw trace::TraceError(
        reader.name(), 12,
        "expected a trace of allocations and frees, this has reference stores too");
  }
  const Lives lives = read_lives(reader);
  CompiledProgram program;
  ProgramInfo& info = program.info;
  info.operations = lives.steps.size();
  info.allocations = lives.bytes.size();
  program.code.reserve(3 * lives.bytes.size() + (lives.steps.size() - lives.bytes.size()));

  Linker linker(lives);
  std::vector<uint32_t> slot_of_object(lives.bytes.size());
  std::vector<uint32_t> free_slots;
  uint64_t live_bytes = 0;
  for (const Step& step : lives.steps) {
    uint32_t& slot = slot_of_object[step.object];
    if (step.op == Op::kFree) {
      program.code.push_back(pack(step.op, slot));
      free_slots.push_back(slot);
      live_bytes -= lives.bytes[step.object];
      continue;
    }
    if (step.op == Op::kRealloc) {
      slot = slot_of_object[step.old];
      live_bytes -= lives.bytes[step.old];
    } else if (!free_slots.empty()) {
      slot = free_slots.back();
      free_slots.pop_back();
    } else {
      slot = info.slots++;
    }
    const uint32_t link = linker.link_of(step.object);
    program.code.push_back(pack(step.op, slot));
    program.code.push_back(link == Linker::kNobody ? kNoLink : slot_of_object[link]);
    program.code.push_back(lives.bytes[step.object]);
    info.links += link == Linker::kNobody ? 0 : 1;
    linker.add(step.object);
    live_bytes += lives.bytes[step.object];
    info.allocated_bytes += lives.bytes[step.object];
    info.peak_bytes = std::max(info.peak_bytes, live_bytes);
  }
  info.words = program.code.size();
  return program;
}

}  // namespace bench::replay
