/* Threads that block, come and go.
 *
 * Two threads with two registers each. Both may block at any time between two steps of their program; thread 1 is
 * detached at first, attaches, exits, and attaches again. The collector answers for a blocked thread: it takes it
 * (Blocked -> Taken by compare-exchange), does what the request asks in several steps, and lets it go (-> Blocked). A
 * thread leaves Blocked by its own compare-exchange, which fails while it is taken. A thread that attaches starts with
 * what the request made last demands of everybody, and counts as having answered it. A thread that exits hands its
 * buffer to the queue.
 *
 * REENTER: the root may be destroyed by a blocked thread. It enters the runtime for that, and leaves it without a look
 * at the request: the collector answers for it.
 *
 * SKIP_UNMOVED: the collector notes that it has scanned a thread's stack; leaving Blocked takes the note away. In H3
 * the stack of a thread with the note is not scanned again.
 *
 * What is abstracted: attaching and exiting are one step, and may fall into the middle of a handshake; with the threads
 * lock held throughout one, as the runtime has it, they fall between two: fewer interleavings. Cells that an exiting
 * thread has not used are in sweep_alloc.pml. The rest is as in protocol.pml.
 *
 * Bounds beyond protocol.pml: BLOCKS times that a thread blocks, ATTACHES times that thread 1 attaches.
 * START_OBJECTS as in handshake.pml.
 */
#ifndef BLOCKS
#define BLOCKS 1
#endif
#ifndef START_OBJECTS
#define START_OBJECTS 2
#endif
#ifndef ATTACHES
#define ATTACHES 2
#endif

#define DETACHED 0
#define RUNNING 1
#define BLOCKED 2
#define TAKEN 3

#define RUNS (at[me] == AT_REST && mode[me] == RUNNING)
#define MAY_ANSWER(h) (pending[me] && request == h && mode[me] == RUNNING && at[me] != AT_PUSHED)
byte mode[2];
#include "protocol.pml"

byte blocks, attaches;
#ifdef SKIP_UNMOVED
bit unmoved[2];    /* scanned in this cycle, and blocked ever since */
#define NOTE_UNMOVED unmoved[me] = 1
#ifdef BAD_UNMOVED_KEPT
#define FORGET_UNMOVED skip
#else
#define FORGET_UNMOVED unmoved[me] = 0
#endif
#else
#define NOTE_UNMOVED skip
#define FORGET_UNMOVED skip
#endif
#ifdef BAD_ANSWER_WHILE_BLOCKED
byte late_answer[2]; /* the request that a blocked thread has begun to answer itself */
#endif
bit barriers_on;   /* what a thread that attaches starts with */
bit allocate_black_on;

proctype Thread(byte me) {
end:
  do
  :: LOAD(A != 0, A, A)
  :: LOAD(A != 0, B, A)
  :: LOAD(true, A, 0)
  :: LOAD(true, B, 0)
  :: DROP_A
  :: DROP_B
  :: ALLOCATE
  :: STORE_NULL(true, 0)
  :: STORE_NULL(A != 0, A)
  :: STORE(true, 0, A, A = 0)
  :: STORE(B != 0, B, A, A = 0)
  :: STORE(B != 0, A, B, B = 0)
  :: TEST_MARKING
  :: ENTER_SHADE
  :: LEAVE_SHADE
  :: ANSWER_H1
  :: ANSWER_H2
  :: ANSWER_H3
  :: ANSWER_H4

  /* [thread.taken] */
  :: d_step { RUNS && blocks < BLOCKS -> blocks++; mode[me] = BLOCKED }
#ifdef BAD_LEAVE_WHILE_TAKEN
  :: d_step { mode[me] == BLOCKED || mode[me] == TAKEN -> mode[me] = RUNNING }
#else
  :: d_step { mode[me] == BLOCKED -> mode[me] = RUNNING; FORGET_UNMOVED }
#endif
#ifdef REENTER
  :: d_step { at[me] == AT_REST && (mode[me] == BLOCKED || mode[me] == TAKEN) && slot[0] != 0 -> slot[0] = 0 }
#endif
#ifdef BAD_ANSWER_WHILE_BLOCKED
  :: d_step { at[me] == AT_REST && (mode[me] == BLOCKED || mode[me] == TAKEN) && pending[me] && late_answer[me] == 0 ->
       late_answer[me] = request }
  :: d_step { late_answer[me] != 0 ->
       if
       :: late_answer[me] == 1 -> barrier_on()
       :: late_answer[me] == 4 -> barrier_off()
       :: else -> pending[me] = 0
       fi;
       late_answer[me] = 0 }
#endif

  :: d_step { me == 1 && mode[me] == DETACHED && attaches < ATTACHES ->
       attaches++;
       mode[me] = RUNNING;
#ifndef BAD_ATTACH_IDLE
       marking[me] = barriers_on;
#ifdef BAD_ATTACH_WHITE_AFTER_H4
       if
       :: barriers_on && allocate_black_on -> black = black | (1 << me)
       :: else
       fi
#else
       if
       :: allocate_black_on -> black = black | (1 << me)
       :: else
       fi
#endif
#endif
     }
  :: d_step { me == 1 && RUNS ->
       mode[me] = DETACHED;
       A = 0;
       B = 0;
#ifndef BAD_EXIT_DROPS_BUFFER
       queue = queue | buffer[me];
#endif
       buffer[me] = 0;
       marking[me] = 0;
       black = black & ~(1 << me);
       pending[me] = 0 }
  od
}

/* The collector asks every attached thread, and answers for those it finds blocked: [handshake.once], and
 * [handshake.open] for those that attach and exit meanwhile. */
inline ask_attached(h) {
  request = h;
  pending[0] = mode[0] != DETACHED;
  pending[1] = mode[1] != DETACHED
}

#ifdef BAD_LEAVE_WHILE_TAKEN
#define RELEASE \
  if \
  :: mode[me] == TAKEN -> mode[me] = BLOCKED \
  :: else \
  fi; \
  me = 0
#else
#define RELEASE mode[me] = BLOCKED; me = 0
#endif

/* The collector's answer for thread `me`, which it has taken; its stack is scanned word by word. */
inline answer_for_taken() {
  if
  :: d_step { request == 1 -> barrier_on(); RELEASE }
#ifdef BAD_UNMOVED_AT_H2
  :: d_step { request == 2 && unmoved[me] -> black = black | (1 << me); hand_over_buffer(); pending[me] = 0; RELEASE }
  :: d_step { request == 2 && !unmoved[me] -> black = black | (1 << me); mark_grey(A) };
#else
  :: d_step { request == 2 -> black = black | (1 << me); mark_grey(A) };
#endif
     d_step { mark_grey(B); hand_over_buffer(); pending[me] = 0; NOTE_UNMOVED; RELEASE }
#ifdef SKIP_UNMOVED
  :: d_step { request == 3 && unmoved[me] -> hand_over_buffer(); pending[me] = 0; RELEASE }
  :: d_step { request == 3 && !unmoved[me] -> mark_grey(A) };
#else
  :: d_step { request == 3 -> mark_grey(A) };
#endif
     d_step { mark_grey(B); hand_over_buffer(); pending[me] = 0; NOTE_UNMOVED; RELEASE }
  :: d_step { request == 4 -> barrier_off(); RELEASE }
  fi
}

inline wait_for_answers() {
  do
  :: ALL_ANSWERED -> break
  :: d_step { pending[0] && mode[0] == BLOCKED -> mode[0] = TAKEN; me = 0 };
     answer_for_taken()
  :: d_step { pending[1] && mode[1] == BLOCKED -> mode[1] = TAKEN; me = 1 };
     answer_for_taken()
  od;
  skip /* Spin does not let a loop end at the head of a d_step */
}

proctype Collector() {
  byte me; /* the thread it answers for */
  do
  :: cycle < CYCLES ->
     d_step { ask_attached(1); barriers_on = 1 };
     wait_for_answers();
     d_step { ask_attached(2); allocate_black_on = 1 };
     wait_for_answers();

     d_step { request = 0; mark_grey(slot[0]) };
     do
     :: SCAN(1)
     :: SCAN(2)
     :: d_step { queue == 0 -> begin_round(); ask_attached(3) };
        wait_for_answers();
        if
        :: buffer[0] -> dirty = 1
        :: else
        fi;
        if
        :: buffer[1] -> dirty = 1
        :: else
        fi;
        if
        :: dirty || queue -> dirty = 0
        :: else -> break
        fi
     od;
     skip;
     d_step { rounds = 0; dirty = 0; assert_reachable_are_marked() };

     d_step { ask_attached(4); barriers_on = 0 };
     wait_for_answers();
     d_step {
       move_generation();
#ifndef BAD_ATTACH_BLACK_IN_NEW_GENERATION
       allocate_black_on = 0
#endif
     };
     do
     :: SWEEP(1)
     :: SWEEP(2)
     :: unswept == 0 -> break
     od;
     skip;
     d_step { request = 0; cycle++ }
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
    fi;
    mode[0] = RUNNING
  }
  atomic { run Thread(0); run Thread(1); run Collector() }
}
