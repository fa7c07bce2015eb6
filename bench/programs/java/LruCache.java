/** See bench/programs/lru_cache.cc. */
final class LruCache {
  private static final int SMALLEST = 64;
  private static final int LARGEST = 1984;
  private static final long ENTRIES_PER_MB = 900;

  private static final class Entry {
    Entry chain;
    Entry newer;
    Entry older;
    final byte[] value;
    final long key;

    Entry(long key, int size) {
      this.key = key;
      value = new byte[size];
      for (int i = 0; i < size; ++i) {
        value[i] = (byte) (key + i);
      }
    }

    void unlink() {
      newer.older = older;
      older.newer = newer;
    }
  }

  private final Entry[] buckets;
  private final Entry ends = new Entry(0, 0);
  private final long capacity;
  private long count;
  long misses;
  long checksum;
  Requests requests;

  private LruCache(long capacity) {
    this.capacity = capacity;
    buckets = new Entry[1 << (64 - Long.numberOfLeadingZeros(capacity - 1))];
    ends.newer = ends.older = ends;
  }

  private static long drawKey(Random random, int bits) {
    int b = random.below(bits);
    long rank = (1L << b) + (random.next() & ((1L << b) - 1));
    return rank * 0x9e3779b97f4a7c15L;
  }

  private int bucket(long key) {
    return (int) (key >>> 20) & (buckets.length - 1);
  }

  private void linkNewest(Entry entry) {
    Entry newest = ends.older;
    entry.older = newest;
    entry.newer = ends;
    newest.newer = entry;
    ends.older = entry;
  }

  private void evictOldest() {
    Entry oldest = ends.newer;
    oldest.unlink();
    int at = bucket(oldest.key);
    if (buckets[at] == oldest) {
      buckets[at] = oldest.chain;
    } else {
      Entry before = buckets[at];
      while (before.chain != oldest) {
        before = before.chain;
      }
      before.chain = oldest.chain;
    }
    --count;
  }

  private long serve(long key) {
    Entry found = buckets[bucket(key)];
    while (found != null && found.key != key) {
      found = found.chain;
    }
    if (found != null) {
      found.unlink();
    } else {
      ++misses;
      if (count == capacity) {
        evictOldest();
      }
      found = new Entry(key, (int) (SMALLEST + (key >>> 40) % (LARGEST - SMALLEST)));
      int at = bucket(key);
      found.chain = buckets[at];
      buckets[at] = found;
      ++count;
    }
    linkNewest(found);
    int size = found.value.length;
    return size ^ (found.value[0] & 0xff) ^ (found.value[size - 1] & 0xff);
  }

  private void run(Random random, int keyBits, long count, long interval) {
    requests = new Requests(interval);
    requests.begin();
    for (long i = 0; i < count; ++i) {
      requests.await();
      checksum = Program.mixed(checksum, serve(drawKey(random, keyBits)));
      requests.done();
    }
  }

  public static void main(String[] arguments) throws InterruptedException {
    Program program = new Program(arguments);
    long capacity = program.number("--live-mb", 256, 8) * ENTRIES_PER_MB;
    long count = program.number("--requests", 1_000_000, 40_000);
    long interval = program.number("--interval", 4_000, 4_000);
    int keyBits = 64 - Long.numberOfLeadingZeros(capacity) + 2;
    LruCache[] caches = new LruCache[program.threads()];
    for (int t = 0; t < caches.length; ++t) {
      caches[t] = new LruCache(capacity);
    }
    Program.inThreads(
        caches.length, t -> caches[t].run(new Random(2 * t + 1), keyBits, 4 * capacity, 0));
    for (LruCache cache : caches) {
      cache.misses = 0;
    }
    program.begin();
    Program.inThreads(
        caches.length, t -> caches[t].run(new Random(2 * t + 2), keyBits, count, interval));
    long checksum = 0;
    long misses = 0;
    Requests all = new Requests(0);
    for (LruCache cache : caches) {
      checksum = Program.mixed(checksum, cache.checksum);
      misses += cache.misses;
      all.merge(cache.requests);
    }
    program.figure("misses", misses);
    program.end(checksum, all);
  }
}
