/* The heart of the protocol: barrier, handshakes H1..H4, marking, acceptance, sweep, destroy.
 *
 * Two threads with two registers and one value in flight each run an arbitrary program: load, store, drop, allocate,
 * destroy. A collector runs CYCLES cycles. The pieces, and what they abstract, are in protocol.pml; left to other
 * models are cells and span locks (sweep_alloc.pml), weak references and finalizers (weak_gate.pml), threads that
 * come, go and block (lifecycle.pml) and several markers (markers.pml).
 *
 * With OPS the program is bounded altogether: then every infinite run is the collector's own, and a search for cycles
 * shows that there is none. START_OBJECTS is 1 or 2: the root leads to object 1, object 1 to object 2.
 *
 * FIBERS: one fiber, whose register `parked` any thread may exchange for its own. The collector scans it while all
 * threads stand still after their answers to H3 ([stacks.fibers]).
 *
 * CLOCKS: a thread that has not done a step since its answer to H2 is not asked in H3.
 *
 * DROPS: so many grey objects of the queue may get lost for want of memory ([worklist.overflow]). The loss is noted,
 * and counts as an arrival; where it is seen, the collector marks the root again and walks all marked objects.
 */
#ifndef FIBERS
#define STANDS_STILL false
#else
byte parked;
bit stopped[2];
#define STANDS_STILL stopped[me]
#define HELD (IN_REGISTERS | SET(parked))
#endif
#include "protocol.pml"

#if DROPS > 0
bit overflowed;
byte drops;
#define OVERFLOWED overflowed

#ifdef BAD_DROP_NO_ARRIVAL
#define COUNT_ARRIVAL skip
#else
#define COUNT_ARRIVAL dirty = 1
#endif
#define DROP(x) \
  d_step { drops < DROPS && (queue & SET(x)) -> drops++; queue = queue & ~SET(x); overflowed = 1; COUNT_ARRIVAL }

proctype Memory() {
end:
  do
  :: DROP(1)
  :: DROP(2)
  :: DROP(OBJECTS)
  od
}

#define WALK(x) \
  d_step { \
    if \
    :: mark & SET(x) -> mark_grey(slot[x]) \
    :: else \
    fi }
#else
#define OVERFLOWED false
#endif

#ifndef START_OBJECTS
#define START_OBJECTS 2
#endif

proctype Thread(byte me) provided (!STANDS_STILL) {
end: /* the program may stop at any time; the collector may not */
  do
  :: LOAD(A != 0, A, A)
  :: LOAD(A != 0, B, A)
  :: LOAD(B != 0 && B != A, A, B)
  :: LOAD(B != 0 && B != A, B, B)
  :: LOAD(true, A, 0)
  :: LOAD(true, B, 0)
  :: DROP_A
  :: DROP_B
  :: ALLOCATE
  :: DESTROY(A)
  :: DESTROY(B)
  :: STORE_NULL(true, 0)
  :: STORE_NULL(A != 0, A)
  :: STORE_NULL(B != 0, B)
  :: STORE(true, 0, A, skip)
  :: STORE(true, 0, A, A = 0)
  :: STORE(true, 0, B, skip)
  :: STORE(true, 0, B, B = 0)
  :: STORE(B != 0, A, B, skip)
  :: STORE(B != 0, A, B, B = 0)
  :: STORE(B != 0, B, A, skip)
  :: STORE(B != 0, B, A, A = 0)
  :: TEST_MARKING
#ifdef MEMBARRIER
  :: ENTER_RUNTIME
  :: TEST_AGAIN
#endif
  :: ENTER_SHADE
#ifndef BAD_MARK_THEN_PUSH
  :: FLUSH_FULL_BUFFER
#endif
  :: LEAVE_SHADE
#ifdef LATE_FLAGS
  :: d_step { flag[me] != marking[me] -> LOAD_FLAG }
#endif
#ifdef DELAYED_STORES
#ifdef MEMBARRIER
  :: d_step { late[me] -> DRAIN_SLOT }
  :: d_step { !late[me] && depth_of[me] != INSIDE(me) -> depth_of[me] = INSIDE(me) }
#else
  :: d_step { late[me] -> DRAIN }
#endif
#endif
#ifdef FIBERS
  :: d_step { RUNS && A != parked && OP_LEFT ->
       swap = A; A = parked; parked = swap; swap = 0; sort_registers(); COUNT_OP }
#endif
#ifdef BAD_FOREIGN_STACK
  :: d_step { RUNS && A != 0 && at[1 - me] == AT_REST && reg[2*(1 - me)] == 0 -> reg[2*(1 - me)] = A }
#endif
  :: ANSWER_H1
  :: ANSWER_H2
  :: ANSWER_H3
  :: ANSWER_H4
  od
}

#ifdef CLOCKS
#define NOT_RUN pending[0] = ran[0]; pending[1] = ran[1]
#else
#define NOT_RUN skip
#endif

proctype Collector() {
#ifdef MEMBARRIER
  byte me;
#endif
  do
  :: cycle < CYCLES ->
#ifdef MEMBARRIER
     switch_barrier(1, 1, BARRIER_AT_H1, WAIT_AT_H1);
#else
     d_step { ask(1) };
#endif
#if defined(BAD_MARK_DURING_H1) || defined(BAD_WORKERS_DURING_H1)
     MARK_WHILE_WAITING;
#endif
     ALL_ANSWERED;
     d_step { ask(2) };
#ifdef SCAN_DURING_H2
     MARK_WHILE_WAITING;
#endif
     ALL_ANSWERED;
#ifdef BAD_CLOCK_AFTER_ANSWER
     d_step { ran[0] = 0; ran[1] = 0 };
#endif

     d_step { request = 0; mark_grey(slot[0]) };
     do
     :: SCAN(1)
     :: SCAN(2)
#if OBJECTS > 2
     :: SCAN(3)
#endif
#if DROPS > 0
     :: d_step { queue == 0 && overflowed ->
          overflowed = 0;
          mark_grey(slot[0]) };
#ifndef BAD_OVERFLOW_ONLY_ROOTS
        WALK(1);
        WALK(2);
#if OBJECTS > 2
        WALK(3);
#endif
#endif
        skip
#endif
     :: d_step { queue == 0 && !OVERFLOWED -> begin_round(); NOT_RUN };
        ALL_ANSWERED;
#ifdef FIBERS
#ifdef BAD_FIBER_WHILE_THEY_RUN
        d_step { stopped[0] = 0; stopped[1] = 0 };
#endif
        d_step { mark_grey(parked) };
        d_step { stopped[0] = 0; stopped[1] = 0 };
#endif
#ifdef BAD_ACCEPT_WITH_WORK
        if
        :: dirty -> dirty = 0
        :: else ->
           do
           :: SCAN(1)
           :: SCAN(2)
           :: SCAN(3)
           :: queue == 0 -> break
           od;
           break
        fi
#else
#ifndef BAD_ACCEPT_BY_ANSWERS
        if
        :: buffer[0] -> dirty = 1
        :: else
        fi;
        if
        :: buffer[1] -> dirty = 1
        :: else
        fi;
#endif
        if
        :: dirty || queue -> dirty = 0
        :: else -> break
        fi
#endif
     od;
     skip; /* Spin does not let a loop end at the head of a d_step */
     d_step { rounds = 0; dirty = 0; assert_reachable_are_marked() };

#ifdef MEMBARRIER
     switch_barrier(4, 0, BARRIER_AT_H4, WAIT_AT_H4);
#else
     d_step { ask(4) };
#endif
#ifdef BAD_GENERATION_BEFORE_H4
     d_step { move_generation() };
     ALL_ANSWERED;
#else
     ALL_ANSWERED;
     d_step { move_generation() };
#endif
     do
     :: SWEEP(1)
     :: SWEEP(2)
#if OBJECTS > 2
     :: SWEEP(3)
#endif
     :: unswept == 0 -> break
     od;
     skip;
#ifdef MEMBARRIER
     /* [model.clear] Nobody marks any more. */
     d_step { assert(mark == 0); request = 0; cycle++ }
#else
     d_step { request = 0; cycle++ }
#endif
  :: else -> break
  od
}

init {
  d_step {
    slot[0] = 1;
    alloc = SET(1);
    if
    :: START_OBJECTS == 2 -> alloc = SET(1) | SET(2); slot[1] = 2
    :: else
    fi
  }
  atomic {
    run Thread(0);
    run Thread(1);
#if DROPS > 0
    run Memory();
#endif
    run Collector()
  }
}
