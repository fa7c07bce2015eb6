// The recorder of programs that were compiled with hooks at their stores.
//
// [stores.roots]  a word outside every block that refers to one is a root. One on a stack is cleared
//                 when the function that it belongs to returns.

#include "tools/recorder/watch_stores.h"

#include <pthread.h>
#include <sys/mman.h>

#include "bench/trace/format.h"
#include "tools/recorder/recorder.h"
#include "tools/recorder/references.h"
#include "tools/recorder/watch.h"

namespace tools::recorder {

namespace watch {

const char kName[] = "stores";
const uint32_t kFlags =
    bench::trace::kHasFrees | bench::trace::kHasStores | bench::trace::kHasRoots;
const bool kFreesByReuse = true;
const bool kCopiesReallocs = true;

}  // namespace watch

namespace {

constexpr size_t kMostPending = 16;
constexpr size_t kMostFrames = 1 << 16;
constexpr size_t kMostRoots = 1 << 16;

pthread_mutex_t turn_lock = PTHREAD_MUTEX_INITIALIZER;

// Deeper frames and more roots than fit are not followed; such roots stay.
struct ThreadState {
  struct Write {
    uintptr_t address;
    size_t bytes;
  };
  Write pending[kMostPending];
  size_t writes;
  size_t turns;  // nested
  size_t depth;
  size_t roots;
  uintptr_t frame[kMostFrames];  // lowest address of each function's frame
  uintptr_t root[kMostRoots];    // on this stack
};

// Initial-exec storage: reaching it never allocates.
__thread ThreadState* my_state = nullptr;

ThreadState* state_of_thread() {
  if (my_state != nullptr) return my_state;
  void* const pages = mmap(nullptr, sizeof(ThreadState), PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (pages != MAP_FAILED) my_state = static_cast<ThreadState*>(pages);
  return my_state;
}

void record_range(ThreadState& state, uintptr_t address, size_t bytes) {
  // A word so near above this frame lies on this stack.
  constexpr uintptr_t kNear = 1 << 20;
  const auto here = reinterpret_cast<uintptr_t>(__builtin_frame_address(0));
  for (uintptr_t word = address & ~uintptr_t{7}; word < address + bytes; word += 8) {
    if (!record_word(word)) continue;
    if (word - here < kNear && state.roots < kMostRoots) state.root[state.roots++] = word;
  }
}

void settle(ThreadState& state) {
  for (size_t i = 0; i < state.writes; ++i) {
    record_range(state, state.pending[i].address, state.pending[i].bytes);
  }
  state.writes = 0;
}

}  // namespace

namespace watch {

void take_turn() {
  ThreadState* const state = state_of_thread();
  if (state == nullptr || state->turns++ != 0) return;
  pthread_mutex_lock(&turn_lock);
  if (is_recording()) settle(*state);
}

void end_turn() {
  ThreadState* const state = state_of_thread();
  if (state != nullptr && --state->turns == 0) pthread_mutex_unlock(&turn_lock);
}

void began(const void* block, size_t bytes, uint64_t ticket, bool may_refer) {
  block_map().add(reinterpret_cast<uintptr_t>(block), bytes, ticket, may_refer);
}
void ended(const void* block) { block_map().remove(reinterpret_cast<uintptr_t>(block)); }
void forget_all() { block_map().clear(); }

}  // namespace watch

void will_write(const void* address, size_t bytes) {
  if (!is_recording()) return;
  ThreadState* const state = state_of_thread();
  if (state == nullptr || state->turns != 0) return;
  const watch::Turn turn;
  state->pending[0] = {reinterpret_cast<uintptr_t>(address), bytes};
  state->writes = 1;
}

void did_write(const void* address, size_t bytes) {
  if (!is_recording()) return;
  ThreadState* const state = state_of_thread();
  if (state == nullptr || state->turns != 0) return;
  const watch::Turn turn;
  record_range(*state, reinterpret_cast<uintptr_t>(address), bytes);
}

// Frames below this one were left without a hook, by an exception or a longjmp.
void function_entered(const void* stack) {
  ThreadState* const state = state_of_thread();
  if (state == nullptr) return;
  const auto frame = reinterpret_cast<uintptr_t>(stack);
  while (state->depth > 0 && state->depth <= kMostFrames &&
         state->frame[state->depth - 1] <= frame) {
    --state->depth;
  }
  if (state->depth < kMostFrames) state->frame[state->depth] = frame;
  ++state->depth;
}

// [stores.roots]
void function_left() {
  ThreadState* const state = state_of_thread();
  if (state == nullptr || state->depth == 0) return;
  --state->depth;
  if ((state->writes == 0 && state->roots == 0) || !is_recording() || state->turns != 0) return;
  const watch::Turn turn;
  if (state->depth == 0 || state->depth > kMostFrames) return;
  const uintptr_t left = state->frame[state->depth - 1];
  size_t kept = 0;
  for (size_t i = 0; i < state->roots; ++i) {
    if (state->root[i] < left) {
      record_root_end(state->root[i]);
    } else {
      state->root[kept++] = state->root[i];
    }
  }
  state->roots = kept;
}

}  // namespace tools::recorder
