/* Words of cells: who may hand out a cell, in which colour, and who sweeps it when.
 *
 * One span of two bitmap words with two cells each, two threads, the background sweeper and the collector. A thread
 * hands out the cells of its private word one by one, without any lock; when the word is used up, the slow path takes
 * the free cells of another one under the span's lock, after sweeping the span if its generation is behind. Threads
 * drop and destroy cells, pass them on through a root, and exit: give back the unused cells of their word, and start
 * again as a new thread that takes over the phase. Every cycle asks H1..H4; the generation moves on when all have
 * answered H4; the next cycle starts when the span is swept.
 *
 * The slow path is taken apart into single accesses, because a thread that has answered H4 may stand in the middle
 * of it when the generation moves on. It is inside the runtime: a signal that lands there is answered at its end. The
 * fast path's two accesses (complete the address, then give up the cell's bit) may be interrupted in between.
 *
 * MEMBARRIER is the other form of H1 and H4, as in protocol.pml: what a thread does after it has tested its flag is
 * then a step of its own, in the same stay in the runtime.
 *
 * What is abstracted: objects have no fields and the barrier is one step (handshake.pml has both), so what is reachable
 * is what threads hold, and the root. Any thread may take any word (in the runtime a span has one owner at a time).
 *
 * Bounds over the whole run: CYCLES, GIVES cells handed out, DESTROYS, EXITS, PASSES stores to the root, and
 * STALE_WORDS: cells that a scan marks because a stale word looks like their address.
 */
#ifndef CYCLES
#define CYCLES 2
#endif
#ifndef GIVES
#define GIVES 3
#endif
#ifndef DESTROYS
#define DESTROYS 0
#endif
#ifndef EXITS
#define EXITS 0
#endif
#ifndef PASSES
#define PASSES 0
#endif
#ifndef STALE_WORDS
#define STALE_WORDS 0
#endif

/* Sets of cells: bits 0 and 1 are the cells of the first bitmap word, bits 2 and 3 those of the second. */
#define ALL_CELLS 15
#define CELLS_OF(word) ((word) -> 12 : 3)
#define LOWEST(set) ((set) & -(set))

byte alloc, mark;      /* the span's bitmaps */
byte span_generation = 1;
byte generation = 1;   /* the heap's sweep generation */
byte span_lock;        /* 0, or the thread + 1, or SWEEPER */
#define SWEEPER 3

byte free[2];          /* what a thread has not handed out yet of its word */
bit word[2];           /* which word that is */
byte held[2];          /* the cells a thread refers to */
byte root;             /* the cell the root refers to */
bit marking[2], pending[2];
byte black_in[2];      /* the generation in which a thread allocates black; 0: none */
byte at[2];
byte seen[2];          /* scratch of the fast and slow path */

#define AT_REST 0
#define AT_CELL 1      /* fast path: address complete, bit not yet given up */
#define AT_LOCKED 2    /* slow path: holds the span's lock */
#define AT_SWEEP 3     /* has read the generation */
#define AT_TAKE 4      /* the span is swept */
#define AT_TAKEN 5     /* has chosen the cells */
#define AT_READ 6      /* BAD_GENERATION_BEFORE_LOCK: has read the generation, does not hold the lock yet */
#define AT_DESTROY 7   /* MEMBARRIER: has tested the flag off, the cell not yet free */
#define AT_SHADE 8     /* MEMBARRIER: has tested the flag on, inside the runtime; mark not yet set */
#define INSIDE(t) (at[t] >= AT_LOCKED)
#define IN_RUNTIME INSIDE(me)

byte request;
bit found;             /* some answer of this round found something */
bit barriers_on;       /* what a thread that attaches starts with */
byte black_now;
bit scanning;          /* between the first H2 answer and acceptance */
byte cycle, gives, destroys, exits, passes, stale;

/* What is referred to, or in somebody's private word. */
#ifdef BAD_BIT_BEFORE_ADDRESS
#define ON_ITS_WAY(t) (at[t] == AT_CELL -> seen[t] : 0)
#else
#define ON_ITS_WAY(t) 0
#endif
#define IN_USE (held[0] | held[1] | root | free[0] | free[1] | ON_ITS_WAY(0) | ON_ITS_WAY(1))

/* [model.safe] No cell in use is reclaimed. A second sweep in one generation would reclaim them all, as the first has
 * cleared their marks: [sweep.once], [span.generation]. */
inline sweep_span(to) {
  assert((alloc & ~mark & IN_USE) == 0);
  alloc = alloc & mark;
  mark = 0;
  span_generation = to
}

inline sweep_if_behind() {
  if
  :: span_generation != generation -> sweep_span(generation)
  :: else
  fi
}

#ifdef BAD_HANDOUT_WITHOUT_LOCK
#define MAY_LOCK true
#define LOCK(who) skip
#define UNLOCK skip
#else
#define MAY_LOCK (span_lock == 0)
#define LOCK(who) span_lock = who
#define UNLOCK span_lock = 0
#endif

inline scan_stack() {
  if
  :: alloc & held[me] & ~mark -> found = 1
  :: else
  fi;
  mark = mark | (alloc & held[me])
}

#define MAY_ANSWER(h) (pending[me] && request == h && !IN_RUNTIME)
#define ONLY_MINE(x) ((held[me] & (x)) && !(held[1 - me] & (x)) && !(root & (x)))

#define DROP(x) \
  d_step { at[me] == AT_REST && (held[me] & x) -> held[me] = held[me] & ~x }

/* gc::destroy: into the own word again where the cell is of that word, else free under the lock; while this thread's
 * barrier is on, the memory is left to the sweep: [destroy.not-while-marking]. */
#ifdef BAD_DESTROY_WHILE_MARKING
#define MAY_REUSE true
#else
#define MAY_REUSE (!marking[me])
#endif
#ifdef MEMBARRIER
/* The flag's test and the use of it are two steps of one stay in the runtime. */
#define DESTROY(x) \
  d_step { at[me] == AT_REST && destroys < DESTROYS && ONLY_MINE(x) && MAY_LOCK -> \
    destroys++; \
    held[me] = held[me] & ~x; \
    if \
    :: MAY_REUSE -> \
       sweep_if_behind(); \
       if \
       :: (alloc & x) && black_in[me] != span_generation -> seen[me] = x; at[me] = AT_DESTROY \
       :: else \
       fi \
    :: else \
    fi }
#define FREE_DESTROYED \
  d_step { at[me] == AT_DESTROY && MAY_LOCK -> \
    if \
    :: CELLS_OF(word[me]) & seen[me] -> free[me] = free[me] | seen[me] \
    :: else -> sweep_if_behind(); alloc = alloc & ~seen[me] \
    fi; \
    seen[me] = 0; \
    at[me] = AT_REST }
#else
#define DESTROY(x) \
  d_step { at[me] == AT_REST && destroys < DESTROYS && ONLY_MINE(x) && MAY_LOCK -> \
    destroys++; \
    held[me] = held[me] & ~x; \
    if \
    :: MAY_REUSE && (CELLS_OF(word[me]) & x) -> free[me] = free[me] | x \
    :: MAY_REUSE && !(CELLS_OF(word[me]) & x) -> sweep_if_behind(); alloc = alloc & ~x \
    :: else \
    fi }
#endif

/* The barriered store of a reference to x into the root. */
#ifdef MEMBARRIER
#define PASS(x) \
  d_step { at[me] == AT_REST && passes < PASSES && (held[me] & x) && root != x -> \
    passes++; \
    root = x; \
    if \
    :: marking[me] -> seen[me] = x; at[me] = AT_SHADE \
    :: else \
    fi }
#define SET_MARK d_step { at[me] == AT_SHADE -> mark = mark | seen[me]; seen[me] = 0; at[me] = AT_REST }
#else
#define PASS(x) \
  d_step { at[me] == AT_REST && passes < PASSES && (held[me] & x) && root != x -> \
    passes++; \
    root = x; \
    if \
    :: marking[me] -> mark = mark | x \
    :: else \
    fi }
#endif

#define CHOOSE_WORD(w) \
  d_step { at[me] == AT_TAKE && (~alloc & CELLS_OF(w)) -> \
    free[me] = ~alloc & CELLS_OF(w); word[me] = w; at[me] = AT_TAKEN }

/* [model.once] A cell that is handed out is nobody else's. */
#define assert_unused(cells, others) assert(((held[0] | held[1] | root | (others)) & (cells)) == 0)

#if defined(BAD_COLOUR_BEFORE_SWEEP)
/* The colour goes by the generation read first, the sweep reads it again. */
#define SWEEP_TO generation
#define COLOUR_BY seen[me]
#elif defined(BAD_COLOUR_AFTER_SWEEP)
/* The sweep goes by the generation read first, the colour reads it again. */
#define SWEEP_TO seen[me]
#define COLOUR_BY generation
#else
#define SWEEP_TO seen[me]
#define COLOUR_BY span_generation
#endif

proctype Thread(byte me) {
end: /* the program may stop at any time; the collector may not */
  do
  /* fast path: [alloc.address-first] */
#ifdef BAD_BIT_BEFORE_ADDRESS
  :: d_step { at[me] == AT_REST && free[me] && gives < GIVES ->
       gives++;
       seen[me] = LOWEST(free[me]);
       free[me] = free[me] & ~seen[me];
       at[me] = AT_CELL }
  :: d_step { at[me] == AT_CELL -> held[me] = held[me] | seen[me]; seen[me] = 0; at[me] = AT_REST }
#else
  :: d_step { at[me] == AT_REST && free[me] && gives < GIVES ->
       gives++;
       assert_unused(LOWEST(free[me]), free[1 - me]);
       held[me] = held[me] | LOWEST(free[me]);
       at[me] = AT_CELL }
  :: d_step { at[me] == AT_CELL -> free[me] = free[me] & ~LOWEST(free[me]); at[me] = AT_REST }
#endif

  /* slow path: [alloc.word-locked] [span.lock], [sweep.before-alloc] at AT_SWEEP, [alloc.black] at AT_TAKEN */
#ifdef BAD_GENERATION_BEFORE_LOCK
  :: d_step { at[me] == AT_REST && !free[me] -> seen[me] = generation; at[me] = AT_READ }
  :: d_step { at[me] == AT_READ && MAY_LOCK -> LOCK(me + 1); at[me] = AT_SWEEP }
#else
  :: d_step { at[me] == AT_REST && !free[me] && MAY_LOCK -> LOCK(me + 1); at[me] = AT_LOCKED }
  :: d_step { at[me] == AT_LOCKED -> seen[me] = generation; at[me] = AT_SWEEP }
#endif
  :: d_step { at[me] == AT_SWEEP ->
#ifndef BAD_UNSWEPT_SPAN
       if
       :: span_generation != SWEEP_TO -> sweep_span(SWEEP_TO)
       :: else
       fi;
#endif
       at[me] = AT_TAKE }
  :: d_step { at[me] == AT_TAKE && alloc == ALL_CELLS -> seen[me] = 0; UNLOCK; at[me] = AT_REST }
  :: CHOOSE_WORD(0)
  :: CHOOSE_WORD(1)
  :: d_step { at[me] == AT_TAKEN ->
       alloc = alloc | free[me];
       if
       :: black_in[me] == COLOUR_BY -> mark = mark | free[me]
       :: else
       fi;
       seen[me] = 0;
       UNLOCK;
       at[me] = AT_REST }

  :: DROP(1)
  :: DROP(2)
  :: DROP(4)
  :: DROP(8)
  :: DESTROY(1)
  :: DESTROY(2)
  :: DESTROY(4)
  :: DESTROY(8)
  :: PASS(1)
  :: PASS(2)
  :: PASS(4)
  :: PASS(8)
#ifdef MEMBARRIER
  :: FREE_DESTROYED
  :: SET_MARK
#endif
  :: d_step { at[me] == AT_REST && (root & ~held[me]) -> held[me] = held[me] | root }
  :: d_step { at[me] == AT_REST && PASSES > 0 && root -> root = 0 }

  /* exit, and the next thread in its place */
  :: d_step { at[me] == AT_REST && exits < EXITS && MAY_LOCK ->
       exits++;
       if
       :: free[me] -> sweep_if_behind(); alloc = alloc & ~free[me]; mark = mark & ~free[me]; free[me] = 0
       :: else
       fi;
       word[me] = 0;
       held[me] = 0;
       marking[me] = barriers_on;
       black_in[me] = black_now;
       pending[me] = 0 }

#ifdef MEMBARRIER
  :: d_step { MAY_ANSWER(1) -> pending[me] = 0 }
#else
  :: d_step { MAY_ANSWER(1) -> marking[me] = 1; pending[me] = 0 }
#endif
  :: d_step { MAY_ANSWER(2) ->
       black_in[me] = generation;
#ifndef BAD_WORD_NOT_PREMARKED
       mark = mark | free[me];
#endif
       scan_stack();
       pending[me] = 0 }
  :: d_step { MAY_ANSWER(3) -> scan_stack(); pending[me] = 0 }
  :: d_step { MAY_ANSWER(4) ->
#ifndef MEMBARRIER
       marking[me] = 0;
#endif
#ifdef BAD_WHITE_AT_H4
       black_in[me] = 0;
#endif
       pending[me] = 0 }
  od
}

/* A stack scan meets a stale word that looks like the address of an allocated cell. */
#define STALE_WORD(x) \
  d_step { scanning && stale < STALE_WORDS && (alloc & x) && !(mark & x) -> stale++; mark = mark | x; found = 1 }

proctype StaleWords() {
end:
  do
  :: STALE_WORD(1)
  :: STALE_WORD(2)
  :: STALE_WORD(4)
  :: STALE_WORD(8)
  od
}

proctype BackgroundSweeper() {
end:
  do
  :: d_step { span_generation != generation && MAY_LOCK -> LOCK(SWEEPER) };
     d_step { sweep_if_behind(); UNLOCK }
  od
}

inline ask(h) {
  request = h;
  pending[0] = 1;
  pending[1] = 1
}
#define ALL_ANSWERED (!pending[0] && !pending[1])

/* MEMBARRIER, as in protocol.pml: the collector changes the flags, and waits for those that it then sees inside. A
 * thread that attaches meanwhile takes what barriers_on says; changing that and the flags is one step, under the
 * threads' lock. */
#define SWITCH_BARRIERS(on) d_step { barriers_on = on; marking[0] = on; marking[1] = on }
#define ASK_IF_INSIDE(h) \
  d_step { request = h; pending[0] = INSIDE(0) }; \
  d_step { pending[1] = INSIDE(1) }; \
  ALL_ANSWERED

proctype Collector() {
  do
  :: cycle < CYCLES ->
     /* [model.clear] A cycle begins with all marks clear: [collector.order] [sweep.finished]. */
#ifdef MEMBARRIER
     d_step { span_generation == generation -> assert(mark == 0) };
     SWITCH_BARRIERS(1);
#ifndef NO_WAIT_AT_H1
     ASK_IF_INSIDE(1);
#endif
#else
     d_step { span_generation == generation -> assert(mark == 0); ask(1); barriers_on = 1 };
     ALL_ANSWERED;
#endif
     d_step { ask(2); black_now = generation; scanning = 1 };
     ALL_ANSWERED;
     d_step { mark = mark | root };
     do
     :: d_step { found = 0; ask(3) };
        ALL_ANSWERED;
        if
        :: found
        :: else -> break
        fi
     od;
     skip; /* Spin does not let a loop end at the head of a d_step */
     /* [model.complete] Whatever is in use is marked. */
     d_step { scanning = 0; found = 0; assert((IN_USE & alloc & ~mark) == 0) };
#ifdef MEMBARRIER
     SWITCH_BARRIERS(0);
#ifndef BAD_NO_WAIT_AT_H4
     ASK_IF_INSIDE(4);
#endif
#else
     d_step { ask(4); barriers_on = 0 };
#endif
#ifdef BAD_GENERATION_BEFORE_H4
     d_step { generation++; black_now = 0 };
     ALL_ANSWERED;
#else
     ALL_ANSWERED;
     d_step { generation++; black_now = 0 };
#endif
     d_step { span_generation == generation -> request = 0; cycle++ }
  :: else -> break
  od
}

init {
  atomic {
    run Thread(0);
    run Thread(1);
    run BackgroundSweeper();
    run Collector();
    if
    :: STALE_WORDS > 0 -> run StaleWords()
    :: else
    fi
  }
}
