import java.util.Arrays;

/** See bench/programs/strings.cc; its texts, not java.lang.String's. */
final class Strings {
  private record Text(byte[] bytes) {
    long sum() {
      long sum = bytes.length;
      for (int i = 0; i < bytes.length; i += 7) {
        sum = Program.mixed(sum, bytes[i]);
      }
      return sum;
    }
  }

  private static final class Builder {
    private byte[] bytes = new byte[16];
    private int length;

    void append(byte[] from, int offset, int count) {
      while (length + count > bytes.length) {
        bytes = Arrays.copyOf(bytes, 2 * bytes.length);
      }
      System.arraycopy(from, offset, bytes, length, count);
      length += count;
    }

    Text text() {
      return new Text(Arrays.copyOf(bytes, length));
    }
  }

  private static Text makeLine(Random random, byte[] word) {
    Builder line = new Builder();
    int words = 8 + random.below(16);
    for (int w = 0; w < words; ++w) {
      long letters = random.next() >>> 1;
      int length = (int) (2 + letters % 10);
      for (int i = 0; i < length; ++i, letters /= 26) {
        word[i] = (byte) ('a' + letters % 26);
      }
      word[length] = ' ';
      line.append(word, 0, length + 1);
    }
    return line.text();
  }

  private static Text turned(Text line) {
    final int most = 32;
    Text[] words = new Text[most];
    int count = 0;
    for (int from = 0, to = 0; to < line.bytes.length; ++to) {
      if (line.bytes[to] == ' ') {
        words[count++] = new Text(Arrays.copyOfRange(line.bytes, from, to + 1));
        from = to + 1;
      }
    }
    Builder joined = new Builder();
    while (count-- > 0) {
      joined.append(words[count].bytes, 0, words[count].bytes.length);
    }
    return joined.text();
  }

  public static void main(String[] arguments) {
    Program program = new Program(arguments);
    long lines = program.number("--lines", 2_000_000, 40_000);
    Text[] latest = new Text[(int) program.number("--kept", 100_000, 5_000)];
    Random random = new Random(1);
    byte[] word = new byte[12];
    long checksum = 0;
    program.begin();
    for (long i = 0; i < lines; ++i) {
      Text result = turned(makeLine(random, word));
      int place = (int) (i % latest.length);
      if (latest[place] != null) {
        checksum = Program.mixed(checksum, latest[place].sum());
      }
      latest[place] = result;
    }
    program.end(checksum, null);
  }
}
