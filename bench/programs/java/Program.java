import java.io.IOException;
import java.lang.management.GarbageCollectorMXBean;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Locale;

/** A run: arguments, clocks and the last line; see bench/programs/program.h. */
final class Program {
  private static final com.sun.management.OperatingSystemMXBean SYSTEM =
      (com.sun.management.OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();

  private final String[] arguments;
  private double wall;
  private double cpu;
  private boolean stopped;
  private final StringBuilder figures = new StringBuilder();

  Program(String[] arguments) {
    this.arguments = arguments;
    cpuSeconds();  // loads what it needs
  }

  static long mixed(long sum, long value) {
    return sum * 1000003 + value;
  }

  static double nowSeconds() {
    return System.nanoTime() * 1e-9;
  }

  static double cpuSeconds() {
    return SYSTEM.getProcessCpuTime() * 1e-9;
  }

  boolean has(String name) {
    return Arrays.asList(arguments).contains(name);
  }

  String text(String name, String otherwise) {
    String last = otherwise;
    for (String argument : arguments) {
      if (argument.startsWith(name + "=")) {
        last = argument.substring(name.length() + 1);
      }
    }
    return last;
  }

  /** --name=N, or what a full or a quick run takes. */
  long number(String name, long full, long quick) {
    String given = text(name, "");
    if (given.isEmpty()) {
      return has("--quick") ? quick : full;
    }
    if (!given.matches("[0-9]{1,18}")) {
      System.err.printf("%s takes a number, not %s%n", name, given);
      System.exit(2);
    }
    return Long.parseLong(given);
  }

  int threads() {
    return (int) number("--threads", 1, 1);
  }

  void begin() {
    wall = nowSeconds();
    cpu = cpuSeconds();
  }

  void stop() {
    if (!stopped) {
      wall = nowSeconds() - wall;
      cpu = cpuSeconds() - cpu;
      stopped = true;
    }
  }

  void figure(String name, double value) {
    figures.append(String.format(Locale.ROOT, ", \"%s\": %.3f", name, value));
  }

  /** Prints the line; requests may be null. */
  void end(long checksum, Requests requests) {
    stop();
    long collections = 0;
    for (GarbageCollectorMXBean bean : ManagementFactory.getGarbageCollectorMXBeans()) {
      collections += Math.max(0, bean.getCollectionCount());
    }
    System.out.printf(
        Locale.ROOT,
        "{\"checksum\": \"%016x\", \"wall s\": %.6f, \"cpu s\": %.6f, \"peak MB\": %.3f, \"collections\": %d%s%s}%n",
        checksum, wall, cpu, peakMb(), collections, figures, requests == null ? "" : requests.json());
  }

  /** The largest resident set, as Linux counts it. */
  private static double peakMb() {
    try {
      for (String line : Files.readAllLines(Path.of("/proc/self/status"))) {
        if (line.startsWith("VmHWM:")) {
          return Double.parseDouble(line.replaceAll("[^0-9]", "")) / 1024;
        }
      }
    } catch (IOException e) {
      System.err.println(e);
    }
    return 0;
  }

  interface Work {
    void run(int thread) throws Exception;
  }

  /** Runs the work once in each of `threads` new threads and waits for them. */
  static void inThreads(int threads, Work work) throws InterruptedException {
    Thread[] all = new Thread[threads];
    for (int t = 0; t < threads; ++t) {
      final int number = t;
      all[t] = new Thread(() -> {
        try {
          work.run(number);
        } catch (Throwable e) {  // OutOfMemoryError, too
          e.printStackTrace();
          System.exit(1);
        }
      });
      all[t].start();
    }
    for (Thread thread : all) {
      thread.join();
    }
  }
}
