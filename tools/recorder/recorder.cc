#include "tools/recorder/recorder.h"

#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zstd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>

#include "bench/trace/encode.h"
#include "tools/recorder/address_table.h"
#include "tools/recorder/output.h"
#include "tools/recorder/watch.h"

namespace tools::recorder {
namespace {

using namespace bench::trace;

constexpr size_t kPayloadBytes = 320 * 1024;
constexpr size_t kOrderBytes = 64 * 1024;
constexpr size_t kOperands = 3;  // of the largest event but a mark
constexpr int kDefaultLevel = 3;

struct Lane {
  Lane() : encoder(payload, order) {}
  pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
  uint32_t thread = 0;
  bool is_taken = false;  // guarded by the registry lock
  Lane* next = nullptr;   // guarded by the registry lock
  ChunkEncoder encoder;
  std::byte payload[kPayloadBytes];
  std::byte order[kOrderBytes];
};

enum class State : int {
  kOff,       // not started, stopped by a failure, or ended; to kOn by start() alone
  kOn,        // to kSuspended by suspend() and finish(), to kOff by a failure
  kSuspended  // around exec and while ending; to kOn by resume(), to kOff by finish()
};

// Changed under the registry lock. Read relaxed to skip the work early, and again under a lane's
// lock, which whoever stops the recording takes after the change: no event enters a lane that was
// flushed for the last time.
std::atomic<State> state{State::kOff};
// Both only count, taken under some lane's lock; the reader has taken all of them. Relaxed is
// enough.
std::atomic<uint64_t> next_ticket{0};
std::atomic<uint64_t> objects{0};
std::atomic<uint64_t> unplaced{0};
std::atomic<bool> has_type{false};  // type 1 is defined

pthread_mutex_t registry_lock = PTHREAD_MUTEX_INITIALIZER;
Lane* lanes = nullptr;
Lane* shared_lane = nullptr;  // for threads that have already given theirs back
uint32_t next_thread = 0;
pid_t owner = 0;

// Guarded by output_lock.
pthread_mutex_t output_lock = PTHREAD_MUTEX_INITIALIZER;
Output output;
Footer footer;
ZSTD_CCtx* context = nullptr;
std::byte* packed = nullptr;
size_t packed_capacity = 0;
int level = kDefaultLevel;

AddressTable table;
pthread_key_t exit_key;

// Initial-exec storage: reaching it never allocates.
__thread Lane* my_lane = nullptr;
__thread bool has_given_back = false;
__thread volatile int inside = 0;
__thread bool fork_is_unsafe = false;

// [recorder.unseen] Marks this thread as inside the recorder, keeps errno, and keeps the thread
// from being cancelled while it holds locks (writing is a cancellation point).
class Inside {
 public:
  Inside() : errno_(errno) {
    inside = inside + 1;
    std::atomic_signal_fence(std::memory_order_seq_cst);
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel_state_);
  }
  ~Inside() {
    pthread_setcancelstate(cancel_state_, nullptr);
    std::atomic_signal_fence(std::memory_order_seq_cst);
    inside = inside - 1;
    errno = errno_;
  }
  Inside(const Inside&) = delete;
  Inside& operator=(const Inside&) = delete;

 private:
  int errno_;
  int cancel_state_ = 0;
};

class Locked {
 public:
  explicit Locked(pthread_mutex_t& lock) : lock_(lock) { pthread_mutex_lock(&lock_); }
  ~Locked() { pthread_mutex_unlock(&lock_); }
  Locked(const Locked&) = delete;
  Locked& operator=(const Locked&) = delete;

 private:
  pthread_mutex_t& lock_;
};

bool is_on() { return state.load(std::memory_order_relaxed) == State::kOn; }

bool open_output_locked() {
  if (output.is_created()) return true;
  char text[256];
  const int length = snprintf(text, sizeof text, "recorder=%s\nprogram=%s\n", watch::kName,
                              program_invocation_short_name);
  std::byte header[kFileHeaderBytes + sizeof text + 4];
  const size_t text_bytes = length < 0 ? 0 : std::min(static_cast<size_t>(length), sizeof text - 1);
  encode_file_header(watch::kFlags, text, static_cast<uint32_t>(text_bytes), header);
  return output.create(owner) && output.write(header, kFileHeaderBytes + text_bytes + 4);
}

// The lane's lock is held. A process that is a copy made behind the fork handlers' back (a plain
// clone) must not write into its parent's file and stops here.
void flush_locked(Lane& lane) {
  if (lane.encoder.empty()) return;
  ChunkHeader header;
  header.thread = lane.thread;
  const auto raw = lane.encoder.finish(header);
  const Locked locked(output_lock);
  if (state.load(std::memory_order_relaxed) != State::kOff && getpid() == owner &&
      open_output_locked()) {
    const size_t size = ZSTD_compressCCtx(context, packed + kChunkHeaderBytes, packed_capacity,
                                          raw.data(), raw.size(), level);
    header.packed_bytes = static_cast<uint32_t>(size);
    header.payload_crc = crc32c(packed + kChunkHeaderBytes, size);
    encode_chunk_header(header, packed);
    if (ZSTD_isError(size) != 0) {
      complain("zstd failed; recording stops");
      state.store(State::kOff, std::memory_order_relaxed);
    } else if (output.write(packed, kChunkHeaderBytes + size)) {
      ++footer.chunks;
      footer.events += header.events;
    } else {
      state.store(State::kOff, std::memory_order_relaxed);
    }
  } else {
    state.store(State::kOff, std::memory_order_relaxed);
  }
  lane.encoder.reset();
}

// [recorder.ticket-under-lane] The lane's lock is held; returns the event's ticket.
uint64_t add_locked(Lane& lane, Kind kind, std::initializer_list<uint64_t> operands) {
  if (!lane.encoder.has_room(kOperands)) flush_locked(lane);
  const uint64_t ticket = next_ticket.fetch_add(1, std::memory_order_relaxed);
  lane.encoder.add(ticket, kind, operands);
  return ticket;
}

// The lane's lock is held. An age counts from the ticket, so it is known only once the ticket is
// taken.
uint64_t add_aged_locked(Lane& lane, Kind kind, uint64_t object, const uint64_t* bytes) {
  if (!lane.encoder.has_room(kOperands)) flush_locked(lane);
  const uint64_t ticket = next_ticket.fetch_add(1, std::memory_order_relaxed);
  if (bytes != nullptr) {
    lane.encoder.add(ticket, kind, {ticket - object, *bytes});
  } else {
    lane.encoder.add(ticket, kind, {ticket - object});
  }
  return ticket;
}

Lane* make_lane_locked() {
  void* pages =
      mmap(nullptr, sizeof(Lane), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (pages == MAP_FAILED) {
    complain("no memory for a thread's events; recording stops");
    state.store(State::kOff, std::memory_order_relaxed);
    return nullptr;
  }
  auto* lane = new (pages) Lane;
  lane->next = lanes;
  lanes = lane;
  return lane;
}

// Type 1: bytes without references. The lane's lock is held.
void define_type_locked(Lane& lane) {
  static constexpr char kTypeName[] = "bytes";
  constexpr size_t kLength = sizeof kTypeName - 1;
  if (has_type.exchange(true, std::memory_order_relaxed)) return;
  if (!lane.encoder.has_room(kOperands + 1, kLength)) flush_locked(lane);
  const uint64_t ticket = next_ticket.fetch_add(1, std::memory_order_relaxed);
  lane.encoder.add(ticket, Kind::kTypeDef, {1, 1, 0, kLength});
  lane.encoder.add_bytes(std::as_bytes(std::span(kTypeName, kLength)));
}

// This thread's lane, taken at its first event.
Lane* lane_of_thread() {
  if (my_lane != nullptr) return my_lane;
  Lane* lane = nullptr;
  {
    const Locked locked(registry_lock);
    if (has_given_back) {
      if (shared_lane == nullptr) {
        shared_lane = make_lane_locked();
        if (shared_lane == nullptr) return nullptr;
        shared_lane->is_taken = true;
        shared_lane->thread = next_thread++;
      }
      return shared_lane;
    }
    for (lane = lanes; lane != nullptr && lane->is_taken; lane = lane->next) {
    }
    if (lane == nullptr) lane = make_lane_locked();
    if (lane == nullptr) return nullptr;
    lane->is_taken = true;
    lane->thread = next_thread++;
  }
  my_lane = lane;
  pthread_setspecific(exit_key, lane);
  const Locked locked(lane->lock);
  if (is_on()) add_locked(*lane, Kind::kThreadStart, {0});
  return lane;
}

// Runs when a thread exits. Destructors of other keys may allocate later: those events go to the
// shared lane.
void give_back(void* value) {
  auto* lane = static_cast<Lane*>(value);
  const Inside guard;
  {
    const Locked locked(lane->lock);
    if (is_on()) add_locked(*lane, Kind::kThreadEnd, {});
    flush_locked(*lane);
  }
  my_lane = nullptr;
  has_given_back = true;
  const Locked locked(registry_lock);
  lane->is_taken = false;
}

void flush_all() {
  const Locked locked(registry_lock);
  for (Lane* lane = lanes; lane != nullptr; lane = lane->next) {
    const Locked lane_locked(lane->lock);
    flush_locked(*lane);
  }
}

bool has_file() {
  const Locked locked(output_lock);
  return output.is_created();
}

void write_footer() {
  const Locked locked(output_lock);
  if (state.load(std::memory_order_relaxed) == State::kOff || !output.is_created()) return;
  footer.objects = objects.load(std::memory_order_relaxed);
  footer.unplaced = unplaced.load(std::memory_order_relaxed);
  std::byte bytes[kFooterBytes];
  encode_footer(footer, bytes);
  output.write(bytes, sizeof bytes);
}

void before_fork() {
  // A fork from a signal handler that interrupted the recorder cannot wait for this thread's own
  // locks.
  fork_is_unsafe = inside != 0;
  if (fork_is_unsafe) return;
  watch::take_turn();
  inside = inside + 1;
  pthread_mutex_lock(&registry_lock);
  for (Lane* lane = lanes; lane != nullptr; lane = lane->next) pthread_mutex_lock(&lane->lock);
  pthread_mutex_lock(&output_lock);
  table.lock_all();
}

void release_after_fork() {
  table.unlock_all();
  pthread_mutex_unlock(&output_lock);
  for (Lane* lane = lanes; lane != nullptr; lane = lane->next) pthread_mutex_unlock(&lane->lock);
  pthread_mutex_unlock(&registry_lock);
  inside = inside - 1;
  watch::end_turn();
}

void after_fork_in_parent() {
  if (!fork_is_unsafe) release_after_fork();
}

// The child records a trace of its own, in which the blocks it inherited are unknown.
void after_fork_in_child() {
  owner = getpid();
  if (fork_is_unsafe) {
    state.store(State::kOff, std::memory_order_relaxed);
    return;
  }
  table.clear_locked();
  watch::forget_all();
  has_type.store(false, std::memory_order_relaxed);
  for (Lane* lane = lanes; lane != nullptr; lane = lane->next) {
    lane->encoder.reset();
    lane->is_taken = lane == my_lane;
  }
  shared_lane = nullptr;
  next_ticket.store(0, std::memory_order_relaxed);
  objects.store(0, std::memory_order_relaxed);
  unplaced.store(0, std::memory_order_relaxed);
  footer = Footer{};
  output.become_child(owner);
  next_thread = 1;
  if (my_lane != nullptr) my_lane->thread = 0;
  release_after_fork();
}

}  // namespace

void start() {
  const Inside guard;
  const char* path = getenv("TRICOLOR_TRACE_OUT");
  if (path == nullptr || *path == '\0') {
    complain("TRICOLOR_TRACE_OUT names no file; nothing is recorded");
    return;
  }
  level = level_from_environment(kDefaultLevel);
  owner = getpid();
  context = ZSTD_createCCtx();
  packed_capacity = ZSTD_compressBound(kPayloadBytes);
  void* pages = mmap(nullptr, kChunkHeaderBytes + packed_capacity, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (context == nullptr || pages == MAP_FAILED || pthread_key_create(&exit_key, give_back) != 0 ||
      pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child) != 0) {
    complain("the system lacks memory or thread keys; nothing is recorded");
    return;
  }
  packed = static_cast<std::byte*>(pages);
  const Locked locked(output_lock);
  if (output.set_path(path) && open_output_locked()) {
    state.store(State::kOn, std::memory_order_relaxed);
  }
}

bool is_recording() { return is_on() && inside == 0; }

void note_alloc(Kind kind, const void* block, size_t bytes, unsigned align_log2) {
  const watch::Turn turn;
  const Inside guard;
  Lane* lane = lane_of_thread();
  if (lane == nullptr) return;
  const Locked locked(lane->lock);
  if (!is_on()) return;
  if (kind == Kind::kAllocTyped) define_type_locked(*lane);
  const uint64_t ticket = kind == Kind::kAllocAligned ? add_locked(*lane, kind, {bytes, align_log2})
                          : kind == Kind::kAllocTyped ? add_locked(*lane, kind, {1, bytes})
                                                      : add_locked(*lane, kind, {bytes});
  objects.fetch_add(1, std::memory_order_relaxed);
  bool lost = false;
  const uint64_t before = table.insert(block, ticket, lost);
  // The address is in use again, so its last block was freed where the recorder could not see it.
  if (before != AddressTable::kNone) {
    watch::ended(block);
    if (watch::kFreesByReuse) add_aged_locked(*lane, Kind::kFree, before, nullptr);
  }
  watch::began(block, bytes, ticket, kind != Kind::kAllocTyped);
  if (lost) unplaced.fetch_add(1, std::memory_order_relaxed);
}

void note_free(const void* block) {
  const watch::Turn turn;
  const Inside guard;
  Lane* lane = lane_of_thread();
  if (lane == nullptr) return;
  const Locked locked(lane->lock);
  if (!is_on()) return;
  const uint64_t object = table.remove(block);
  if (object == AddressTable::kNone) {
    unplaced.fetch_add(1, std::memory_order_relaxed);
  } else {
    watch::ended(block);
    add_aged_locked(*lane, Kind::kFree, object, nullptr);
  }
}

void note_reference(Kind kind, uint64_t place, uint64_t slot, uint64_t target) {
  const Inside guard;
  Lane* lane = lane_of_thread();
  if (lane == nullptr) return;
  const Locked locked(lane->lock);
  if (!is_on()) return;
  if (!lane->encoder.has_room(kOperands)) flush_locked(*lane);
  const uint64_t ticket = next_ticket.fetch_add(1, std::memory_order_relaxed);
  const uint64_t age = target == kNoTicket ? 0 : ticket - target;
  if (kind == Kind::kStore) {
    lane->encoder.add(ticket, kind, {ticket - place, slot, age});
  } else if (kind == Kind::kRootSet) {
    lane->encoder.add(ticket, kind, {place, age});
  } else {
    lane->encoder.add(ticket, kind, {place});
  }
}

uint64_t begin_realloc(const void* block) {
  const Inside guard;
  return table.remove(block);
}

void end_realloc(uint64_t before, const void* new_block, size_t bytes) {
  if (before == AddressTable::kNone) {
    unplaced.fetch_add(1, std::memory_order_relaxed);
    note_alloc(Kind::kAlloc, new_block, bytes);
    return;
  }
  const Inside guard;
  Lane* lane = lane_of_thread();
  if (lane == nullptr) return;
  const Locked locked(lane->lock);
  if (!is_on()) return;
  const uint64_t size = bytes;
  const uint64_t ticket = add_aged_locked(*lane, Kind::kRealloc, before, &size);
  objects.fetch_add(1, std::memory_order_relaxed);
  bool lost = false;
  const uint64_t unseen = table.insert(new_block, ticket, lost);
  if (unseen != AddressTable::kNone) add_aged_locked(*lane, Kind::kFree, unseen, nullptr);
  if (lost) unplaced.fetch_add(1, std::memory_order_relaxed);
}

void cancel_realloc(uint64_t before, const void* block) {
  if (before == AddressTable::kNone) return;
  const Inside guard;
  bool lost = false;
  table.insert(block, before, lost);
}

void note_mark(const char* text) {
  const Inside guard;
  Lane* lane = lane_of_thread();
  if (lane == nullptr) return;
  const Locked locked(lane->lock);
  if (!is_on()) return;
  const size_t length = std::min(strlen(text), size_t{kMaxName});
  if (!lane->encoder.has_room(kOperands, length)) flush_locked(*lane);
  lane->encoder.add(next_ticket.fetch_add(1, std::memory_order_relaxed), Kind::kMark, {length});
  lane->encoder.add_bytes(std::as_bytes(std::span(text, length)));
}

void note_request(Kind kind, uint64_t request) {
  const Inside guard;
  Lane* lane = lane_of_thread();
  if (lane == nullptr) return;
  const Locked locked(lane->lock);
  if (is_on()) add_locked(*lane, kind, {request});
}

// A child that only prepares an exec leaves no file behind.
void suspend() {
  if (!is_recording() || getpid() != owner) return;
  const Inside guard;
  state.store(State::kSuspended, std::memory_order_relaxed);
  if (!has_file()) return;
  flush_all();
  write_footer();
}

void resume() {
  if (state.load(std::memory_order_relaxed) != State::kSuspended || getpid() != owner) return;
  const Inside guard;
  const Locked locked(output_lock);
  if (output.is_created() && !output.truncate(output.size() - kFooterBytes)) {
    state.store(State::kOff, std::memory_order_relaxed);
    return;
  }
  state.store(State::kOn, std::memory_order_relaxed);
}

void finish() {
  if (!is_recording() || getpid() != owner) return;
  const Inside guard;
  state.store(State::kSuspended, std::memory_order_relaxed);
  flush_all();
  write_footer();
  state.store(State::kOff, std::memory_order_relaxed);
}

}  // namespace tools::recorder
