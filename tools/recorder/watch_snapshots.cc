// The recorder of programs on Boehm's collector: what refers to what is found by looking, after
// every so many allocations, at everything that the program can reach.
//
// [snapshots.conservative]  a word is a reference when its value is an address inside a block, as it
//                           is for the collector. Roots are the calling thread's registers and stack
//                           and the writable data of every loaded object.
// [snapshots.forgotten]     a block that a snapshot does not reach is forgotten: the collector may
//                           have reclaimed it since, and written into it.
//
// What lives and dies between two snapshots has no references. Other threads' stacks are not looked
// at.

#include <link.h>
#include <pthread.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "bench/trace/format.h"
#include "tools/recorder/output.h"
#include "tools/recorder/recorder.h"
#include "tools/recorder/references.h"
#include "tools/recorder/watch.h"
#include "tools/recorder/watch_snapshots.h"

namespace tools::recorder {
namespace watch {

const char kName[] = "boehm";
const uint32_t kFlags =
    bench::trace::kHasStores | bench::trace::kHasRoots | bench::trace::kHasTypes;
const bool kFreesByReuse = false;
const bool kCopiesReallocs = false;

}  // namespace watch

namespace {

constexpr size_t kMostRanges = 1024;
constexpr size_t kMostPinned = 1 << 16;
constexpr uint64_t kDefaultDistance = 10'000;

struct Range {
  uintptr_t from;
  uintptr_t to;
};

pthread_mutex_t turn_lock = PTHREAD_MUTEX_INITIALIZER;
__thread unsigned turns = 0;

uint64_t distance = 0;  // allocations between snapshots; 0: not known yet
uint64_t since_last = 0;
Range ranges[kMostRanges];
size_t range_count = 0;
// Stack words below this one were looked at last time and may hold roots that are gone.
uintptr_t deepest = ~uintptr_t{0};

uintptr_t pinned[kMostPinned];
size_t pinned_count = 0;

uint32_t* reached = nullptr;  // block numbers, a stack
size_t reached_count = 0;
size_t reached_capacity = 0;

// The collector's own data lead to its free lists, and are no roots for it either.
int add_data(dl_phdr_info* info, size_t, void*) {
  if (strstr(info->dlpi_name, "libgc.so") != nullptr) return 0;
  for (int i = 0; i < info->dlpi_phnum && range_count < kMostRanges; ++i) {
    const ElfW(Phdr)& part = info->dlpi_phdr[i];
    if (part.p_type != PT_LOAD || (part.p_flags & PF_W) == 0) continue;
    const uintptr_t from = info->dlpi_addr + part.p_vaddr;
    const auto here = reinterpret_cast<uintptr_t>(&turn_lock);
    if (here - from < part.p_memsz) continue;  // the recorder's own
    ranges[range_count++] = {(from + 7) & ~uintptr_t{7}, from + part.p_memsz};
  }
  return 0;
}

Range own_stack() {
  static __thread uintptr_t high = 0;
  if (high == 0) {
    pthread_attr_t attributes;
    if (pthread_getattr_np(pthread_self(), &attributes) != 0) return {0, 0};
    void* low = nullptr;
    size_t size = 0;
    pthread_attr_getstack(&attributes, &low, &size);
    pthread_attr_destroy(&attributes);
    high = reinterpret_cast<uintptr_t>(low) + size;
  }
  return {reinterpret_cast<uintptr_t>(__builtin_frame_address(0)) & ~uintptr_t{7}, high};
}

void reach(uintptr_t value) {
  BlockMap::Block* const block = block_map().find(value);
  if (block == nullptr || block->is_reached) return;
  block->is_reached = true;
  if (!block->may_refer) return;
  if (reached_count == reached_capacity) {
    const size_t larger = std::max<size_t>(2 * reached_capacity, 1 << 16);
    void* const pages = mmap(nullptr, larger * sizeof *reached, PROT_READ | PROT_WRITE,
                             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (pages == MAP_FAILED) return;
    if (reached != nullptr) {
      memcpy(pages, reached, reached_count * sizeof *reached);
      munmap(reached, reached_capacity * sizeof *reached);
    }
    reached = static_cast<uint32_t*>(pages);
    reached_capacity = larger;
  }
  reached[reached_count++] = static_cast<uint32_t>(block - &block_map().at(0));
}

void reach_from(Range range) {
  for (uintptr_t at = range.from; at + 8 <= range.to; at += 8) {
    reach(*reinterpret_cast<const volatile uintptr_t*>(at));
  }
}

void reach_all() {
  while (reached_count > 0) {
    const BlockMap::Block& block = block_map().at(reached[--reached_count]);
    reach_from({block.start, block.start + block.bytes});
  }
}

void record_range(Range range) {
  for (uintptr_t at = range.from; at + 8 <= range.to; at += 8) record_word(at);
}

// Registers that a caller left in use are saved in this frame.
__attribute__((noinline)) void take_snapshot() {
  __builtin_unwind_init();
  range_count = 0;
  dl_iterate_phdr(add_data, nullptr);
  const Range stack = own_stack();
  BlockMap& map = block_map();
  for (size_t i = 0; i < range_count; ++i) reach_from(ranges[i]);
  for (size_t i = 0; i < pinned_count; ++i) reach(pinned[i]);
  reach_from(stack);
  reach_all();
  // [snapshots.forgotten] Before anything is recorded, so that no reference to one of them is.
  for (uint32_t number = 1; number <= map.last(); ++number) {
    BlockMap::Block& block = map.at(number);
    if (block.start != 0 && !block.is_reached) map.remove(block.start);
  }
  for (size_t i = 0; i < range_count; ++i) record_range(ranges[i]);
  for (uintptr_t at = deepest; at < stack.from; at += 8) record_root_end(at);
  record_range(stack);
  deepest = stack.from;
  for (uint32_t number = 1; number <= map.last(); ++number) {
    BlockMap::Block& block = map.at(number);
    if (block.start == 0) continue;
    if (block.may_refer) record_range({block.start, block.start + block.bytes});
    block.is_reached = false;
  }
}

uint64_t distance_from_environment() {
  const char* text = getenv("TRICOLOR_TRACE_SNAPSHOT");
  if (text == nullptr) return kDefaultDistance;
  char* end = nullptr;
  const unsigned long long value = strtoull(text, &end, 10);
  if (end == text || *end != '\0' || value == 0) {
    complain("TRICOLOR_TRACE_SNAPSHOT=", text, ": expected a number of allocations, 10000 is used");
    return kDefaultDistance;
  }
  return value;
}

}  // namespace

namespace watch {

void take_turn() {
  if (turns++ == 0) pthread_mutex_lock(&turn_lock);
}

void end_turn() {
  if (--turns == 0) pthread_mutex_unlock(&turn_lock);
}

void began(const void* block, size_t bytes, uint64_t ticket, bool may_refer) {
  block_map().add(reinterpret_cast<uintptr_t>(block), bytes, ticket, may_refer);
  ++since_last;
}
void ended(const void* block) { block_map().remove(reinterpret_cast<uintptr_t>(block)); }
void forget_all() { block_map().clear(); }

}  // namespace watch

void pin(const void* object) {
  const watch::Turn turn;
  const auto address = reinterpret_cast<uintptr_t>(object);
  const BlockMap::Block* const block = block_map().find(address);
  if (block == nullptr || pinned_count == kMostPinned) return;
  pinned[pinned_count++] = address;
  note_reference(Kind::kRootSet, address / 8, 0, block->ticket);
}

void unpin(const void* object) {
  const watch::Turn turn;
  const auto address = reinterpret_cast<uintptr_t>(object);
  uintptr_t* const end = pinned + pinned_count;
  uintptr_t* const at = std::find(pinned, end, address);
  if (at == end) return;
  *at = pinned[--pinned_count];
  note_reference(Kind::kRootClear, address / 8, 0, kNoTicket);
}

bool may_refer(const void* object) {
  const watch::Turn turn;
  const BlockMap::Block* const block = block_map().find(reinterpret_cast<uintptr_t>(object));
  return block == nullptr || block->may_refer;
}

void snapshot_if_due() {
  const watch::Turn turn;
  if (distance == 0) distance = distance_from_environment();
  if (since_last < distance || turns != 1) return;
  since_last = 0;
  take_snapshot();
}

}  // namespace tools::recorder
