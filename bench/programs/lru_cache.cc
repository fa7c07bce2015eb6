// A server with a cache of what was asked for last. Keys come skewed (the density of the key of
// rank r goes with 1/r, Zipf's law of exponent 1, in steps of powers of two); a miss makes a value
// of random size and evicts the entry that was not asked for longest. Requests arrive at fixed
// times (open loop).
// Arguments: --requests=N and --live-mb=N (of a thread), --interval=NS (0: closed loop), --threads=N (each
// with a cache and keys of its own).

#include <bit>
#include <thread>
#include <vector>

#include "bench/programs/program.h"
#include "bench/programs/requests.h"
#include BENCH_BACKEND

namespace {

namespace backend = bench::backend;
using namespace bench::programs;

struct Entry {
  backend::Field<Entry> chain{};  // of the hash bucket; keeps the entry
  backend::Link<Entry> newer{};
  backend::Link<Entry> older{};
  backend::ArrayField<std::uint8_t> value{};
  std::uint64_t key = 0;
  std::uint32_t size = 0;
};

constexpr std::uint32_t kSmallest = 64;
constexpr std::uint32_t kLargest = 1984;
constexpr std::uint64_t kEntriesPerMb = 900;

struct Cache {
  backend::ArrayField<backend::Field<Entry>> buckets{};
  backend::Field<Entry> ends{};  // its newer is the oldest entry, its older the newest: a ring
  std::uint64_t mask = 0;
  std::uint64_t count = 0;
};

// Ranks 2^b .. 2^(b+1) - 1 are together as likely for every b; neighbours in rank get distant keys.
std::uint64_t draw_key(Random& random, unsigned bits) {
  const unsigned b = random.below(bits);
  const std::uint64_t rank =
      (std::uint64_t{1} << b) + (random.next() & ((std::uint64_t{1} << b) - 1));
  return rank * 0x9e3779b97f4a7c15;
}

backend::Field<Entry>& bucket(Cache* cache, std::uint64_t key) {
  return cache->buckets[(key >> 20) & cache->mask];
}

void unlink(Entry* entry) {
  entry->newer->older = entry->older;
  entry->older->newer = entry->newer;
}

void link_newest(Cache* cache, Entry* entry) {
  Entry* const ends = backend::raw(cache->ends);
  Entry* const newest = backend::raw(ends->older);
  entry->older = newest;
  entry->newer = ends;
  newest->newer = entry;
  ends->older = entry;
}

void evict_oldest(Cache* cache) {
  Entry* const oldest = backend::raw(cache->ends->newer);
  unlink(oldest);
  backend::Field<Entry>* at = &bucket(cache, oldest->key);
  while (backend::raw(*at) != oldest) at = &(*at)->chain;
  const backend::Ref<Entry> evicted = *at;
  *at = evicted->chain;
  backend::release_array(evicted->value);
  backend::release(evicted);
  --cache->count;
}

backend::Ref<Entry> make_entry(std::uint64_t key) {
  backend::Ref<Entry> entry = backend::make<Entry>();
  entry->key = key;
  entry->size = kSmallest + static_cast<std::uint32_t>((key >> 40) % (kLargest - kSmallest));
  entry->value = backend::make_array<std::uint8_t>(entry->size);
  for (std::uint32_t i = 0; i < entry->size; ++i)
    entry->value[i] = static_cast<std::uint8_t>(key + i);
  return entry;
}

// What the server answers.
std::uint64_t serve(Cache* cache, std::uint64_t key, std::uint64_t capacity,
                    std::uint64_t& misses) {
  Entry* found = backend::raw(bucket(cache, key));
  while (found != nullptr && found->key != key) found = backend::raw(found->chain);
  if (found != nullptr) {
    unlink(found);
  } else {
    ++misses;
    if (cache->count == capacity) evict_oldest(cache);
    const backend::Ref<Entry> entry = make_entry(key);
    backend::Field<Entry>& head = bucket(cache, key);
    entry->chain = head;
    head = entry;
    found = backend::raw(entry);
    ++cache->count;
  }
  link_newest(cache, found);
  return found->size ^ found->value[0] ^ found->value[found->size - 1];
}

struct Shard {
  std::uint64_t checksum = 0;
  std::uint64_t misses = 0;
  Requests requests;
};

backend::GlobalArray<backend::Field<Cache>> caches;

}  // namespace

int main(int argc, char** argv) {
  Program program(argc, argv);
  const unsigned threads = program.threads();
  const std::uint64_t capacity = program.number("--live-mb", 256, 8) * kEntriesPerMb;
  const std::uint64_t count = program.number("--requests", 1'000'000, 40'000);
  const std::uint64_t interval = program.number("--interval", 4'000, 4'000);
  const auto bits =
      static_cast<unsigned>(std::bit_width(capacity)) + 2;  // 4 to 8 times as many keys
  backend::start();
  caches = backend::make_array<backend::Field<Cache>>(threads);
  for (unsigned t = 0; t < threads; ++t) {
    caches[t] = backend::make<Cache>();
    caches[t]->mask = std::bit_ceil(capacity) - 1;
    caches[t]->buckets = backend::make_array<backend::Field<Entry>>(caches[t]->mask + 1);
    caches[t]->ends = backend::make<Entry>();
    caches[t]->ends->newer = caches[t]->ends->older = backend::raw(caches[t]->ends);
  }

  std::vector<Shard> shards(threads);
  const auto run = [&](unsigned t, std::uint64_t requests, bool counted) {
    const backend::ThreadScope scope;
    Shard& shard = shards[t];
    Cache* const cache = backend::raw(caches[t]);
    Random random(2 * t + (counted ? 2 : 1));
    shard.requests = Requests(counted ? interval : 0);
    shard.requests.begin();
    for (std::uint64_t i = 0; i < requests; ++i) {
      shard.requests.await();
      shard.checksum =
          mixed(shard.checksum, serve(cache, draw_key(random, bits), capacity, shard.misses));
      shard.requests.done();
    }
  };
  const auto run_all = [&](std::uint64_t requests, bool counted) {
    std::vector<std::thread> workers;
    for (unsigned t = 0; t < threads; ++t) workers.emplace_back(run, t, requests, counted);
    backend::blocking([&] {
      for (std::thread& worker : workers) worker.join();
    });
  };
  run_all(4 * capacity, false);  // fills the caches
  for (Shard& shard : shards) shard.misses = 0;
  Control control;
  program.begin();
  run_all(count, true);
  std::uint64_t checksum = 0, misses = 0;
  Requests all;
  all.set_control(control);
  for (const Shard& shard : shards) {
    checksum = mixed(checksum, shard.checksum);
    misses += shard.misses;
    all.merge(shard.requests);
  }
  program.figure("misses", static_cast<double>(misses));
  return program.end(checksum, backend::collections(), &all);
}
