/** See bench/programs/larson.cc. */
final class Larson {
  private static final int SMALLEST = 10;
  private static final int LARGEST = 500;
  private static final int REPLACED = 100_000;

  private static long work(byte[][] blocks, long seed) {
    Random random = new Random(seed);
    long checksum = 0;
    for (int i = 0; i < REPLACED; ++i) {
      int at = random.below(blocks.length);
      int size = SMALLEST + random.below(LARGEST - SMALLEST);
      byte[] bytes = new byte[size];
      bytes[0] = (byte) size;
      bytes[size - 1] = (byte) i;
      if (blocks[at] != null) {
        checksum = Program.mixed(checksum, blocks[at][0] & 0xff);
      }
      blocks[at] = bytes;
    }
    return checksum;
  }

  public static void main(String[] arguments) throws InterruptedException {
    Program program = new Program(arguments);
    int threads = program.threads();
    long rounds = program.number("--rounds", 300, 10);
    byte[][][] arrays = new byte[threads][(int) program.number("--blocks", 20_000, 5_000)][];
    long[] checksums = new long[threads];
    program.begin();
    for (long round = 0; round < rounds; ++round) {
      final long seed = round * threads + 1;
      Program.inThreads(
          threads, t -> checksums[t] = Program.mixed(checksums[t], work(arrays[t], seed + t)));
    }
    long checksum = 0;
    for (long one : checksums) {
      checksum = Program.mixed(checksum, one);
    }
    program.end(checksum, null);
  }
}
