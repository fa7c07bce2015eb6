import java.lang.ref.Cleaner;
import java.lang.ref.Reference;
import java.util.concurrent.atomic.AtomicLong;

/** See bench/programs/destructors.cc; a Cleaner destroys. */
final class Destructors {
  private static final AtomicLong destroyed = new AtomicLong();
  private static long closed; // the cleaner's thread alone writes it

  /** What is destroyed lives on after its handle. */
  private static final class State implements Runnable {
    long descriptor;
    byte[] name;

    public void run() {
      closed += descriptor;
      destroyed.incrementAndGet();
    }
  }

  private static final class Handle {
    final State state = new State();

    Handle(Cleaner cleaner, boolean withName) {
      if (withName) {
        state.name = "longer than what a string holds within itself".getBytes();
      }
      cleaner.register(this, state);
    }
  }

  /** Collects, and waits until so many are destroyed, or none has been for a while. */
  private static void finish(long dead) throws InterruptedException {
    System.gc();
    long before = -1;
    for (int idle = 0; destroyed.get() < dead && idle < 200; ++idle) {
      if (destroyed.get() != before) {
        before = destroyed.get();
        idle = 0;
      }
      Thread.sleep(1);
    }
  }

  private static long replace(Cleaner cleaner, Handle[] inUse, long objects, boolean withName) {
    long checksum = 0;
    for (long i = 0; i < objects; ++i) {
      Handle handle = new Handle(cleaner, withName);
      handle.state.descriptor = i;
      int place = (int) (i % inUse.length);
      if (inUse[place] != null) {
        checksum = Program.mixed(checksum, inUse[place].state.descriptor);
      }
      inUse[place] = handle;
    }
    return checksum;
  }

  public static void main(String[] arguments) throws InterruptedException {
    Program program = new Program(arguments);
    int threads = program.threads();
    long objects = program.number("--objects", 4_000_000, 200_000) / threads;
    int kept = (int) program.number("--kept", 1_000, 1_000);
    boolean withName = program.has("--string");
    Handle[][] tables = new Handle[threads][kept];
    long[] checksums = new long[threads];
    Cleaner cleaner = Cleaner.create();
    program.begin();
    Thread[] workers = new Thread[threads];
    for (int t = 0; t < threads; ++t) {
      final int own = t;
      workers[t] = new Thread(
          () -> checksums[own] = replace(cleaner, tables[own], objects, withName));
      workers[t].start();
    }
    for (Thread worker : workers) {
      worker.join();
    }
    finish((objects - kept) * threads);
    long checksum = 0;
    for (long one : checksums) {
      checksum = Program.mixed(checksum, one);
    }
    program.end(checksum, null);
    Reference.reachabilityFence(tables);
  }
}
