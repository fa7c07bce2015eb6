#include "bench/trace/deaths.h"

#include <algorithm>
#include <utility>

namespace bench::trace {
namespace {

class DeathWriter {
 public:
  DeathWriter(const Graph& graph, Writer& writer)
      : graph_(graph), writer_(writer), tickets_(graph.objects.size()) {
    for (uint32_t i = 0; i < graph.objects.size(); ++i) {
      if (graph.objects[i].end != kNever) by_end_.push_back(i);
    }
    std::sort(by_end_.begin(), by_end_.end(), [&](uint32_t a, uint32_t b) {
      const uint64_t end_a = graph_.objects[a].end;
      const uint64_t end_b = graph_.objects[b].end;
      return end_a != end_b ? end_a < end_b : a > b;
    });
  }

  void add(const Event& event) {
    for (; at_ < graph_.steps.size() && graph_.steps[at_].ticket == event.ticket; ++at_) {
      write(graph_.steps[at_], event);
      for (; next_ < by_end_.size() && graph_.objects[by_end_[next_]].end == at_; ++next_) {
        writer_.death(event.thread, tickets_[by_end_[next_]]);
      }
    }
    copy_plain(event);
  }

 private:
  uint64_t ticket(uint32_t object) const {
    return object == kNobody ? kNullObject : tickets_[object];
  }

  void write(const GraphStep& step, const Event& event) {
    switch (step.kind) {
      case GraphStep::Kind::kAlloc:
        tickets_[step.object] = allocate(event);
        break;
      case GraphStep::Kind::kStore:
        writer_.store(step.thread, tickets_[step.object], step.slot, ticket(step.target));
        break;
      case GraphStep::Kind::kRoot:
        if (event.kind == Kind::kRootClear) {
          writer_.root_clear(step.thread, event.number);
        } else {
          writer_.root_set(step.thread, event.number, ticket(step.target));
        }
        break;
      case GraphStep::Kind::kUse:
        break;
    }
  }

  uint64_t allocate(const Event& event) {
    switch (event.kind) {
      case Kind::kAllocTyped:
        return writer_.alloc_typed(event.thread, event.number, event.amount);
      case Kind::kAllocZeroed:
        return writer_.alloc_zeroed(event.thread, event.amount);
      case Kind::kAllocAligned:
        return writer_.alloc_aligned(event.thread, event.amount, event.align_log2);
      default:
        return writer_.alloc(event.thread, event.amount);
    }
  }

  // Events that do not touch the object graph.
  void copy_plain(const Event& event) {
    switch (event.kind) {
      case Kind::kTypeDef:
        writer_.define_type(event.thread, event.type);
        break;
      case Kind::kThreadStart:
        writer_.thread_start(event.thread, static_cast<uint32_t>(event.number));
        break;
      case Kind::kThreadEnd:
        writer_.thread_end(event.thread);
        break;
      case Kind::kRequestBegin:
        writer_.request_begin(event.thread, event.number);
        break;
      case Kind::kRequestEnd:
        writer_.request_end(event.thread, event.number);
        break;
      case Kind::kMark:
        writer_.mark(event.thread, event.text);
        break;
      default:
        break;
    }
  }

  const Graph& graph_;
  Writer& writer_;
  std::vector<uint64_t> tickets_;  // in the new trace, by object
  std::vector<uint32_t> by_end_;
  size_t at_ = 0;
  size_t next_ = 0;
};

}  // namespace

void write_with_deaths(Reader& reader, const Graph& graph, std::ostream& out,
                       Writer::Options options) {
  options.flags = (reader.flags() & ~uint32_t{kHasFrees}) | kHasDeaths;
  options.text = reader.text();
  Writer writer(out, options);
  DeathWriter deaths(graph, writer);
  for (Event event; reader.next(event);) deaths.add(event);
  writer.finish();
}

}  // namespace bench::trace
