#include "bench/replay/graph_program.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <map>
#include <span>
#include <utility>
#include <vector>

#include "bench/replay/anchors.h"
#include "bench/replay/lanes.h"
#include "bench/trace/error.h"

namespace bench::replay {
namespace {

using trace::Graph;
using trace::GraphObject;
using trace::GraphStep;
using trace::kNever;
using trace::kNobody;
static_assert(kNobody == kNone);

// Which words of an object hold references, as far as the replay cares.
struct Use {
  uint32_t tag_word = kNone;  // the first word that never does
  uint32_t data_from = 0;     // no word from here on does
  bool is_leaf = false;
};

std::vector<Use> uses_of(const Graph& graph) {
  constexpr uint32_t kSearched = 64;  // words among which a place for the tag is looked for
  std::vector<Use> uses(graph.objects.size());
  std::vector<uint64_t> used(graph.objects.size());
  for (const GraphStep& step : graph.steps) {
    if (step.kind != GraphStep::Kind::kStore) continue;
    Use& use = uses[step.object];
    use.data_from = std::max(use.data_from, step.slot + 1);
    if (step.slot < kSearched) used[step.object] |= uint64_t{1} << step.slot;
  }
  for (size_t i = 0; i < uses.size(); ++i) {
    Use& use = uses[i];
    use.is_leaf = !graph.objects[i].may_refer;
    const auto tag = static_cast<uint32_t>(std::countr_one(used[i]));
    if (tag < kSearched && tag < graph.objects[i].bytes / 8) use.tag_word = tag;
  }
  return uses;
}

class GraphCompiler {
 public:
  GraphCompiler(const Graph& graph, bool is_parallel, const std::string& trace)
      : graph_(graph),
        is_parallel_(is_parallel),
        uses_(uses_of(graph)),
        lane_of_thread_(lanes()),
        writer_(checked_lanes(trace), graph.objects.size() + graph.roots),
        anchors_(graph.objects.size()),
        name_of_(graph.objects.size(), kNone),
        held_in_(graph.objects.size(), kNone),
        root_holds_(graph.roots, kNone),
        free_names_(count_lanes()),
        free_registers_(count_lanes()),
        windows_(count_lanes(), std::vector<uint32_t>(kWindow, kNone)) {
    program_.info.registers = graph.roots;
    program_.info.is_graph = 1;
    program_.info.allocations = graph.objects.size();
    for (uint32_t i = 0; i < graph.objects.size(); ++i) {
      if (graph.objects[i].end != kNever) by_end_.push_back(i);
    }
    std::sort(by_end_.begin(), by_end_.end(), [&](uint32_t a, uint32_t b) {
      const uint64_t end_a = graph_.objects[a].end;
      const uint64_t end_b = graph_.objects[b].end;
      return end_a != end_b ? end_a < end_b : a > b;
    });
  }

  CompiledProgram compile() {
    for (now_ = 0; now_ < graph_.steps.size(); ++now_) run(graph_.steps[now_]);
    end_survivors();
    writer_.finish(program_);
    return std::move(program_);
  }

 private:
  std::map<uint32_t, uint32_t> lanes() const {
    ThreadSpans spans;
    for (size_t i = 0; i < graph_.steps.size(); ++i) {
      spans.note(is_parallel_ ? graph_.steps[i].thread : 0, i);
    }
    return spans.lanes();
  }
  uint32_t count_lanes() const {
    uint32_t count = 1;
    for (const auto& [thread, lane] : lane_of_thread_) count = std::max(count, lane + 1);
    return count;
  }

  uint32_t checked_lanes(const std::string& trace) const {
    check_lanes(count_lanes(), trace);
    return count_lanes();
  }

  static bool names(const GraphStep& step, uint32_t object) {
    return object == step.object || object == step.target;
  }
  bool is_dying(uint32_t object) const { return graph_.objects[object].end <= now_; }
  // Lanes that write the same root are ordered as if it were an object.
  uint32_t as_object(uint32_t root) const {
    return static_cast<uint32_t>(graph_.objects.size()) + root;
  }
  uint32_t name(uint32_t object) const { return object == kNone ? kNone : name_of_[object]; }

  // The order of what is written for a step: registers for what loses its anchor and lives on; the
  // ends of what dies and is not named; the step; the ends of what it names; registers given back.
  void run(const GraphStep& step) {
    lane_ = is_parallel_ ? lane_of_thread_.at(step.thread) : 0;
    const size_t first = next_end_;
    while (next_end_ < by_end_.size() && graph_.objects[by_end_[next_end_]].end == now_) {
      ++next_end_;
    }
    const std::span<const uint32_t> dying(by_end_.data() + first, next_end_ - first);

    if (!is_parallel_) {
      for (const uint32_t object : dying) save_children(object);
      if (step.kind == GraphStep::Kind::kAlloc) save_from_window();
      if (step.kind == GraphStep::Kind::kStore || step.kind == GraphStep::Kind::kRoot) {
        save_overwritten(step);
      }
    }
    for (const uint32_t object : dying) {
      if (!names(step, object)) end(object);
    }
    emit(step);
    for (const uint32_t object : dying) {
      if (names(step, object)) end(object);
    }
    for (const uint32_t object : dying) {
      release(object);
      anchors_.forget(object);
      free_names_[lane_].push_back(name_of_[object]);
    }
  }

  void emit(const GraphStep& step) {
    switch (step.kind) {
      case GraphStep::Kind::kAlloc:
        allocate(step.object);
        break;
      case GraphStep::Kind::kStore:
        ++program_.info.stores;
        writer_.add(lane_, {step.object, step.target, step.before},
                    {pack(Op::kStore, name(step.object)), step.slot, name(step.target)});
        break;
      case GraphStep::Kind::kRoot:
        ++program_.info.stores;
        root_holds_[step.slot] = step.target;
        writer_.add(lane_, {step.target, step.before, as_object(step.slot)},
                    {pack(Op::kRoot, step.slot), name(step.target)});
        break;
      case GraphStep::Kind::kUse:
        break;
    }
    if (is_parallel_ || step.target == kNone) return;
    if (step.kind == GraphStep::Kind::kStore) {
      fields_.set(step.object, step.slot, step.target, ignored_);
      if (!is_dying(step.object)) hang(step.target, {Anchor::Kind::kField, step.object, step.slot});
    } else {
      hang(step.target, {Anchor::Kind::kRoot, step.slot, 0});
    }
  }

  void allocate(uint32_t object) {
    const GraphObject& recorded = graph_.objects[object];
    const Use& use = uses_[object];
    std::vector<uint32_t>& free_names = free_names_[lane_];
    uint32_t& name = name_of_[object];
    if (free_names.empty()) {
      name = program_.info.names++;
    } else {
      name = free_names.back();
      free_names.pop_back();
    }
    const auto bytes = static_cast<uint32_t>(recorded.bytes);
    if (!is_parallel_) {
      windows_[lane_][writer_.allocations(lane_) % kWindow] = object;
      anchors_.set(object, {Anchor::Kind::kNewest, kNobody, 0});
    }
    if (use.is_leaf) {
      writer_.add(lane_, {object}, {pack(Op::kNewLeaf, name), bytes});
    } else {
      writer_.add(lane_, {object}, {pack(Op::kNew, name), bytes, use.tag_word, use.data_from});
    }
    if (is_parallel_) hold(object);
    program_.info.allocated_bytes += bytes;
    live_bytes_ += bytes;
    program_.info.peak_bytes = std::max(program_.info.peak_bytes, live_bytes_);
  }

  void end(uint32_t object) {
    const Use& use = uses_[object];
    const auto bytes = static_cast<uint32_t>(graph_.objects[object].bytes);
    const uint32_t leaf_tag = bytes >= 8 ? 0 : kNone;
    writer_.add(lane_, {object},
                {pack(Op::kEnd, name_of_[object]), use.is_leaf ? leaf_tag : use.tag_word, bytes});
    live_bytes_ -= bytes;
  }

  // The object is referred to by `anchor` from now on.
  void hang(uint32_t object, const Anchor& anchor) {
    if (anchors_.offer(object, anchor)) release(object);
  }

  // [program.anchored] A register holds the object from now on.
  void hold(uint32_t object) {
    std::vector<uint32_t>& free_registers = free_registers_[lane_];
    uint32_t& number = held_in_[object];
    if (free_registers.empty()) {
      number = program_.info.registers++;
    } else {
      number = free_registers.back();
      free_registers.pop_back();
    }
    if (!is_parallel_) ++program_.info.held;
    anchors_.set(object, {Anchor::Kind::kRegister, number, 0});
    writer_.add(lane_, {object}, {pack(Op::kRoot, number), name_of_[object]});
  }
  void release(uint32_t object) {
    uint32_t& number = held_in_[object];
    if (number == kNone) return;
    writer_.add(lane_, {object}, {pack(Op::kRoot, number), kNone});
    free_registers_[lane_].push_back(number);
    number = kNone;
  }

  // The object's anchor is about to go: takes the spare one, or a register.
  void save(uint32_t object, const Anchor& lost) {
    if (is_dying(object)) return;
    // Objects are numbered in the order of their allocation.
    if (object + kWindow > writer_.allocations(lane_)) {
      anchors_.set(object, {Anchor::Kind::kNewest, kNobody, 0});
      return;
    }
    const Anchor spare = anchors_.spare(object);
    bool is_there = false;
    if (spare.kind == Anchor::Kind::kField) {
      is_there = fields_.get(spare.from, spare.slot) == object && !is_dying(spare.from);
    } else if (spare.kind == Anchor::Kind::kRoot) {
      is_there = root_holds_[spare.from] == object;
    }
    if (is_there && !(spare == lost) && anchors_.is_safe(object, spare)) {
      anchors_.set(object, spare);
    } else {
      hold(object);
    }
  }

  void save_children(uint32_t object) {
    const std::vector<uint32_t> children = anchors_.children(object);
    for (const uint32_t child : children) save(child, anchors_.of(child));
  }

  // The oldest object of the window falls out of it with this allocation.
  void save_from_window() {
    const uint32_t oldest = windows_[lane_][writer_.allocations(lane_) % kWindow];
    if (oldest != kNone && anchors_.of(oldest).kind == Anchor::Kind::kNewest) {
      save(oldest, anchors_.of(oldest));
    }
  }

  void save_overwritten(const GraphStep& step) {
    const Anchor gone = step.kind == GraphStep::Kind::kStore
                            ? Anchor{Anchor::Kind::kField, step.object, step.slot}
                            : Anchor{Anchor::Kind::kRoot, step.slot, 0};
    if (gone.kind == Anchor::Kind::kField) {
      fields_.set(step.object, step.slot, kNobody, ignored_);
    }
    if (step.before != kNobody && step.before != step.target && anchors_.of(step.before) == gone) {
      save(step.before, gone);
    }
  }

  void end_survivors() {
    lane_ = 0;
    for (auto object = static_cast<uint32_t>(graph_.objects.size()); object-- > 0;) {
      if (graph_.objects[object].end == kNever) end(object);
    }
    for (uint32_t object = 0; object < graph_.objects.size(); ++object) release(object);
    for (uint32_t root = 0; root < graph_.roots; ++root) {
      if (root_holds_[root] == kNone) continue;
      writer_.add(lane_, {root_holds_[root], as_object(root)}, {pack(Op::kRoot, root), kNone});
    }
  }

  const Graph& graph_;
  bool is_parallel_;
  std::vector<Use> uses_;
  std::map<uint32_t, uint32_t> lane_of_thread_;
  CompiledProgram program_;
  LaneWriter writer_;
  Anchors anchors_;
  trace::Fields fields_;
  std::vector<uint32_t> name_of_;
  std::vector<uint32_t> held_in_;  // register by object
  std::vector<uint32_t> root_holds_;
  std::vector<std::vector<uint32_t>> free_names_;      // by lane
  std::vector<std::vector<uint32_t>> free_registers_;  // by lane
  std::vector<std::vector<uint32_t>> windows_;         // by lane
  std::vector<uint32_t> by_end_;
  size_t next_end_ = 0;
  uint64_t now_ = 0;
  uint32_t lane_ = 0;
  uint64_t live_bytes_ = 0;
  bool ignored_ = false;
};

}  // namespace

CompiledProgram compile_graph(const Graph& graph, bool is_parallel, const std::string& trace) {
  for (size_t i = 0; i < graph.objects.size(); ++i) {
    if (graph.objects[i].bytes > kMaxBytes) {
      throw trace::TraceError(
          trace, fmt::format("expected objects of at most {} bytes to replay, object {} has {}",
                             kMaxBytes, i, graph.objects[i].bytes));
    }
  }
  return GraphCompiler(graph, is_parallel, trace).compile();
}

}  // namespace bench::replay
