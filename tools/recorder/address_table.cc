#include "tools/recorder/address_table.h"

#include <sys/mman.h>

namespace tools::recorder {
namespace {

constexpr size_t kFirstCapacity = 256;

class Locked {
 public:
  explicit Locked(pthread_mutex_t& lock) : lock_(lock) { pthread_mutex_lock(&lock_); }
  ~Locked() { pthread_mutex_unlock(&lock_); }
  Locked(const Locked&) = delete;
  Locked& operator=(const Locked&) = delete;

 private:
  pthread_mutex_t& lock_;
};

}  // namespace

bool AddressTable::grow_locked(Shard& shard) {
  Shard larger;
  larger.capacity = shard.capacity == 0 ? kFirstCapacity : 2 * shard.capacity;
  void* pages = mmap(nullptr, larger.capacity * sizeof(Cell), PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (pages == MAP_FAILED) return false;
  larger.cells = static_cast<Cell*>(pages);
  for (size_t i = 0; i < shard.capacity; ++i) {
    if (shard.cells[i].address == 0) continue;
    size_t at = home(larger, shard.cells[i].address);
    while (larger.cells[at].address != 0) at = (at + 1) & (larger.capacity - 1);
    larger.cells[at] = shard.cells[i];
  }
  if (shard.cells != nullptr) munmap(shard.cells, shard.capacity * sizeof(Cell));
  shard.cells = larger.cells;
  shard.capacity = larger.capacity;
  return true;
}

uint64_t AddressTable::insert(const void* address, uint64_t ticket, bool& lost) {
  const auto key = reinterpret_cast<uintptr_t>(address);
  Shard& shard = shard_of(key);
  const Locked locked(shard.lock);
  if (4 * (shard.used + 1) > 3 * shard.capacity && !grow_locked(shard) &&
      shard.used + 1 >= shard.capacity) {
    lost = true;
    return kNone;
  }
  size_t at = home(shard, key);
  while (shard.cells[at].address != 0) {
    if (shard.cells[at].address == key) {
      const uint64_t before = shard.cells[at].ticket;
      shard.cells[at].ticket = ticket;
      return before;
    }
    at = (at + 1) & (shard.capacity - 1);
  }
  shard.cells[at] = {key, ticket};
  ++shard.used;
  return kNone;
}

uint64_t AddressTable::remove(const void* address) {
  const auto key = reinterpret_cast<uintptr_t>(address);
  Shard& shard = shard_of(key);
  const Locked locked(shard.lock);
  if (shard.used == 0) return kNone;
  const size_t mask = shard.capacity - 1;
  size_t at = home(shard, key);
  while (shard.cells[at].address != key) {
    if (shard.cells[at].address == 0) return kNone;
    at = (at + 1) & mask;
  }
  const uint64_t ticket = shard.cells[at].ticket;
  // Closes the gap by moving back every later cell of the run that may stand nearer to its home
  // (Knuth 6.4, algorithm R): no tombstones, so the table never fills with the dead.
  size_t gap = at;
  for (size_t next = (at + 1) & mask; shard.cells[next].address != 0; next = (next + 1) & mask) {
    const size_t wants = home(shard, shard.cells[next].address);
    if (((next - wants) & mask) >= ((next - gap) & mask)) {
      shard.cells[gap] = shard.cells[next];
      gap = next;
    }
  }
  shard.cells[gap] = {0, 0};
  --shard.used;
  return ticket;
}

void AddressTable::lock_all() {
  for (Shard& shard : shards_) pthread_mutex_lock(&shard.lock);
}

void AddressTable::unlock_all() {
  for (Shard& shard : shards_) pthread_mutex_unlock(&shard.lock);
}

void AddressTable::clear_locked() {
  for (Shard& shard : shards_) {
    if (shard.cells != nullptr) munmap(shard.cells, shard.capacity * sizeof(Cell));
    shard.cells = nullptr;
    shard.capacity = shard.used = 0;
  }
}

}  // namespace tools::recorder
