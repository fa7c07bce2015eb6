/* Several markers: workers and assists that take from one queue, and termination among them.
 *
 * MARKERS processes take grey objects off the queue, scan them step by step, keep what they find for themselves or put
 * it back, and say when they are done. An assist is such a marker that runs on a program's thread; here it may run at
 * any time, also within a round. The queue counts who is active, from the take to the end, under the same lock as the
 * take and the put. The collector notes how much has arrived in the queue, then sees the queue empty and nobody active
 * in one look under its lock, and then asks H3. It accepts the round only if no answer found anything, every buffer is
 * empty, nothing has arrived since it noted the count, and the queue is again empty with nobody active.
 *
 * What is abstracted: one cycle up to acceptance (the rest is in handshake.pml), no allocation; with one register per
 * thread stores go only to the root, or are of null. The objects start as a chain from the root. The rest is as in
 * protocol.pml.
 */
#define OBJECTS 3
#define ALLOCS 0
#ifndef MARKERS
#define MARKERS 2
#endif
#ifndef REGISTERS
#define REGISTERS 1
#endif
#include "protocol.pml"

byte busy;            /* markers between take and end, guarded like the queue: [worklist.active] */
bit arrived;          /* something was put into the queue since the collector looked at the count of arrivals:
                       * [worklist.arrivals] */

proctype Thread(byte me) {
end:
  do
  :: LOAD(A != 0, A, A)
  :: LOAD(true, A, 0)
  :: DROP_A
#if REGISTERS > 1
  :: LOAD(A != 0, B, A)
  :: DROP_B
  :: STORE_NULL(B != 0, B)
  :: STORE(B != 0, B, A, A = 0)
  :: STORE(B != 0, A, B, B = 0)
#endif
  :: STORE_NULL(true, 0)
  :: STORE_NULL(A != 0, A)
  :: STORE(true, 0, A, A = 0)
  :: TEST_MARKING
  :: ENTER_SHADE
  :: d_step { at[me] == AT_PUSHED && buffer[me] != 0 ->
       queue = queue | buffer[me];
       arrived = 1;
       buffer[me] = 0 }
  :: LEAVE_SHADE
  :: ANSWER_H1
  :: ANSWER_H2
  :: ANSWER_H3
  od
}

#define TAKE(x) \
  d_step { step == IDLE && (queue & SET(x)) -> queue = queue & ~SET(x); busy++; now = x; step = SCAN_FIELD }
#define PICK(x) \
  d_step { step == PICK_NEXT && (kept & SET(x)) -> kept = kept & ~SET(x); now = x; step = SCAN_FIELD }

mtype = { IDLE, SCAN_FIELD, MARK_FOUND, PICK_NEXT, END_WORK };

proctype Marker() {
  mtype step = IDLE;
  byte now;   /* the object it scans */
  byte found; /* what the object's field was read to refer to */
  byte kept;  /* grey objects it has not put back: none once its work has ended, [marker.active] */
end:
  do
  :: TAKE(1)
  :: TAKE(2)
  :: TAKE(3)
  :: d_step { step == SCAN_FIELD -> found = slot[now]; now = 0; step = MARK_FOUND }
  :: d_step { step == MARK_FOUND ->
       if
       :: found && !(mark & SET(found)) -> mark = mark | SET(found); kept = kept | SET(found)
       :: else
       fi;
       found = 0;
       step = PICK_NEXT }
  :: PICK(1)
  :: PICK(2)
  :: PICK(3)
  :: d_step { step == PICK_NEXT ->
       if
       :: kept -> queue = queue | kept; arrived = 1; kept = 0
       :: else
       fi;
       step = END_WORK }
  :: d_step { step == END_WORK -> busy--; step = IDLE }
  od
}

#define QUIESCENT (queue == 0 && busy == 0)

proctype Collector() {
  d_step { ask(1) };
  ALL_ANSWERED;
  d_step { ask(2) };
  ALL_ANSWERED;
  d_step { request = 0; mark_grey(slot[0]) };
  do
#ifdef BAD_ARRIVALS_NOTED_LATE
  :: QUIESCENT;
     arrived = 0;
     d_step { begin_round() };
#else
  :: arrived = 0;
     QUIESCENT;
     d_step { begin_round() };
#endif
     ALL_ANSWERED;
     if
     :: buffer[0] -> dirty = 1
     :: else
     fi;
     if
     :: buffer[1] -> dirty = 1
     :: else
     fi;
#ifdef BAD_BUSY_READ_APART
     if
     :: busy -> dirty = 1
     :: else
     fi;
#define LOOKS_DONE (queue == 0)
#else
#define LOOKS_DONE QUIESCENT
#endif
#ifdef BAD_NO_ARRIVALS
#define ARRIVED false
#else
#define ARRIVED arrived
#endif
     if
     :: dirty || ARRIVED || !LOOKS_DONE -> dirty = 0
     :: else -> break
     fi
  od;
  skip; /* Spin does not let a loop end at the head of a d_step */
  d_step { assert_reachable_are_marked() }
}

init {
  d_step {
    slot[0] = 1;
    slot[1] = 2;
    slot[2] = 3;
    alloc = ALL_OBJECTS
  }
  atomic {
    run Thread(0);
    run Thread(1);
    run Collector();
    run Marker();
    if
    :: MARKERS > 1 -> run Marker()
    :: else
    fi
  }
}
