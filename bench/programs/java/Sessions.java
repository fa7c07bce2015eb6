import java.util.Arrays;

/** See bench/programs/sessions.cc. */
final class Sessions {
  private static final int MEAN_STRING = 128;
  private static final long SESSION_BYTES = 24 + 2 * (MEAN_STRING + 16);

  private record Session(long number, byte[] user, byte[] token) {}

  private record Answer(Session session, byte[] body) {}

  private static final Answer[] LAST = new Answer[64];

  private static byte[] text(Random random) {
    byte[] bytes = new byte[MEAN_STRING / 2 + random.below(MEAN_STRING)];
    Arrays.fill(bytes, (byte) 'x');
    return bytes;
  }

  private static Session makeSession(Random random) {
    return new Session(random.next(), text(random), text(random));
  }

  private static long serve(int count, int thread, double until) {
    Random random = new Random(thread + 1);
    Session[] sessions = new Session[count];
    for (int i = 0; i < count; ++i) {
      sessions[i] = makeSession(random);
    }
    long served = 0;
    for (; served % 256 != 0 || Program.nowSeconds() < until; ++served) {
      int at = random.below(count);
      Session session = sessions[at];
      byte[] body = Arrays.copyOf(session.user(), session.user().length + session.token().length);
      System.arraycopy(session.token(), 0, body, session.user().length, session.token().length);
      LAST[thread % LAST.length] = new Answer(session, body);
      if (served % 8 == 0) {
        sessions[at] = makeSession(random);
      }
    }
    return served;
  }

  public static void main(String[] arguments) throws InterruptedException {
    Program program = new Program(arguments);
    int threads = program.threads();
    long live = program.number("--live-mb", 100, 10) << 20;
    long seconds = program.number("--seconds", 60, 1);
    int count = (int) (live / SESSION_BYTES / threads);
    program.begin();
    double until = Program.nowSeconds() + seconds;
    long[] served = new long[threads];
    Program.inThreads(threads, t -> served[t] = serve(count, t, until));
    program.stop();
    program.figure("requests/s", (double) Arrays.stream(served).sum() / seconds);
    program.figure("live MB", (double) count * threads * SESSION_BYTES / (1 << 20));
    program.end(1, null);
  }
}
