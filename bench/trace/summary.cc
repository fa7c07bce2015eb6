#include "bench/trace/summary.h"

#include <algorithm>
#include <bit>
#include <set>

namespace bench::trace {

Summary summarize(Reader& reader) {
  Summary summary;
  std::vector<uint64_t> sizes;
  std::set<uint32_t> threads;
  uint64_t live_objects = 0;
  uint64_t live_bytes = 0;
  for (Event event; reader.next(event);) {
    ++summary.events;
    ++summary.by_kind[static_cast<size_t>(event.kind)];
    threads.insert(event.thread);
    if (event.kind == Kind::kMark) summary.marks.push_back(event.text);
    uint64_t ended = kNullObject;
    if (event.kind == Kind::kFree || event.kind == Kind::kDeath) ended = event.object;
    if (event.kind == Kind::kRealloc) ended = event.target;
    if (ended != kNullObject) {
      --live_objects;
      live_bytes -= sizes[ended];
    }
    if (!makes_object(event.kind)) continue;
    uint64_t bytes = event.amount;
    if (event.kind == Kind::kAllocTyped) bytes *= reader.type(event.number)->bytes;
    sizes.push_back(bytes);
    ++live_objects;
    live_bytes += bytes;
    summary.allocated_bytes += bytes;
    summary.peak_objects = std::max(summary.peak_objects, live_objects);
    summary.peak_bytes = std::max(summary.peak_bytes, live_bytes);
    const auto sixteens =
        static_cast<size_t>(std::bit_width((std::max<uint64_t>(bytes, 1) - 1) / 16));
    ++summary.by_size[std::min(sixteens, summary.by_size.size() - 1)];
  }
  summary.objects = sizes.size();
  summary.survivors = live_objects;
  summary.threads = threads.size();
  return summary;
}

}  // namespace bench::trace
