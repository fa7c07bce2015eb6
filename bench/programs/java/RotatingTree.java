/** See bench/programs/rotating_tree.cc. */
final class RotatingTree {
  private static final int SUBTREE_DEPTH = 5;

  private static final class Node {
    Node left;
    Node right;
    final long number;

    Node(int depth, long number) {
      this.number = number;
      if (depth > 0) {
        left = new Node(depth - 1, number * 2 + 1);
        right = new Node(depth - 1, number * 2 + 2);
      }
    }

    long sum() {
      return left == null ? number : Program.mixed(left.sum(), right.sum()) ^ number;
    }

    void exchange() {
      Node node = left;
      left = right;
      right = node;
    }
  }

  private static long turn(Node node, int depth, long path) {
    for (; depth > SUBTREE_DEPTH + 1; --depth, path >>= 1) {
      node.exchange();
      node = (path & 1) != 0 ? node.left : node.right;
    }
    long dropped = node.left.sum();
    node.left = new Node(SUBTREE_DEPTH, path);
    node.exchange();
    return dropped;
  }

  public static void main(String[] arguments) {
    Program program = new Program(arguments);
    long nodes = program.number("--live-mb", 128, 8) * 32768;
    int depth = 64 - Long.numberOfLeadingZeros(nodes) - 2;
    long steps = program.number("--steps", 1_500_000, 30_000);
    Node tree = new Node(depth, 0);
    Requests requests = new Requests(0);
    Random random = new Random(1);
    long checksum = 0;
    program.begin();
    requests.begin();
    for (long i = 0; i < steps; ++i) {
      checksum = Program.mixed(checksum, turn(tree, depth, random.next() >>> 1));
      requests.done();
    }
    program.end(Program.mixed(checksum, tree.sum()), requests);
  }
}
