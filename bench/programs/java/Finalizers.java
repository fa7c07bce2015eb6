import java.lang.ref.Cleaner;
import java.lang.ref.Reference;
import java.util.concurrent.atomic.AtomicLong;

/** See bench/programs/finalizers.cc; a Cleaner closes, since Java's finalizers are deprecated. */
final class Finalizers {
  private static final AtomicLong closed = new AtomicLong();

  /** What must be closed lives on after its handle. */
  private record State(long descriptor, long check) implements Runnable {
    public void run() {
      if (check == descriptor) {
        closed.incrementAndGet();
      }
    }
  }

  private static final class Handle {
    final long descriptor;

    Handle(Cleaner cleaner, long descriptor) {
      this.descriptor = descriptor;
      cleaner.register(this, new State(descriptor, descriptor));
    }
  }

  /** Collects, and waits until all but the kept are closed, or nothing has been closed for a while. */
  private static void finish(long closable) throws InterruptedException {
    System.gc();
    long before = -1;
    for (int idle = 0; closed.get() < closable && idle < 200; ++idle) {
      if (closed.get() != before) {
        before = closed.get();
        idle = 0;
      }
      Thread.sleep(1);
    }
  }

  public static void main(String[] arguments) throws InterruptedException {
    Program program = new Program(arguments);
    long handles = program.number("--handles", 1_000_000, 100_000);
    Handle[] inUse = new Handle[(int) program.number("--kept", 100_000, 5_000)];
    Cleaner cleaner = Cleaner.create();
    long checksum = 0;
    long mostOpen = 0;
    program.begin();
    for (long i = 0; i < handles; ++i) {
      Handle handle = new Handle(cleaner, i);
      int place = (int) (i % inUse.length);
      if (inUse[place] != null) {
        checksum = Program.mixed(checksum, inUse[place].descriptor);
      }
      inUse[place] = handle;
      mostOpen = Math.max(mostOpen, i + 1 - closed.get());
    }
    finish(handles - inUse.length);
    program.figure("most open", mostOpen);
    program.figure("open at the end", handles - closed.get());
    program.end(checksum, null);
    Reference.reachabilityFence(inUse);
  }
}
