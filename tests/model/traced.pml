/* Traced memory: arm, concurrent scan, preclean, stop, against stores that no barrier sees.
 *
 * One white object X and PAGES pages of traced memory with one word each; a rooted collected object with one field,
 * which is stored through the barrier; two threads with one register. X moves among them as the threads like. A thread
 * may have the kernel write its register into a page (a read or recv from somewhere that its stack knows, too), which
 * goes on while the thread counts as stopped. The collector scans the field and each page at some time, precleans
 * PRECLEANS pages and stops; where that finds X and there are STOPS left, it lets the threads go on and stops again.
 *
 * Left out: the handshakes before marking (handshake.pml), objects that lead on to others, cells that are freed.
 */
#ifndef PAGES
#define PAGES 2
#endif
#ifndef PRECLEANS
#define PRECLEANS 2
#endif
#ifndef STOPS
#define STOPS 2
#endif

bit word[PAGES];  /* the page's word refers to X */
bit dirty[PAGES]; /* written since it was armed */
bit reg[2];
bit in_kernel[2];
bit field;
bit mark;
bit stopped;
bit copy;

#define HELD (reg[0] || reg[1] || field || word[0] || word[PAGES - 1])

#define STORE_WORD(p) \
  d_step { !stopped && !in_kernel[me] -> word[p] = reg[me]; dirty[p] = 1 }
#define LOAD_WORD(p) \
  d_step { !stopped && !in_kernel[me] -> reg[me] = word[p] }
#ifdef BAD_KERNEL_WRITES_UNSEEN
#define KERNEL_DIRTIES(p) skip
#else
#define KERNEL_DIRTIES(p) dirty[p] = 1
#endif
/* Not held up by the stop. The thread's stack keeps what is written until it returns. */
#define KERNEL_WRITE(p) \
  d_step { in_kernel[me] -> word[p] = reg[me]; KERNEL_DIRTIES(p); in_kernel[me] = 0 }

proctype Thread(byte me) {
end:
  do
  :: LOAD_WORD(0)
  :: LOAD_WORD(PAGES - 1)
  :: STORE_WORD(0)
  :: STORE_WORD(PAGES - 1)
  :: d_step { !stopped && !in_kernel[me] -> reg[me] = 0 }
  :: d_step { !stopped && !in_kernel[me] -> reg[me] = field }
  :: d_step { !stopped && !in_kernel[me] -> field = reg[me]; mark = mark | reg[me] } /* the barrier */
  :: d_step { !stopped && !in_kernel[me] -> in_kernel[me] = 1 }
  :: KERNEL_WRITE(0)
  :: KERNEL_WRITE(PAGES - 1)
  od
}

/* A page that is to be scanned: its words are read where they lie, or from a copy made before it was armed. */
#define SCAN(p) mark = mark | word[p]

proctype Collector() {
  byte p;
  byte cleaned;
  byte stops;
  bit found;
  /* arm, and the first scan of every page */
  p = 0;
  do
  :: p < PAGES ->
#ifdef BAD_STALE_COPY
     copy = word[p];
     dirty[p] = 0;
     mark = mark | copy;
     copy = 0;
#else
     dirty[p] = 0;
     SCAN(p);
#endif
     p++
  :: else -> break
  od;
  mark = mark | field; /* the rooted object is scanned */
again:
  /* preclean: taken as dirty and armed again in one step, then scanned */
  do
  :: cleaned < PRECLEANS ->
     p = 0;
     do
     :: p < PAGES ->
        if
#ifdef BAD_ARM_AFTER_SCAN
        :: dirty[p] -> SCAN(p); dirty[p] = 0
#else
        :: d_step { dirty[p] -> dirty[p] = 0 } SCAN(p)
#endif
        :: else
        fi;
        p++
     :: else -> break
     od;
     cleaned++
  :: break
  od;
#ifdef BAD_STACKS_EARLIER
  mark = mark | reg[0];
  mark = mark | reg[1];
#endif
  stopped = 1;
  found = mark;
#ifndef BAD_STACKS_EARLIER
  mark = mark | reg[0];
  mark = mark | reg[1];
#endif
  p = 0;
  do
  :: p < PAGES ->
#ifndef BAD_STOP_WITHOUT_DIRTY
     if
     :: dirty[p] -> SCAN(p)
     :: else
     fi;
#endif
     p++
  :: else -> break
  od;
  if
  :: found != mark && stops + 1 < STOPS -> /* much was found: marking goes on beside the threads */
     stops++;
     stopped = 0;
     goto again
  :: true
  fi;
  d_step { assert(!HELD || mark) } /* [model.complete] */
}

init {
  d_step {
    byte p = 0;
    do
    :: p < PAGES -> dirty[p] = 1; p++ /* never armed: counts as written */
    :: else -> break
    od
  }
  if
  :: reg[0] = 1
  :: word[0] = 1
  :: field = 1
  fi;
  atomic {
    run Thread(0);
    run Thread(1);
    run Collector()
  }
}
