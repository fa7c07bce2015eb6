/** See bench/programs/binary_trees.cc. */
final class BinaryTrees {
  private static final int MIN_DEPTH = 4;

  private static final class Node {
    Node left;
    Node right;

    long count() {
      return left == null ? 1 : 1 + left.count() + right.count();
    }
  }

  private static Node build(int depth) {
    Node node = new Node();
    if (depth > 0) {
      node.left = build(depth - 1);
      node.right = build(depth - 1);
    }
    return node;
  }

  public static void main(String[] arguments) {
    Program program = new Program(arguments);
    int depth = (int) program.number("--depth", 21, 16);
    program.begin();
    long checksum = build(depth + 1).count();
    Node longLived = build(depth);
    for (int d = MIN_DEPTH; d <= depth; d += 2) {
      int rounds = 1 << (depth - d + MIN_DEPTH);
      long nodes = 0;
      for (int i = 0; i < rounds; ++i) {
        nodes += build(d).count();
      }
      checksum = Program.mixed(checksum, nodes);
    }
    program.end(Program.mixed(checksum, longLived.count()), null);
  }
}
