/* The protocol as the graph models share it: a thread's state, its program, barrier and answers; the collector's
 * side of a handshake; marking and sweeping one object. Each model composes its processes from these pieces.
 *
 * Macros named like an action are alternatives of a thread's do-loop, one atomic step each. A thread may answer a
 * pending handshake between any two of its steps, as a signal makes it do, except inside the runtime ([thread.depth]).
 *
 * What is abstracted everywhere
 *   - Two threads. An object is a span of its own with one cell: `unswept` is the set of cells whose span's
 *     generation is behind. Words of cells, span locks and the sweeper thread are in sweep_alloc.pml.
 *   - The black colour is the set `black` of threads; it ends for all of them where the generation moves on,
 *     because a thread compares generations each time it takes cells. sweep_alloc.pml has the comparison itself.
 *   - An answer is one step. The two registers of a thread are interchangeable, so they are kept sorted.
 *
 * DELAYED_STORES gives each thread a store buffer of one entry, as on x86: the slot is written at some later time, at
 * the latest before the thread's next store, as it sets a mark, or as it answers a handshake; only the thread itself
 * sees the value before.
 *
 * MEMBARRIER is the other form of H1 and H4: the collector changes every thread's flag itself, makes all of them pass a
 * full barrier, each at a moment of its own, and waits only for those that it then sees inside the runtime. Where a
 * thread stands, its depth, is a store like any other, and delayed like one.
 *
 * Bounds over the whole run: ALLOCS allocations, STORES stores that are not null, DESTROYS calls of destroy().
 * OPS, where given, bounds every other step of the program too.
 */
#ifndef OBJECTS
#define OBJECTS 2
#endif
#ifndef CYCLES
#define CYCLES 1
#endif
#ifndef ALLOCS
#define ALLOCS 1
#endif
#ifndef STORES
#define STORES 1
#endif
#ifndef DESTROYS
#define DESTROYS 0
#endif
#ifndef DROPS
#define DROPS 0
#endif

byte reg[4];    /* thread t owns reg[2t] >= reg[2t+1] */
byte flight[2]; /* the value of the store under way: in a register or frame of its thread */
byte at[2];     /* where the thread stands */

#define AT_REST 0   /* in the program's own code, between two accesses */
#define AT_STORED 1 /* stored, self.marking not yet tested */
#define AT_SHADE 2  /* the test said on, shade() not yet entered: a signal may still land */
#define AT_PUSHED 3 /* inside shade(): pushed, mark not yet set. Answers are deferred from here on */

#ifdef MEMBARRIER
#define AT_ENTERED 10  /* inside the runtime, the flag not yet tested again */
#define AT_RETESTED 11 /* it is still on */
#ifndef INSIDE
#define INSIDE(t) (at[t] == AT_ENTERED || at[t] == AT_RETESTED || at[t] == AT_PUSHED)
#endif
#ifndef RUNTIME
#define RUNTIME INSIDE(me)
#endif
#ifdef DELAYED_STORES
bit depth_of[2]; /* as others see it; the thread itself is INSIDE */
#endif
#endif

/* LATE_FLAGS: until it passes a barrier or answers, a thread may load its flag as it was: loads pass loads (Arm). */
#ifdef LATE_FLAGS
bit flag[2];
#define FLAG flag[me]
#define LOAD_FLAG flag[me] = marking[me]
#else
#define FLAG marking[me]
#define LOAD_FLAG skip
#endif

byte buffer[2];
bit marking[2];
bit pending[2];
byte black;     /* set of threads: bit t */

byte request;   /* the handshake asked last */
byte queue;     /* grey objects in the global queue */
byte unswept;   /* cells that wait for the sweep of the last finished cycle */
bit dirty;      /* some answer of this round found something or handed something over */
byte rounds;    /* rounds of H3 in this cycle */
byte cycle, allocs, stores, destroys;

#ifdef BAD_TEST_THEN_STORE
#define AT_TESTED 4
byte into[2];   /* the slot that the store under way goes to */
bit tested[2];  /* what the test said */
#endif

/* The thread's clock: has it done any step since? */
#ifdef CLOCKS
bit ran[2];
#define TICK ran[me] = 1
#else
#define TICK skip
#endif

#ifdef OPS
byte ops;
#define OP_LEFT ops < OPS
#define COUNT_OP ops++; TICK
#else
#define OP_LEFT true
#define COUNT_OP TICK
#endif

#define IN_REGISTERS \
  (SET(reg[0]) | SET(reg[1]) | SET(reg[2]) | SET(reg[3]) | SET(flight[0]) | SET(flight[1]))
#ifdef DELAYED_STORES
bit late[2];          /* a store has not reached memory yet */
byte late_to[2], late_value[2];
#define HELD (IN_REGISTERS | SET(late_value[0]) | SET(late_value[1]))
#define SEEN_AT(s) ((late[me] && late_to[me] == s) -> late_value[me] : slot[s])
#define WRITE(s, v) late_to[me] = s; late_value[me] = v; late[me] = 1
#define MAY_WRITE (!late[me])
#define DRAIN_SLOT slot[late_to[me]] = (late[me] -> late_value[me] : slot[late_to[me]]); \
  late[me] = 0; late_to[me] = 0; late_value[me] = 0
#ifdef MEMBARRIER
#define DRAIN DRAIN_SLOT; depth_of[me] = INSIDE(me)
#else
#define DRAIN DRAIN_SLOT
#endif
#else
#define SEEN_AT(s) slot[s]
#define WRITE(s, v) slot[s] = v
#define MAY_WRITE true
#define DRAIN skip
#endif
#ifdef BAD_ANSWER_WITHOUT_RELEASE
#define RELEASE_STORES skip
#else
#define RELEASE_STORES DRAIN; LOAD_FLAG
#endif
#ifndef HELD
#define HELD IN_REGISTERS
#endif
#include "graph.pml"

#define A reg[2*me]
#define B reg[2*me + 1]

SCRATCH cell, swap;

inline sort_registers() {
  if
  :: A < B -> swap = A; A = B; B = swap; swap = 0
  :: else
  fi
}

/* ---- marking and sweeping one object ---- */

/* What a stack scan and a marker do with a word that may refer to x. */
inline mark_grey(x) {
  if
  :: x != 0 && (alloc & SET(x)) && !(mark & SET(x)) ->
     queue = queue | SET(x);
     mark = mark | SET(x);
     dirty = 1
  :: else
  fi
}

inline sweep_cell(x) {
  if
  :: (alloc & SET(x)) && !(mark & SET(x)) ->
     assert_unreachable(x);
     alloc = alloc & ~SET(x);
     slot[x] = 0
  :: else
  fi;
  mark = mark & ~SET(x);
  unswept = unswept & ~SET(x)
}

/* ---- the program ---- */

/* Able to do an arbitrary step of the program; lifecycle.pml narrows it to attached threads that run. */
#ifndef RUNS
#define RUNS (at[me] == AT_REST)
#endif

#define LOAD(guard, r, from) \
  d_step { RUNS && (guard) && r != SEEN_AT(from) && OP_LEFT -> \
    r = SEEN_AT(from); sort_registers(); COUNT_OP }

#define DROP_A \
  d_step { RUNS && A != 0 && OP_LEFT -> A = 0; sort_registers(); COUNT_OP }
#define DROP_B \
  d_step { RUNS && B != 0 && B != A && OP_LEFT -> B = 0; COUNT_OP }

#define STORE_NULL(guard, to) \
  d_step { RUNS && (guard) && slot[to] != 0 && MAY_WRITE && OP_LEFT -> WRITE(to, 0); COUNT_OP }

/* store(slot[to], v). `then` is what becomes of the register that v came from: it may be its last use. */
#ifdef BAD_TEST_THEN_STORE
#define STORE(guard, to, v, then) \
  d_step { RUNS && v != 0 && (guard) && stores < STORES -> \
    stores++; flight[me] = v; into[me] = to; tested[me] = marking[me]; at[me] = AT_TESTED; \
    then; sort_registers() }
#define TEST_MARKING \
  d_step { at[me] == AT_TESTED -> \
    slot[into[me]] = flight[me]; into[me] = 0; \
    if \
    :: tested[me] -> at[me] = AT_SHADE \
    :: else -> at[me] = AT_REST; flight[me] = 0 \
    fi; \
    tested[me] = 0 }
#else
#define STORE(guard, to, v, then) \
  d_step { RUNS && v != 0 && (guard) && stores < STORES && MAY_WRITE -> \
    stores++; TICK; flight[me] = v; WRITE(to, v); at[me] = AT_STORED; \
    then; sort_registers() }
#define TEST_MARKING \
  d_step { at[me] == AT_STORED -> \
    TICK; \
    if \
    :: FLAG -> at[me] = AT_SHADE \
    :: else -> at[me] = AT_REST; flight[me] = 0 \
    fi }
#endif

/* shade(): test once more now that no signal can intervene, push into the own buffer, then set the mark
 * ([buffer.push-first]). A full buffer goes to the queue in between. NO_RETEST leaves the second test out: also sound
 * while buffers are kept. */
#if defined(NO_RETEST) || defined(BAD_NO_RETEST)
#define STILL_MARKING true
#else
#define STILL_MARKING FLAG
#endif
#ifdef BAD_MARK_THEN_PUSH
#define SHADE_BEGIN mark = mark | SET(flight[me])
#define SHADE_END buffer[me] = buffer[me] | SET(flight[me])
#else
#define SHADE_BEGIN buffer[me] = buffer[me] | SET(flight[me])
#define SHADE_END mark = mark | SET(flight[me])
#endif
#ifdef MEMBARRIER
#define ENTER_RUNTIME d_step { at[me] == AT_SHADE -> at[me] = AT_ENTERED }
#define TEST_AGAIN \
  d_step { at[me] == AT_ENTERED -> \
    if \
    :: STILL_MARKING -> at[me] = AT_RETESTED \
    :: else -> at[me] = AT_REST; flight[me] = 0 \
    fi }
#define SHADE_FROM AT_RETESTED
#define SHADE_IF true
#else
#define SHADE_FROM AT_SHADE
#define SHADE_IF STILL_MARKING
#endif
#define ENTER_SHADE \
  d_step { at[me] == SHADE_FROM -> \
    TICK; \
    if \
    :: SHADE_IF && !(mark & SET(flight[me])) -> SHADE_BEGIN; at[me] = AT_PUSHED \
    :: else -> at[me] = AT_REST; flight[me] = 0 \
    fi }
/* Where items may be dropped, what is flushed must be marked, or a walk over the marked objects misses it: a full
 * buffer is flushed before the next push ([buffer.flush]). */
#if DROPS > 0 && !defined(BAD_FLUSH_WITH_UNMARKED)
#define FLUSH_FROM SHADE_FROM
#else
#define FLUSH_FROM AT_PUSHED
#endif
#define FLUSH_FULL_BUFFER \
  d_step { at[me] == FLUSH_FROM && buffer[me] != 0 -> queue = queue | buffer[me]; buffer[me] = 0 }
#define LEAVE_SHADE \
  d_step { at[me] == AT_PUSHED -> TICK; DRAIN; SHADE_END; flight[me] = 0; at[me] = AT_REST }

/* A cell the slow path may take: free, or free once it is swept. */
#ifdef BAD_UNSWEPT_CELL
#define MAY_TAKE(x) (!(alloc & SET(x)))
#define SWEEP_BEFORE_TAKING(x) false
#else
#define MAY_TAKE(x) (!(alloc & SET(x)) || ((unswept & SET(x)) && !(mark & SET(x))))
#define SWEEP_BEFORE_TAKING(x) (unswept & SET(x))
#endif

#ifdef BAD_INITIALISING_STORE
#define CONSTRUCT slot[B] = A
#else
#define CONSTRUCT skip
#endif

inline take_cell() {
  if
  :: SWEEP_BEFORE_TAKING(cell) -> sweep_cell(cell)
  :: else
  fi;
  alloc = alloc | SET(cell);
  slot[cell] = 0;
  if
  :: black & (1 << me) -> mark = mark | SET(cell)
  :: else
  fi
}

inline allocate() {
  cell = 1;
  do
  :: cell <= OBJECTS && !MAY_TAKE(cell) -> cell++
  :: else -> break
  od;
  if
  :: cell <= OBJECTS -> take_cell(); B = cell; allocs++; CONSTRUCT; sort_registers()
  :: else
  fi;
  cell = 0
}
#define ALLOCATE \
  d_step { RUNS && allocs < ALLOCS && B == 0 -> TICK; allocate() }

/* The program may destroy what nothing else refers to; another thread may still be in the barrier of the very store
 * through which this thread got it. The fields die without any barrier. */
#define NO_SLOT_HAS(x) (slot[0] != x && slot[1] != x && slot[2] != x && slot[OBJECTS] != x)
#define ONE_REGISTER_HAS(x) ((reg[0] == x) + (reg[1] == x) + (reg[2] == x) + (reg[3] == x) == 1)
#define DESTROY(r) \
  d_step { RUNS && destroys < DESTROYS && r != 0 && NO_SLOT_HAS(r) && ONE_REGISTER_HAS(r) -> \
    destroys++; slot[r] = 0; \
    if \
    :: !marking[me] && !(unswept & SET(r)) -> alloc = alloc & ~SET(r) \
    :: else \
    fi; \
    r = 0; sort_registers() }

/* ---- a thread's answers ---- */

#ifndef RUNTIME
#define RUNTIME (at[me] == AT_PUSHED)
#endif
#ifndef MAY_ANSWER
#define MAY_ANSWER(h) (pending[me] && request == h && !RUNTIME)
#endif

inline scan_stack() {
  mark_grey(A);
  mark_grey(B);
#ifndef BAD_FLIGHT_NOT_SCANNED
  mark_grey(flight[me])
#endif
}

inline hand_over_buffer() {
  if
  :: buffer[me] -> queue = queue | buffer[me]; buffer[me] = 0; dirty = 1
  :: else
  fi
}

inline barrier_on() {
  RELEASE_STORES;
#ifndef MEMBARRIER
  marking[me] = 1;
#endif
#ifdef BAD_BLACK_AT_H1
  black = black | (1 << me);
#endif
  pending[me] = 0
}

inline allocate_black() {
  RELEASE_STORES;
#ifdef CLOCKS
  ran[me] = 0;
#endif
  black = black | (1 << me);
  scan_stack();
  hand_over_buffer();
  pending[me] = 0
}

inline scan_again() {
  RELEASE_STORES;
#ifdef FIBERS
  stopped[me] = 1;
#endif
#ifndef BAD_NO_SECOND_SCAN
  scan_stack();
#endif
#ifdef BAD_MARKED_COUNTS
  /* the answer reports what it holds, not what it found */
  if
  :: A -> dirty = 1
  :: else
  fi;
#endif
  hand_over_buffer();
  pending[me] = 0
}

inline barrier_off() {
  RELEASE_STORES;
#ifndef MEMBARRIER
  marking[me] = 0;
#endif
#ifdef BAD_WHITE_AT_H4
  black = black & ~(1 << me);
#endif
#ifdef BAD_DISCARD_AT_H4
  buffer[me] = 0;
#endif
  pending[me] = 0
}

#define ANSWER_H1 d_step { MAY_ANSWER(1) -> barrier_on() }
#define ANSWER_H2 d_step { MAY_ANSWER(2) -> allocate_black() }
#define ANSWER_H3 d_step { MAY_ANSWER(3) -> scan_again() }
#define ANSWER_H4 d_step { MAY_ANSWER(4) -> barrier_off() }

/* ---- the collector ---- */

#define ALL_ANSWERED (!pending[0] && !pending[1])

#ifdef MEMBARRIER
#include "membarrier.pml"
#endif

inline ask(h) {
  request = h;
  pending[0] = 1;
  pending[1] = 1
}

/* Take x from the queue and scan its field. */
#define SCAN(x) \
  d_step { x <= OBJECTS && (queue & SET(x)) -> queue = queue & ~SET(x); mark_grey(slot[x]) }

/* Marking begun before it may be ([worklist.open]): a worker that scans what has come into the queue, and the root. */
#ifdef BAD_WORKERS_DURING_H1
#define ROOT 0
#else
#define ROOT slot[0]
#endif
#define MARK_WHILE_WAITING \
  do \
  :: ALL_ANSWERED -> break \
  :: d_step { !ALL_ANSWERED -> mark_grey(ROOT) } \
  :: SCAN(1) \
  :: SCAN(2) \
  :: SCAN(OBJECTS) \
  od

/* [model.ends] Every round that is not accepted has marked an object, or handed over one that both threads shaded. */
inline begin_round() {
  rounds++;
  assert(rounds <= 2*OBJECTS + 1 + DROPS);
  dirty = 0;
  ask(3)
}

inline move_generation() {
  unswept = ALL_OBJECTS;
  black = 0
}

/* The background sweeper's order; a thread that allocates may sweep any cell before. */
#define SWEEP(x) \
  d_step { unswept != 0 && (unswept & (SET(x + 1) - 1)) == SET(x) -> sweep_cell(x) }
