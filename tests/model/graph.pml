/* What the graph models share: sets of objects, a small object graph, the oracle "reachable" and the properties.
 *
 * Objects are numbered 1..OBJECTS; 0 is null. A set of objects is a byte with bit x-1 for object x.
 * slot[0] is a root that is stored through the barrier (a gc::root); slot[x] is the one field of object x.
 *
 * A model that includes this file defines OBJECTS and HELD, the set of objects that the program can get at
 * without a slot. The oracle is no part of the protocol: only assertions look at it.
 */
#define SET(x) ((1 << (x)) >> 1)
#define ALL_OBJECTS ((1 << OBJECTS) - 1)

/* Scratch of a step, always 0 between steps: it need not be part of the state. The breadth-first search that
 * finds shortest counterexamples does not know hidden variables. */
#ifdef SHORTEST
#define SCRATCH byte
#else
#define SCRATCH hidden byte
#endif

byte slot[OBJECTS + 1];
byte alloc; /* the objects that are allocated */
byte mark;  /* the objects whose mark bit is set */

SCRATCH closure, pass, each;

/* Leaves in `closure` the set of all objects that the program can still get at. */
inline find_reachable() {
  closure = HELD | SET(slot[0]);
  pass = 0;
  do
  :: pass < OBJECTS ->
     each = 1;
     do
     :: each <= OBJECTS ->
        if
        :: closure & SET(each) -> closure = closure | SET(slot[each])
        :: else
        fi;
        each++
     :: else -> break
     od;
     pass++
  :: else -> break
  od;
  pass = 0;
  each = 0
}

/* [model.safe] No reachable object is reclaimed. */
inline assert_unreachable(x) {
  find_reachable();
  assert(!(closure & SET(x)));
  closure = 0
}

/* [model.complete] When a cycle's marking has ended, every reachable object is marked. (A thread may still be in
 * the barrier of the store of an object that another thread has destroyed since: that one is not allocated.) */
inline assert_reachable_are_marked() {
  find_reachable();
  assert((closure & alloc & ~mark) == 0);
  closure = 0
}
