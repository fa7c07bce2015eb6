/** See bench/programs/quad_trees.cc. */
final class QuadTrees {
  private static final int WHITE = 0;
  private static final int BLACK = 1;
  private static final int GREY = 2;

  private static final class Quad {
    final Quad[] quarters;
    final int colour;

    Quad(int colour) {
      this.colour = colour;
      quarters = colour == GREY ? new Quad[4] : null;
    }

    Quad copy(boolean inverted) {
      if (colour != GREY) {
        return new Quad(inverted ? 1 - colour : colour);
      }
      Quad tree = new Quad(GREY);
      for (int q = 0; q < 4; ++q) {
        tree.quarters[q] = quarters[q].copy(inverted);
      }
      return tree;
    }

    long blackPoints(long size) {
      if (colour != GREY) {
        return colour == BLACK ? size * size : 0;
      }
      long sum = 0;
      for (Quad quarter : quarters) {
        sum += quarter.blackPoints(size / 2);
      }
      return sum;
    }
  }

  private record Disc(long x, long y, long radius) {}

  private static long nearest(long centre, long low, long high) {
    return centre < low ? low - centre : centre > high ? centre - high : 0;
  }

  private static long farthest(long centre, long low, long high) {
    return Math.max(centre - low, high - centre);
  }

  private static Quad draw(Disc disc, long x, long y, long size) {
    long right = x + size - 1;
    long bottom = y + size - 1;
    long fx = farthest(disc.x, x, right);
    long fy = farthest(disc.y, y, bottom);
    long reach = disc.radius * disc.radius;
    if (fx * fx + fy * fy <= reach) {
      return new Quad(BLACK);
    }
    long nx = nearest(disc.x, x, right);
    long ny = nearest(disc.y, y, bottom);
    if (nx * nx + ny * ny > reach) {
      return new Quad(WHITE);
    }
    Quad tree = new Quad(GREY);
    long half = size / 2;
    for (int q = 0; q < 4; ++q) {
      tree.quarters[q] = draw(disc, x + (q & 1) * half, y + (q >> 1) * half, half);
    }
    return tree;
  }

  private static Quad combine(Quad a, Quad b, int absorbing) {
    if (b.colour == BLACK) {
      return new Quad(absorbing);
    }
    if (b.colour == WHITE) {
      return a.copy(false);
    }
    if (a.colour == absorbing) {
      return new Quad(absorbing);
    }
    if (a.colour != GREY) {
      return b.copy(absorbing == WHITE);
    }
    Quad tree = new Quad(GREY);
    for (int q = 0; q < 4; ++q) {
      tree.quarters[q] = combine(a.quarters[q], b.quarters[q], absorbing);
    }
    int first = tree.quarters[0].colour;
    for (Quad quarter : tree.quarters) {
      if (quarter.colour == GREY || quarter.colour != first) {
        return tree;
      }
    }
    return new Quad(first);
  }

  public static void main(String[] arguments) {
    Program program = new Program(arguments);
    long steps = program.number("--steps", 300, 30);
    int size = 1 << (int) program.number("--size", 12, 10);
    program.begin();
    Random random = new Random(1);
    long checksum = 0;
    Quad picture = new Quad(WHITE);
    for (long i = 0; i < steps; ++i) {
      for (int absorbing : new int[] {BLACK, WHITE}) {
        long x = random.below(size);
        long y = random.below(size);
        Disc disc = new Disc(x, y, size / 32 + random.below(size / 8));
        picture = combine(picture, draw(disc, 0, 0, size), absorbing);
      }
      checksum = Program.mixed(checksum, picture.blackPoints(size));
    }
    program.end(checksum, null);
  }
}
