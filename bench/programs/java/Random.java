/** SplitMix64, as in bench/programs/program.h. */
final class Random {
  private long state;

  Random(long seed) {
    state = seed;
  }

  long next() {
    state += 0x9e3779b97f4a7c15L;
    long z = state;
    z = (z ^ (z >>> 30)) * 0xbf58476d1ce4e5b9L;
    z = (z ^ (z >>> 27)) * 0x94d049bb133111ebL;
    return z ^ (z >>> 31);
  }

  /** In [0, n). */
  int below(int n) {
    return (int) (((next() >>> 32) * n) >>> 32);
  }
}
