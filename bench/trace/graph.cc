#include "bench/trace/graph.h"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_map>

#include "bench/trace/error.h"

namespace bench::trace {
namespace {

constexpr uint64_t kMaxObjects = (uint64_t{1} << 28) - 1;
constexpr uint64_t kMaxSlot = ~uint32_t{0};

class GraphBuilder {
 public:
  explicit GraphBuilder(Reader& reader) : reader_(reader) {}

  Graph build() {
    for (Event event; reader_.next(event);) {
      ticket_ = event.ticket;
      add(event);
    }
    propagate();
    for (const Death& death : deaths_) {
      const uint64_t end = graph_.objects[death.object].end;
      if (end == kNever || end >= death.steps) {
        throw TraceError(
            reader_.name(),
            fmt::format(
                "expected object {} to be unreachable at its recorded death (event {}), something "
                "leads to it still",
                death.object, death.ticket));
      }
    }
    graph_.recorded_deaths = deaths_.size();
    return std::move(graph_);
  }

 private:
  struct Death {
    uint32_t object;
    uint64_t steps;  // before it
    uint64_t ticket;
  };

  static uint32_t name(uint64_t object) {
    return object == kNullObject ? kNobody : static_cast<uint32_t>(object);
  }

  void add(const Event& event) {
    switch (event.kind) {
      case Kind::kAlloc:
      case Kind::kAllocZeroed:
      case Kind::kAllocAligned:
      case Kind::kAllocTyped:
        allocate(event);
        break;
      case Kind::kRealloc:
        allocate(event);
        move_fields(event);
        break;
      case Kind::kFree:
        step({GraphStep::Kind::kUse, event.thread, name(event.object), 0, kNobody, kNobody, 0});
        break;
      case Kind::kStore:
        store(event.thread, name(event.object), event.number, name(event.target));
        break;
      case Kind::kRootSet:
        set_root(event.thread, event.number, name(event.target));
        break;
      case Kind::kRootClear:
        set_root(event.thread, event.number, kNobody);
        break;
      case Kind::kDeath:
        deaths_.push_back({name(event.object), graph_.steps.size(), event.ticket});
        graph_.objects[event.object].end = graph_.steps.size() - 1;
        break;
      default:
        break;
    }
  }

  void allocate(const Event& event) {
    if (event.object > kMaxObjects) reader_.fail("expected at most 2^28 objects");
    GraphObject object;
    object.bytes = event.amount;
    object.birth = graph_.steps.size();
    if (event.kind == Kind::kAllocTyped) {
      const TypeInfo& type = *reader_.type(event.number);
      object.bytes *= type.bytes;
      object.type = static_cast<uint32_t>(event.number);
      if (event.amount > ~uint32_t{0}) reader_.fail("expected an array of at most 2^32 elements");
      object.length = static_cast<uint32_t>(event.amount);
      object.may_refer = std::find(type.mask.begin(), type.mask.end(), true) != type.mask.end();
    }
    graph_.objects.push_back(object);
    slots_.emplace_back();
    step({GraphStep::Kind::kAlloc, event.thread, name(event.object), 0, kNobody, kNobody, 0});
  }

  // [graph.realloc]
  void move_fields(const Event& event) {
    const uint32_t old = name(event.target);
    step({GraphStep::Kind::kUse, event.thread, old, 0, kNobody, kNobody, 0});
    for (const uint32_t slot : slots_[old]) {
      const uint32_t target = fields_.get(old, slot);
      if (target != kNobody && uint64_t{slot} * 8 + 8 <= event.amount) {
        store(event.thread, name(event.object), slot, target);
      }
    }
  }

  void store(uint32_t thread, uint32_t object, uint64_t slot, uint32_t target) {
    if (slot > kMaxSlot || slot * 8 + 8 > graph_.objects[object].bytes) {
      reader_.fail(fmt::format("expected a word inside the object of {} bytes, found word {}",
                               graph_.objects[object].bytes, slot));
    }
    const auto word = static_cast<uint32_t>(slot);
    bool is_new = false;
    const uint32_t before = fields_.set(object, word, target, is_new);
    if (is_new) slots_[object].push_back(word);
    if (before == kNobody && target == kNobody) return;
    graph_.objects[object].may_refer = true;
    step({GraphStep::Kind::kStore, thread, object, word, target, before, 0});
  }

  void set_root(uint32_t thread, uint64_t number, uint32_t target) {
    const auto [found, is_new] = root_numbers_.emplace(number, graph_.roots);
    if (is_new) {
      ++graph_.roots;
      roots_.push_back(kNobody);
    }
    const uint32_t before = std::exchange(roots_[found->second], target);
    if (before == kNobody && target == kNobody) return;
    step({GraphStep::Kind::kRoot, thread, kNobody, found->second, target, before, 0});
  }

  void step(GraphStep step) {
    step.ticket = ticket_;
    const uint64_t now = graph_.steps.size();
    for (const uint32_t object : {step.object, step.target, step.before}) {
      if (object != kNobody) graph_.objects[object].end = now;
    }
    graph_.steps.push_back(step);
  }

  // [graph.end]
  void propagate() {
    std::vector<GraphObject>& objects = graph_.objects;
    for (const uint32_t target : roots_) {
      if (target != kNobody) objects[target].end = kNever;
    }
    std::vector<uint32_t> order(objects.size());
    for (uint32_t i = 0; i < order.size(); ++i) order[i] = i;
    std::sort(order.begin(), order.end(),
              [&](uint32_t a, uint32_t b) { return objects[a].end > objects[b].end; });
    // In this order the first stamp that reaches an object is the latest one.
    std::vector<bool> is_done(objects.size());
    std::vector<uint32_t> waiting;
    for (const uint32_t first : order) {
      if (is_done[first]) continue;
      const uint64_t end = objects[first].end;
      is_done[first] = true;
      waiting.push_back(first);
      while (!waiting.empty()) {
        const uint32_t object = waiting.back();
        waiting.pop_back();
        objects[object].end = end;
        for (const uint32_t slot : slots_[object]) {
          const uint32_t target = fields_.get(object, slot);
          if (target == kNobody || is_done[target]) continue;
          is_done[target] = true;
          waiting.push_back(target);
        }
      }
    }
  }

  Reader& reader_;
  Graph graph_;
  uint64_t ticket_ = 0;
  Fields fields_;
  std::vector<std::vector<uint32_t>> slots_;  // that ever referred to something, by object
  std::vector<uint32_t> roots_;
  std::unordered_map<uint64_t, uint32_t> root_numbers_;
  std::vector<Death> deaths_;
};

}  // namespace

Graph read_graph(Reader& reader) {
  constexpr uint32_t kNeeded = kHasStores | kHasRoots;
  if ((reader.flags() & kNeeded) != kNeeded) {
    throw TraceError(reader.name(), 12,
                     "expected a trace with reference stores and roots, this has none");
  }
  return GraphBuilder(reader).build();
}

}  // namespace bench::trace
