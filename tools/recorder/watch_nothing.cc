// The recorder that is preloaded under malloc: it sees no references.

#include "bench/trace/format.h"
#include "tools/recorder/watch.h"

namespace tools::recorder::watch {

const char kName[] = "malloc";
const uint32_t kFlags = bench::trace::kHasFrees;
const bool kFreesByReuse = true;
const bool kCopiesReallocs = false;

void take_turn() {}
void end_turn() {}
void began(const void*, size_t, uint64_t, bool) {}
void ended(const void*) {}
void forget_all() {}

}  // namespace tools::recorder::watch
