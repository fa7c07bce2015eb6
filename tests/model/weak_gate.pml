/* Weak references and finalizers: the weak gate, and what happens behind it.
 *
 * One weak reference and one finalizer entry over the protocol of protocol.pml. Two threads with one register each
 * load, store to the root, drop, allocate, lock the weak reference, point it at what they hold, and set a finalizer.
 * The object graph is a chain: the root leads to 1, object 1 to 2; the weak reference and, where FINALIZER is given,
 * the finalizer start out on object 1.
 *
 * A weak lock is one piece of the runtime: a signal inside it is answered at its end. It tests self.marking; off: it
 * returns the target; on ([specials.gate]): it takes the weak mutex and, while the gate is open, shades the target, and
 * once the gate is closed returns a marked target or null. The collector accepts a round only while it holds the weak
 * mutex, and closes the gate before it lets go of it. Behind the gate it clears a weak reference to an unmarked object,
 * then resurrects an unmarked object with a finalizer: marks it, and hands it to the finalizer thread (either thread,
 * at any later time). A lock that finds the gate closed says null for what is unmarked, and that may be said of nothing
 * reachable. What that object refers to was traced as a root during marking.
 *
 * LOCK_RELOADS is the other sound form of the weak lock, for a flag test that is inlined into the program: load the
 * target, test the flag, and where it is off load once more; only the same target twice is returned.
 *
 * What is abstracted: changing the weak reference and setting a finalizer are one step under the mutex; marks and
 * cells are as in protocol.pml.
 *
 * Bounds beyond protocol.pml: LOCKS weak locks, RETARGETS changes of the weak reference, SETS set_finalizer calls.
 */
#ifndef LOCKS
#define LOCKS 2
#endif
#ifndef RETARGETS
#define RETARGETS 0
#endif
#ifndef SETS
#define SETS 0
#endif

/* IN_CYCLES: the finalizer is one for cycles. What its object refers to is not traced beforehand; an unmarked one is
 * taken behind the gate, with the weak references to it cleared, the gate is opened again, it is queued, and marking
 * goes on from the queue with further rounds ([specials.in_cycles]). Who takes it from the queue shades it. */
#ifdef IN_CYCLES
#define TRACED_BEFORE 0
#else
#define TRACED_BEFORE slot[with_finalizer]
#endif

/* What the finalizer queue holds is reachable, and so is what an object with a finalizer refers to. A lock that has
 * loaded the target but not yet decided to return it holds nothing. */
#define UNDECIDED(t) (at[t] == AT_LOCK || at[t] == AT_LOCK_PLAIN)
#define HELD \
  (SET(reg[0]) | SET(reg[2]) | (UNDECIDED(0) -> 0 : SET(flight[0])) | (UNDECIDED(1) -> 0 : SET(flight[1])) \
   | finalizable | SET(TRACED_BEFORE))

byte weak;           /* target of the weak reference */
byte with_finalizer; /* the object that has a finalizer */
byte finalizable;    /* the finalizer queue, a set: resurrected, the finalizer not yet begun */
byte weak_mutex;     /* 0, or the thread + 1, or COLLECTOR */
bit gate_closed;
#ifdef IN_CYCLES
byte revived; /* taken by the collector, not yet queued */
#endif
byte locks, retargets, sets;
#define COLLECTOR 3

/* Steps of a weak lock. */
#define AT_LOCK 5         /* entered, self.marking not yet tested */
#define AT_LOCK_PLAIN 6   /* tested off */
#define AT_LOCK_MUTEX 7   /* tested on: about to take the mutex */
#define AT_LOCK_GATE 8    /* holds the mutex */
#define AT_LOCK_PUSHED 9  /* holds the mutex, has pushed the target, mark not yet set */

#if defined(LOCK_RELOADS) || defined(BAD_LOCK_TEST_THEN_LOAD) || defined(BAD_LOCK_LOAD_THEN_TEST)
/* The flag's test and the load are inlined into the program, where a signal may land between any two steps. */
#define RUNTIME (at[me] == AT_PUSHED || at[me] == AT_LOCK_GATE || at[me] == AT_LOCK_PUSHED)
#elif defined(MEMBARRIER)
#define INSIDE(t) (at[t] == AT_PUSHED || (at[t] >= AT_LOCK && at[t] <= AT_RETESTED))
#else
#define RUNTIME (at[me] == AT_PUSHED || (at[me] >= AT_LOCK && at[me] <= AT_LOCK_PUSHED))
#endif
#include "protocol.pml"

/* The finalizer thread takes an object off its queue. */
#ifdef IN_CYCLES
#define SHADE_TAKEN(x) \
  if \
  :: marking[me] && !(mark & SET(x)) -> buffer[me] = buffer[me] | SET(x); mark = mark | SET(x) \
  :: else \
  fi
#else
#define SHADE_TAKEN(x) skip
#endif
#define RUN_FINALIZER(x) \
  d_step { RUNS && A == 0 && (finalizable & SET(x)) -> \
    A = x; finalizable = finalizable & ~SET(x); SHADE_TAKEN(x) }

proctype Thread(byte me) {
end:
  do
  :: LOAD(A != 0, A, A)
  :: LOAD(true, A, 0)
  :: DROP_A
  :: d_step { RUNS && allocs < ALLOCS && A == 0 -> allocate() }
  :: STORE_NULL(true, 0)
  :: STORE(true, 0, A, skip)
  :: TEST_MARKING
#ifdef MEMBARRIER
  :: ENTER_RUNTIME
  :: TEST_AGAIN
#endif
  :: ENTER_SHADE
  :: FLUSH_FULL_BUFFER
  :: LEAVE_SHADE

  /* weak lock into an empty register; while it runs, `flight` is the lock's own register */
  :: d_step { RUNS && A == 0 && locks < LOCKS ->
       locks++;
#if defined(LOCK_RELOADS) || defined(BAD_LOCK_LOAD_THEN_TEST)
       flight[me] = weak;
#endif
       at[me] = AT_LOCK }
#ifdef BAD_LOCK_WITHOUT_GATE
  :: d_step { at[me] == AT_LOCK -> A = weak; at[me] = AT_REST }
#else
  :: d_step { at[me] == AT_LOCK ->
       if
       :: marking[me] -> flight[me] = 0; at[me] = AT_LOCK_MUTEX
       :: else -> at[me] = AT_LOCK_PLAIN
       fi }
#endif
#if defined(BAD_LOCK_LOAD_THEN_TEST)
  :: d_step { at[me] == AT_LOCK_PLAIN -> A = flight[me]; flight[me] = 0; at[me] = AT_REST }
#elif defined(LOCK_RELOADS)
  :: d_step { at[me] == AT_LOCK_PLAIN ->
       if
       :: flight[me] == weak -> A = weak; flight[me] = 0; at[me] = AT_REST
       :: else -> flight[me] = weak; at[me] = AT_LOCK
       fi }
#else
  :: d_step { at[me] == AT_LOCK_PLAIN -> A = weak; at[me] = AT_REST }
#endif
  :: d_step { at[me] == AT_LOCK_MUTEX && weak_mutex == 0 -> weak_mutex = me + 1; at[me] = AT_LOCK_GATE }
  :: d_step { at[me] == AT_LOCK_GATE ->
       if
       :: weak == 0 || (mark & SET(weak)) -> A = weak; weak_mutex = 0; at[me] = AT_REST
       :: else ->
          if
          :: gate_closed -> assert_unreachable(weak); weak_mutex = 0; at[me] = AT_REST
          :: else -> flight[me] = weak; buffer[me] = buffer[me] | SET(weak); at[me] = AT_LOCK_PUSHED
          fi
       fi }
  :: d_step { at[me] == AT_LOCK_PUSHED ->
       mark = mark | SET(flight[me]);
       A = flight[me];
       flight[me] = 0;
       weak_mutex = 0;
       at[me] = AT_REST }

  /* point the weak reference at what this thread holds */
  :: d_step { RUNS && A != 0 && retargets < RETARGETS && weak_mutex == 0 -> retargets++; weak = A }

  /* set_finalizer: during marking the object is shaded, because the roots may have been traced already */
  :: d_step { RUNS && A != 0 && sets < SETS && with_finalizer == 0 && weak_mutex == 0 ->
       sets++;
       with_finalizer = A;
#ifndef BAD_FINALIZER_NOT_SHADED
       if
       :: marking[me] && !(mark & SET(A)) -> buffer[me] = buffer[me] | SET(A); mark = mark | SET(A)
       :: else
       fi
#endif
     }
  :: RUN_FINALIZER(1)
  :: RUN_FINALIZER(2)

  :: ANSWER_H1
  :: ANSWER_H2
  :: ANSWER_H3
  :: ANSWER_H4
  od
}

proctype Collector() {
  do
  :: cycle < CYCLES ->
#ifdef MEMBARRIER
     d_step { gate_closed = 0 };
     switch_barrier(1, 1, BARRIER_AT_H1, WAIT_AT_H1);
#else
     d_step { ask(1); gate_closed = 0 };
     ALL_ANSWERED;
#endif
     d_step { ask(2) };
     ALL_ANSWERED;

     d_step {
       request = 0;
       mark_grey(slot[0]);
       if
       :: finalizable & SET(1) -> mark_grey(1)
       :: else
       fi;
       if
       :: finalizable & SET(2) -> mark_grey(2)
       :: else
       fi;
       mark_grey(TRACED_BEFORE) };
#ifdef IN_CYCLES
marking_goes_on:
#endif
     do
     :: SCAN(1)
     :: SCAN(2)
     :: d_step { queue == 0 -> begin_round() }
        ALL_ANSWERED;
#ifndef BAD_ACCEPT_WITHOUT_MUTEX
        d_step { weak_mutex == 0 -> weak_mutex = COLLECTOR };
#endif
        if
        :: buffer[0] -> dirty = 1
        :: else
        fi;
        if
        :: buffer[1] -> dirty = 1
        :: else
        fi;
        if
        :: dirty || queue ->
           d_step { dirty = 0; weak_mutex = 0 }
        :: else -> break
        fi
     od;
     skip; /* Spin does not let a loop end at the head of a d_step */
#ifdef BAD_ACCEPT_WITHOUT_MUTEX
     d_step { weak_mutex == 0 -> weak_mutex = COLLECTOR };
#endif
     d_step { rounds = 0; dirty = 0; gate_closed = 1; assert_reachable_are_marked() };
     d_step { weak_mutex = 0 };

#ifdef IN_CYCLES
     if
     :: d_step { with_finalizer != 0 && !(mark & SET(with_finalizer)) && weak_mutex == 0 ->
          revived = with_finalizer;
          with_finalizer = 0;
          if
          :: weak == revived -> assert_unreachable(weak); weak = 0
          :: else
          fi }
#ifdef BAD_QUEUED_BEHIND_THE_GATE
        d_step { finalizable = finalizable | SET(revived) };
#endif
        d_step { weak_mutex == 0 -> gate_closed = 0 };
        d_step {
#ifndef BAD_QUEUED_BEHIND_THE_GATE
          finalizable = finalizable | SET(revived);
#endif
          revived = 0;
          if
          :: finalizable & SET(1) -> mark_grey(1)
          :: else
          fi;
          if
          :: finalizable & SET(2) -> mark_grey(2)
          :: else
          fi };
        goto marking_goes_on
     :: with_finalizer == 0 || (mark & SET(with_finalizer))
     fi;
#endif
     /* [model.weak] A weak reference is cleared only when its object is unreachable. */
     d_step { weak_mutex == 0 ->
       if
       :: weak != 0 && !(mark & SET(weak)) -> assert_unreachable(weak); weak = 0
       :: else
       fi };
     d_step {
       if
       :: with_finalizer != 0 && !(mark & SET(with_finalizer)) ->
          mark = mark | SET(with_finalizer);
          finalizable = finalizable | SET(with_finalizer);
          with_finalizer = 0
       :: else
       fi };

#ifdef MEMBARRIER
     switch_barrier(4, 0, BARRIER_AT_H4, WAIT_AT_H4);
#else
     d_step { ask(4) };
     ALL_ANSWERED;
#endif
     d_step { move_generation() };
     do
     :: SWEEP(1)
     :: SWEEP(2)
     :: unswept == 0 -> break
     od;
     skip;
     /* [model.weak-valid] A weak reference never leads to a free cell. */
     d_step { assert((SET(weak) & ~alloc) == 0); request = 0; cycle++ }
  :: else -> break
  od
}

init {
  d_step {
    slot[0] = 1;
    slot[1] = 2;
    alloc = SET(1) | SET(2);
    weak = 1;
#ifdef FINALIZER
    with_finalizer = 1
#endif
  }
  atomic { run Thread(0); run Thread(1); run Collector() }
}
