/** See bench/programs/syntax_trees.cc. */
final class SyntaxTrees {
  private static final int NUMBER = 0;
  private static final int NAME = 1;
  private static final int ADD = 2;
  private static final int MULTIPLY = 3;
  private static final int ASSIGN = 4;
  private static final int SEQUENCE = 5;

  private static final int FUNCTIONS = 16;
  private static final int STATEMENTS = 24;
  private static final int DOCUMENTS_PER_MB = 4;

  private static final class Node {
    Node first;
    Node second;
    byte[] name;
    long value;
    final int kind;

    Node(int kind, long value) {
      this.kind = kind;
      this.value = value;
    }
  }

  private record Scope(Scope outer, Node assignment) {}

  private static final class Document {
    final Node[] functions = new Node[FUNCTIONS];
  }

  private static Requests requests;

  private static Node makeName(long value) {
    Node node = new Node(NAME, value);
    node.name = new byte[(int) (4 + value % 29)];
    for (int i = 0; i < node.name.length; ++i) {
      node.name[i] = (byte) ('a' + (value + i) % 26);
    }
    return node;
  }

  private static Node parseExpression(Random random, int depth) {
    int choice = random.below(8);
    if (depth == 0 || choice < 2) {
      return choice % 2 == 0 ? new Node(NUMBER, random.below(1000)) : makeName(random.below(64));
    }
    Node left = parseExpression(random, depth - 1);
    Node right = parseExpression(random, depth - 1);
    Node node = new Node(choice < 5 ? ADD : MULTIPLY, 0);
    node.first = left;
    node.second = right;
    return node;
  }

  private static Node parseFunction(Random random) {
    Node function = null;
    for (int i = 0; i < STATEMENTS; ++i) {
      Node assign = new Node(ASSIGN, i);
      assign.first = makeName(random.below(64));
      assign.second = parseExpression(random, 4);
      Node sequence = new Node(SEQUENCE, i);
      sequence.first = assign;
      sequence.second = function;
      function = sequence;
      requests.tick();
    }
    return function;
  }

  private static Node fold(Node node) {
    if (node.kind == NUMBER) {
      return new Node(NUMBER, node.value);
    }
    if (node.kind == NAME) {
      return makeName(node.value);
    }
    Node first = fold(node.first);
    Node second = node.second == null ? null : fold(node.second);
    if ((node.kind == ADD || node.kind == MULTIPLY) && first.kind == NUMBER && second.kind == NUMBER) {
      first.value = node.kind == ADD ? first.value + second.value : first.value * second.value;
      return first;
    }
    Node folded = new Node(node.kind, node.value);
    folded.first = first;
    folded.second = second;
    return folded;
  }

  private static long resolve(Node node, Scope scope) {
    if (node.kind == NUMBER) {
      return node.value;
    }
    if (node.kind == NAME) {
      for (Scope s = scope; s != null; s = s.outer) {
        if (s.assignment.first.value == node.value) {
          return s.assignment.value + node.name.length;
        }
      }
      return node.name[0];
    }
    long first = resolve(node.first, scope);
    return node.kind == ADD
        ? Program.mixed(first, resolve(node.second, scope))
        : first ^ resolve(node.second, scope) * 31;
  }

  private static long check(Node function) {
    long sum = 0;
    Scope scope = null;
    for (Node s = function; s != null; s = s.second) {
      sum = Program.mixed(sum, resolve(s.first.second, scope));
      scope = new Scope(scope, s.first);
    }
    return sum;
  }

  private static long replace(Document document, int f, Random random) {
    Node folded = fold(parseFunction(random));
    requests.tick();
    long sum = check(folded);
    document.functions[f] = folded;
    return sum;
  }

  private static long rebuild(Document[] store, int d, Random random, long checksum) {
    Document document = new Document();
    for (int f = 0; f < FUNCTIONS; ++f) {
      checksum = Program.mixed(checksum, replace(document, f, random));
    }
    store[d] = document;
    return checksum;
  }

  public static void main(String[] arguments) {
    Program program = new Program(arguments);
    Document[] store = new Document[(int) program.number("--live-mb", 128, 8) * DOCUMENTS_PER_MB];
    long count = program.number("--requests", 60_000, 3_000);
    requests = new Requests(program.number("--interval", 0, 0));
    Random random = new Random(1);
    long checksum = 0;
    requests.begin();
    for (int d = 0; d < store.length; ++d) {
      checksum = rebuild(store, d, random, checksum);
    }
    requests = new Requests(program.number("--interval", 0, 0));
    requests.begin();
    program.begin();
    for (long i = 1; i <= count; ++i) {
      requests.await();
      int d = random.below(store.length);
      if (i % 64 == 0) {
        checksum = rebuild(store, d, random, checksum);
      } else {
        checksum = Program.mixed(checksum, replace(store[d], random.below(FUNCTIONS), random));
      }
      requests.done();
    }
    program.end(checksum, requests);
  }
}
