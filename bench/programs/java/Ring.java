/** See bench/programs/ring.cc. */
final class Ring {
  private static final int TOPICS = 4096;
  private static final int REFERENCES = 32;
  private static final int WARM_UP = 4;

  private static final class Topic {
    final long number;

    Topic(long number) {
      this.number = number;
    }
  }

  /** The words are an array, as Java has them. */
  private static final class Linked {
    final Topic[] topics = new Topic[REFERENCES];
    final long[] words = new long[128 - REFERENCES];
  }

  private interface Messages<M> {
    M make(long number);

    long sum(M message);
  }

  private static final class PlainMessages implements Messages<long[]> {
    public long[] make(long number) {
      long[] words = new long[128];
      for (int i = 0; i < 128; ++i) {
        words[i] = number + i;
      }
      return words;
    }

    public long sum(long[] words) {
      return words[0] ^ words[127];
    }
  }

  private static final class LinkedMessages implements Messages<Linked> {
    private final Random random = new Random(1);
    private final Topic[] all = new Topic[TOPICS];

    LinkedMessages() {
      for (int i = 0; i < TOPICS; ++i) {
        all[i] = new Topic(i);
      }
    }

    public Linked make(long number) {
      Linked message = new Linked();
      int at = random.below(TOPICS);
      for (int i = 0; i < REFERENCES; ++i) {
        message.topics[i] = all[at++ % TOPICS];
      }
      for (int i = 0; i < 64; ++i) {
        message.words[i] = number + i;
      }
      return message;
    }

    public long sum(Linked message) {
      return message.topics[0].number ^ message.topics[REFERENCES - 1].number ^ message.words[63];
    }
  }

  private static <M> void run(Program program, Messages<M> messages) {
    int live = (int) program.number("--live-mb", 200, 8) * 1000;
    long sent = program.number("--messages", 10_000_000, 200_000);
    Requests requests = new Requests(program.number("--interval", 0, 0));
    @SuppressWarnings("unchecked")
    M[] ring = (M[]) new Object[live];
    long checksum = 0;
    int at = 0;
    long firstMeasured = (long) WARM_UP * live;
    for (long number = 0; number < firstMeasured + sent; ++number) {
      boolean measured = number >= firstMeasured;
      if (number == firstMeasured) {
        program.begin();
        requests.begin();
      }
      if (measured) {
        requests.await();
      }
      M message = messages.make(number);
      if (number >= live) {
        checksum = Program.mixed(checksum, messages.sum(ring[at]));
      }
      ring[at] = message;
      at = at + 1 == live ? 0 : at + 1;
      if (measured) {
        requests.done();
      }
    }
    program.end(checksum, requests);
  }

  public static void main(String[] arguments) {
    Program program = new Program(arguments);
    if (program.has("--pointers")) {
      run(program, new LinkedMessages());
    } else {
      run(program, new PlainMessages());
    }
  }
}
