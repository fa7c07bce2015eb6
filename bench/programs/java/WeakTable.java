import java.lang.ref.WeakReference;

/** See bench/programs/weak_table.cc. */
final class WeakTable {
  private record Item(long a, long b, long c, long d, long e, long f, long g, long h) {
    Item(long number) {
      this(number, number + 1, number + 2, number + 3, number + 4, number + 5, number + 6, number + 7);
    }
  }

  public static void main(String[] arguments) {
    Program program = new Program(arguments);
    long steps = program.number("--steps", 2_000_000, 200_000);
    int entries = (int) program.number("--entries", 1_000_000, 50_000);
    Item[] latest = new Item[(int) program.number("--kept", 200_000, 10_000)];
    @SuppressWarnings({"unchecked", "rawtypes"})
    WeakReference<Item>[] table = new WeakReference[entries];
    Random random = new Random(1);
    long checksum = 0;
    long misses = 0;
    program.begin();
    for (long i = 0; i < steps; ++i) {
      int number = random.below(entries);
      WeakReference<Item> weak = table[number];
      Item item = weak == null ? null : weak.get();
      if (item == null) {
        item = new Item(number);
        table[number] = new WeakReference<>(item);
        ++misses;
      }
      checksum = Program.mixed(checksum, item.a ^ item.h);
      latest[(int) (i % latest.length)] = item;
    }
    program.figure("misses", misses);
    program.end(checksum, null);
  }
}
