import java.util.Locale;

/** Counts of nanoseconds in buckets of 0.4%; see bench/programs/histogram.h. */
final class Histogram {
  private static final int BITS = 8;
  private final long[] counts = new long[(64 - BITS + 1) << BITS];
  private long count;
  private long max;

  void add(long value) {
    int bucket = (int) value;
    if (value >= 1 << BITS) {
      int shift = 64 - Long.numberOfLeadingZeros(value) - BITS - 1;
      bucket = (shift << BITS) + (int) (value >>> shift);
    }
    ++counts[bucket];
    ++count;
    max = Math.max(max, value);
  }

  private static long lastOf(int bucket) {
    if (bucket < 2 << BITS) {
      return bucket;
    }
    int shift = (bucket >>> BITS) - 1;
    return (((long) bucket - ((long) shift << BITS) + 1) << shift) - 1;
  }

  void merge(Histogram other) {
    for (int i = 0; i < counts.length; ++i) {
      counts[i] += other.counts[i];
    }
    count += other.count;
    max = Math.max(max, other.max);
  }

  long percentile(double percent) {
    long wanted = (long) Math.ceil(percent * count / 100 - 1e-6);
    long seen = 0;
    for (int i = 0; i < counts.length; ++i) {
      seen += counts[i];
      if (seen >= wanted && seen > 0) {
        return Math.min(lastOf(i), max);
      }
    }
    return max;
  }

  String json() {
    StringBuilder line = new StringBuilder("{\"unit\": \"ns\", \"count\": " + count);
    for (String p : new String[] {"50", "90", "99", "99.9", "99.99"}) {
      line.append(", \"p").append(p).append("\": ").append(percentile(Double.parseDouble(p)));
    }
    line.append(", \"max\": ").append(max).append(", \"curve\": [");
    for (double rest = 100; rest * count >= 100; rest *= 0.75) {
      line.append(String.format(Locale.ROOT, "[%.6f, %d], ", 100 - rest, percentile(100 - rest)));
    }
    return line.append("[100, ").append(max).append("]]}").toString();
  }
}
