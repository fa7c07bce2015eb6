import java.util.Arrays;
import java.util.Locale;

/** Requests of one thread, closed or open loop, and its gaps; see bench/programs/requests.h. */
final class Requests {
  private static final long SHORTEST_GAP = 10_000;
  private static final String[] WINDOWS = {"0.1", "1", "10", "100"};  // ms

  private final long interval;
  private long begin;
  private long last;
  private long due;
  private final Histogram latency = new Histogram();
  private long[] gapBegin = new long[65536];
  private long[] gapEnd = new long[65536];
  private int gaps;
  private final double[] worstOfOthers = {1, 1, 1, 1};

  Requests(long interval) {
    this.interval = interval;
  }

  void begin() {
    begin = last = due = System.nanoTime();
  }

  void await() {
    due += interval;
    while (last < due) {
      tick();
    }
  }

  void tick() {
    long now = System.nanoTime();
    if (now - last > SHORTEST_GAP) {
      if (gaps == gapBegin.length) {
        gapBegin = Arrays.copyOf(gapBegin, 2 * gaps);
        gapEnd = Arrays.copyOf(gapEnd, 2 * gaps);
      }
      gapBegin[gaps] = last;
      gapEnd[gaps++] = now;
    }
    last = now;
  }

  void done() {
    tick();
    latency.add(last - due);
    if (interval == 0) {
      due = last;
    }
  }

  void merge(Requests other) {
    latency.merge(other.latency);
    for (int i = 0; i < WINDOWS.length; ++i) {
      double x = Math.min(other.worstOfOthers[i], other.utilisation(i));
      worstOfOthers[i] = Math.min(worstOfOthers[i], x);
    }
  }

  private double utilisation(int index) {
    long window = (long) (Double.parseDouble(WINDOWS[index]) * 1e6);
    if (last < begin + window) {
      return 1;
    }
    long[] before = new long[gaps + 1];
    for (int i = 0; i < gaps; ++i) {
      before[i + 1] = before[i] + gapEnd[i] - gapBegin[i];
    }
    long worst = 0;
    for (int i = 0; i < gaps; ++i) {
      long from = Math.min(gapBegin[i], last - window);
      worst = Math.max(worst, lostBefore(from + window, before) - lostBefore(from, before));
      long to = Math.max(gapEnd[i], begin + window);
      worst = Math.max(worst, lostBefore(to, before) - lostBefore(to - window, before));
    }
    return 1 - (double) worst / window;
  }

  private long lostBefore(long time, long[] before) {
    int found = Arrays.binarySearch(gapBegin, 0, gaps, time);
    int i = found >= 0 ? found : -found - 1;
    return i == 0 ? 0 : before[i] - Math.max(0, gapEnd[i - 1] - time);
  }

  String json() {
    StringBuilder line = new StringBuilder(", \"latency\": " + latency.json() + ", \"mmu\": {");
    for (int i = 0; i < WINDOWS.length; ++i) {
      double x = Math.min(utilisation(i), worstOfOthers[i]);
      line.append(String.format(Locale.ROOT, "%s\"%s\": %.4f", i == 0 ? "" : ", ", WINDOWS[i], x));
    }
    return line.append("}").toString();
  }
}
