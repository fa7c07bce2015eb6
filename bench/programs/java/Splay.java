/** See bench/programs/splay.cc. */
final class Splay {
  private static final int PAYLOAD_DEPTH = 4;
  private static final int NUMBERS = 10;
  private static final long NODES_PER_MB = 400;

  private static final class Payload {
    Payload left;
    Payload right;
    long[] numbers;

    Payload(int depth, long key) {
      if (depth > 0) {
        left = new Payload(depth - 1, key);
        right = new Payload(depth - 1, key + 1);
        return;
      }
      numbers = new long[NUMBERS];
      for (int i = 0; i < NUMBERS; ++i) {
        numbers[i] = key + i;
      }
    }

    long sum() {
      return left == null ? numbers[0] ^ numbers[NUMBERS - 1] : left.sum() * 31 + right.sum();
    }
  }

  private static final class Node {
    Node left;
    Node right;
    Payload payload;
    long key;
  }

  private static Node splay(Node root, long key) {
    if (root == null) {
      return null;
    }
    Node header = new Node();
    Node less = header;
    Node greater = header;
    while (key != root.key) {
      if (key < root.key) {
        if (root.left == null) {
          break;
        }
        if (key < root.left.key) {
          Node up = root.left;
          root.left = up.right;
          up.right = root;
          root = up;
          if (root.left == null) {
            break;
          }
        }
        greater.left = root;
        greater = root;
        root = root.left;
      } else {
        if (root.right == null) {
          break;
        }
        if (key > root.right.key) {
          Node up = root.right;
          root.right = up.left;
          up.left = root;
          root = up;
          if (root.right == null) {
            break;
          }
        }
        less.right = root;
        less = root;
        root = root.right;
      }
    }
    less.right = root.left;
    greater.left = root.right;
    root.left = header.right;
    root.right = header.left;
    return root;
  }

  private static Node insert(Node root, long key) {
    root = splay(root, key);
    Node node = new Node();
    node.key = key;
    node.payload = new Payload(PAYLOAD_DEPTH, key);
    if (root == null) {
      return node;
    }
    if (key > root.key) {
      node.left = root;
      node.right = root.right;
      root.right = null;
    } else {
      node.right = root;
      node.left = root.left;
      root.left = null;
    }
    return node;
  }

  private static long removeBefore(Node root) {
    if (root.left == null) {
      return 0;
    }
    Node victim = splay(root.left, root.key);
    root.left = victim.left;
    return Program.mixed(victim.key, victim.payload.sum());
  }

  public static void main(String[] arguments) {
    Program program = new Program(arguments);
    long live = program.number("--live-mb", 128, 8) * NODES_PER_MB;
    long steps = program.number("--steps", 1_000_000, 20_000);
    Random random = new Random(1);
    Node tree = null;
    for (long i = 0; i < live; ++i) {
      tree = insert(tree, random.next() >>> 1);
    }
    Requests requests = new Requests(0);
    long checksum = 0;
    program.begin();
    requests.begin();
    for (long i = 0; i < steps; ++i) {
      tree = insert(tree, random.next() >>> 1);
      checksum = Program.mixed(checksum, removeBefore(tree));
      requests.done();
    }
    program.end(checksum, requests);
  }
}
