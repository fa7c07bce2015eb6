/** See bench/programs/gcbench.cc. */
final class GcBench {
  private static final int MIN_DEPTH = 4;

  private static final class Node {
    Node left;
    Node right;
    long i;
    long j;

    long sum() {
      return 1 + i + (left == null ? 0 : left.sum() + right.sum());
    }
  }

  private static long treeSize(int depth) {
    return (2L << depth) - 1;
  }

  private static void populate(int depth, Node node) {
    if (depth == 0) {
      return;
    }
    node.left = new Node();
    node.right = new Node();
    node.i = depth;
    populate(depth - 1, node.left);
    populate(depth - 1, node.right);
  }

  private static Node makeTree(int depth) {
    if (depth == 0) {
      return new Node();
    }
    Node left = makeTree(depth - 1);
    Node right = makeTree(depth - 1);
    Node node = new Node();
    node.left = left;
    node.right = right;
    node.i = depth;
    return node;
  }

  private static long construction(int depth, int largest) {
    long rounds = 2 * treeSize(largest) / treeSize(depth);
    long checksum = 0;
    for (long i = 0; i < rounds; ++i) {
      Node tree = new Node();
      populate(depth, tree);
      checksum += tree.i;
    }
    for (long i = 0; i < rounds; ++i) {
      checksum += makeTree(depth).left.i;
    }
    return checksum;
  }

  private static long run(int depth) {
    long checksum = makeTree(depth).i;
    Node longLived = new Node();
    populate(depth - 2, longLived);
    double[] array = new double[2 << depth];
    for (int i = 0; i < array.length; ++i) {
      array[i] = 1.0 / (i + 1);
    }
    for (int d = MIN_DEPTH; d <= depth - 2; d += 2) {
      checksum = Program.mixed(checksum, construction(d, depth));
    }
    checksum = Program.mixed(checksum, longLived.sum());
    return Program.mixed(checksum, Double.doubleToRawLongBits(array[999]));
  }

  public static void main(String[] arguments) throws InterruptedException {
    Program program = new Program(arguments);
    int depth = (int) program.number("--depth", 21, 16);
    long[] checksums = new long[program.threads()];
    program.begin();
    Program.inThreads(checksums.length, t -> checksums[t] = run(depth));
    long checksum = 0;
    for (long one : checksums) {
      checksum = Program.mixed(checksum, one);
    }
    program.end(checksum, null);
  }
}
