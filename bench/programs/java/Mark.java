import java.util.Arrays;
import java.util.function.Supplier;

/** See bench/programs/mark.cc. */
final class Mark {
  private static class Node {
    Node left;
    Node right;
    Node other;
    long id;

    long sum() {
      long of = other == null ? id : id ^ (other.id << 32);
      long sum = Program.mixed(of, left == null ? 0 : left.sum());
      return Program.mixed(sum, right == null ? 0 : right.sum());
    }
  }

  private static final class Large extends Node {
    long a;
    long b;
    long c;
    long d;
  }

  private static Node link(Node[] nodes, int first, int count) {
    if (count == 0) {
      return null;
    }
    int left = (count - 1) / 2;
    nodes[first].left = link(nodes, first + 1, left);
    nodes[first].right = link(nodes, first + 1 + left, count - 1 - left);
    return nodes[first];
  }

  private static void swap(Node[] nodes, int i, int j) {
    Node node = nodes[i];
    nodes[i] = nodes[j];
    nodes[j] = node;
  }

  private static Node build(int count, String shape, Supplier<Node> fresh) {
    Random random = new Random(1);
    Node[] nodes = new Node[count];
    for (int i = 0; i < count; ++i) {
      nodes[i] = fresh.get();
      nodes[i].id = i;
    }
    if (shape.equals("shuffled") || shape.equals("random")) {
      for (int i = count - 1; i > 0; --i) {
        swap(nodes, i, random.below(i + 1));
      }
    } else if (shape.equals("runs")) {
      final int run = 64;
      for (int i = count / run - 1; i > 0; --i) {
        int j = random.below(i);
        for (int k = 0; k < run; ++k) {
          swap(nodes, i * run + k, j * run + k);
        }
      }
    } else if (!shape.equals("order")) {
      System.err.printf("mark: no shape %s: order, shuffled, random or runs%n", shape);
      System.exit(2);
    }
    Node root = link(nodes, 0, count);
    if (shape.equals("random")) {
      for (Node node : nodes) {
        node.other = nodes[random.below(count)];
      }
    }
    return root;
  }

  private static double median(double[] values) {
    Arrays.sort(values);
    int half = values.length / 2;
    return values.length % 2 != 0 ? values[half] : (values[half - 1] + values[half]) / 2;
  }

  public static void main(String[] arguments) {
    Program program = new Program(arguments);
    long bytes = program.number("--bytes", 32, 32);
    if (bytes != 32 && bytes != 64) {
      System.err.println("mark: objects have 32 or 64 bytes");
      System.exit(2);
    }
    int count = (int) program.number("--objects", 8_000_000, 500_000);
    int rounds = (int) program.number("--collections", 5, 3);
    Node graph = build(count, program.text("--shape", "random"), bytes == 32 ? Node::new : Large::new);
    System.gc();
    double[] walls = new double[rounds];
    double[] cpus = new double[rounds];
    program.begin();
    for (int i = 0; i < rounds; ++i) {
      double wall = Program.nowSeconds();
      double cpu = Program.cpuSeconds();
      System.gc();
      cpus[i] = (Program.cpuSeconds() - cpu) * 1e9 / count;
      walls[i] = (Program.nowSeconds() - wall) * 1e9 / count;
    }
    program.stop();
    program.figure("wall ns/object", median(walls));
    program.figure("cpu ns/object", median(cpus));
    program.end(graph.sum(), null);
  }
}
