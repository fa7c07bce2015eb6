#include "observe/profile.h"

#include <algorithm>
#include <cmath>

#include "gc/options.h"
#include "observe/output.h"
#include "observe/pprof.h"
#include "observe/samples.h"
#include "observe/types.h"
#include "runtime/base/check.h"
#include "runtime/thread.h"

#include <tricolor/profile.hpp>

namespace tricolor::observe {

namespace {

struct Totals {
  double allocated = 0;
  double in_use = 0;
};

uint64_t relaxed(const std::atomic<uint64_t>& count) noexcept {
  return count.load(std::memory_order_relaxed);
}

// [samples.epochs] What no cycle has decided about yet counts as allocated where that is asked for,
// and as alive where there has been no cycle at all.
Totals totals_of(const Site& site, bool until_now, bool any_cycle, int64_t rate) noexcept {
  uint64_t allocated = relaxed(site.done.allocated);
  uint64_t freed = relaxed(site.done.freed);
  const uint64_t decided = allocated;
  uint64_t pending = 0;
  uint64_t pending_freed = 0;
  for (const Counts& counts : site.pending) {
    pending += relaxed(counts.allocated);
    pending_freed += relaxed(counts.freed);
  }
  if (until_now || !any_cycle) allocated += pending;
  if (!any_cycle) freed += pending_freed;
  const uint64_t born = any_cycle ? decided : allocated;
  const uint64_t in_use = born - std::min(freed, born);
  const double scale = objects_per_sample(site.size, rate);
  return {static_cast<double>(allocated) * scale, static_cast<double>(in_use) * scale};
}

Pprof::StringLabels labels_of(const Site& site) {
  Pprof::StringLabels labels;
  for (const Labels::Set* set = site.labels; set != nullptr; set = set->outer) {
    const bool hidden = std::any_of(labels.begin(), labels.end(),
                                    [&](const auto& label) { return label.first == set->key; });
    if (!hidden) labels.emplace_back(set->key, set->value);
  }
  if (const TypeInfo* const type = g_known_types.type(site.type))
    labels.emplace_back("type", type->name);
  return labels;
}

std::string profile(bool until_now) {
  runtime::Thread::attached();  // the options are read
  const int64_t rate = gc::options().memprofilerate;
  Pprof out({{"alloc_objects", "count"},
             {"alloc_space", "bytes"},
             {"inuse_objects", "count"},
             {"inuse_space", "bytes"}},
            {"space", "bytes"}, rate);
  out.set_default_type(until_now ? "alloc_space" : "inuse_space");
  if (rate == 0) out.add_comment("GODEBUG=memprofilerate=0: nothing was sampled");
  if (g_samples.lost() != 0)
    out.add_comment(std::to_string(g_samples.lost()) + " samples found no room and are not in it");
  const bool any_cycle = g_samples.any_cycle();
  g_samples.for_each_site([&](const Site& site) {
    const Totals totals = totals_of(site, until_now, any_cycle, rate);
    if (totals.allocated == 0 && totals.in_use == 0) return;
    const auto size = static_cast<double>(site.size);
    out.add(site.frames(), site.depth,
            {std::llround(totals.allocated), std::llround(totals.allocated * size),
             std::llround(totals.in_use), std::llround(totals.in_use * size)},
            labels_of(site), static_cast<int64_t>(site.size));
  });
  return out.finish();
}

}  // namespace

// A cell of `size` bytes is sampled with probability 1 - e^(-size / rate).
double objects_per_sample(uint64_t size, int64_t rate) noexcept {
  if (rate <= 1) return 1;
  return -1 / std::expm1(-static_cast<double>(size) / static_cast<double>(rate));
}

std::string heap_profile() { return profile(false); }
std::string alloc_profile() { return profile(true); }

}  // namespace tricolor::observe

namespace tricolor::debug {

bool write_heap_profile(const std::string& path) {
  return observe::write_made("write_heap_profile", path, observe::heap_profile);
}

bool write_alloc_profile(const std::string& path) {
  return observe::write_made("write_alloc_profile", path, observe::alloc_profile);
}

bool lifetime_report(const std::string& path) {
  return observe::write_made("lifetime_report", path,
                             [&] { return observe::lifetimes(path.ends_with(".html")); });
}

}  // namespace tricolor::debug
