/* Generations of a sync::Pool: threads on their private slots against the hook that rotates, drain(), and the
 * collector.
 *
 * THREADS threads, at most two, get and put, each through the entry it remembers (inlined path) or by looking up the
 * current generation (slow path), every load and store a step of its own. The collector runs CYCLES cycles: the hook's
 * steps under the pool's lock, then it reads what the pool refers to, then it looks at each thread's registers, then it
 * frees the generations that it found nowhere and that were there when it began. A thread may look up, make and
 * remember generations at any time meanwhile. A further process drains DRAINS times. A generation stands for all its
 * locals: thread t has private slot t in each. What a thread remembers in its entry keeps nothing alive.
 *
 * [model.reachable]  no thread touches a local that was freed. [pool.local-first] [pool.epoch-first]
 * [model.once]       no object is handed out twice. [pool.owner]
 * [model.survives]   an object whose put began before at most one rotation is in the current generation or the victim
 *                    when a rotation has ended, unless it was drained. [pool.current]
 * [model.drained]    what was put before drain() began is not handed out to a get that begins after it. [pool.lock]
 * [model.on-list]    in the end a pool with a generation is on the hook's list. [pool.listed]
 *
 * What is abstracted: epochs are counted from 1 and never come back, as the real 64-bit ones; a generation's number is
 * its address, which is not reused, but any touch of a freed one is an error; shared rings are in pool_deque.pml;
 * tracing is one look at the pool and one at each thread (handshake.pml shows why that may be), and what is made
 * during a cycle survives it.
 *
 * Bad variants: BAD_CHECK_FIRST compares the epochs before it loads the local; BAD_CURRENT_FIRST clears `current`
 * before it moves the epoch on; BAD_EPOCH_READ_FIRST reads the epoch before `current` when it looks for a stale one;
 * BAD_NO_SECOND_LOOK trusts a new generation without looking at the epoch again; BAD_LISTED_LATE looks at `current`
 * before it takes the pool off the list; BAD_DRAIN_KEEPS_EPOCH clears `current` and the victim and leaves the epoch;
 * BAD_DRAIN_WITHOUT_LOCK drains in the middle of a rotation.
 */
#ifndef THREADS
#define THREADS 2
#endif
#ifndef OPS
#define OPS 3
#endif
#ifndef CYCLES
#define CYCLES 3
#endif
#ifndef DRAINS
#define DRAINS 0
#endif
#ifndef GENERATIONS
#define GENERATIONS 6
#endif
#define SET(x) (1 << (x))

/* The pool. Generations are 1 to GENERATIONS, 0 is none; objects are 1 and 2. */
byte epoch = 1, next_epoch = 2;
byte current, victim;
bit locked;
byte listed, on_list; /* on_list counts how often */
byte epoch_of[GENERATIONS + 1];
bit dropped[GENERATIONS + 1];
byte private[2 * (GENERATIONS + 1)];
byte made;
byte freed;     /* a set */
byte rotations;
byte drains;    /* two a drain: odd while one is under way */

byte entry_epoch[2], entry_generation[2];
byte in_hand;   /* a set of objects: handed out, or not yet put */
byte begun_at[3], drains_at[3];
#if DRAINS
byte drains_put[3], drains_got[2];
#endif
byte registers[2]; /* sets of generations: what each thread's registers and frames hold */
byte done;

#define PRIVATE(g) private[2 * (g) + me]
#define TOUCH(g) assert(!(freed & SET(g)))
#if DRAINS
#define DRAINED(x) (drains_put[x] % 2 == 0 && drains_got[me] % 2 == 0 && drains_put[x] < drains_got[me])
#define NOTE_PUT(x) drains_put[x] = drains
#define NOTE_GET drains_got[me] = drains
#else
#define DRAINED(x) 0
#define NOTE_PUT(x) skip
#define NOTE_GET skip
#endif
#define VALID(g) ((g) != 0 && epoch_of[g] == epoch)

inline take(g) {
  d_step { TOUCH(g); x = PRIVATE(g) };
  if
  :: x != 0 ->
     d_step {
       TOUCH(g);
       PRIVATE(g) = 0;
       assert(!(in_hand & SET(x)));
       assert(!DRAINED(x));
       in_hand = in_hand | SET(x);
       mine = x;
       x = 0 }
  :: else
  fi
}

inline store(g) {
  d_step { TOUCH(g); x = PRIVATE(g) };
  if
  :: d_step { x == 0 ->
       TOUCH(g);
       PRIVATE(g) = mine;
       in_hand = in_hand & ~SET(mine);
       NOTE_PUT(mine);
       mine = 0 }
  :: else -> d_step { x = 0; in_hand = in_hand & ~SET(mine); begun_at[mine] = 99; mine = 0 } /* discarded */
  fi
}

/* The local that the entry remembers, if its epoch is the pool's: `l`, or 0. */
inline at_hand() {
#ifdef BAD_CHECK_FIRST
  if
  :: entry_epoch[me] == epoch -> d_step { l = entry_generation[me]; registers[me] = SET(l) }
  :: else
  fi
#else
  d_step { l = entry_generation[me]; registers[me] = SET(l) };
  if
  :: entry_epoch[me] == epoch
  :: else -> d_step { l = 0; registers[me] = 0 }
  fi
#endif
}

proctype Thread(byte me) {
  byte ops, l, g, e, x;
  byte mine = me + 1; /* the object it has */
  do
  :: ops < OPS && mine == 0 -> /* get */
     d_step { ops++; NOTE_GET };
     at_hand();
     if
     :: l != 0 -> take(l)
     :: else
     fi;
     if
     :: mine == 0 ->
        d_step { l = 0; g = current; registers[me] = SET(g) };
        if
        :: VALID(g) ->
           d_step { entry_epoch[me] = epoch_of[g]; entry_generation[me] = g };
           take(g)
        :: else
        fi
     :: else
     fi;
     if
     :: mine == 0 ->
        d_step { g = victim; registers[me] = SET(g) };
        if
        :: g != 0 && !dropped[g] -> take(g)
        :: else
        fi
     :: else
     fi;
     d_step { l = 0; g = 0; registers[me] = 0 }
  :: ops < OPS && mine != 0 -> /* put */
     d_step { ops++; begun_at[mine] = rotations; drains_at[mine] = drains };
     at_hand();
     if
     :: l != 0 -> store(l)
     :: else
     fi;
     do
     :: mine == 0 -> break
     :: else ->
#ifdef BAD_EPOCH_READ_FIRST
        e = epoch;
        d_step { g = current; registers[me] = SET(g) };
#else
        d_step { g = current; registers[me] = SET(g) };
        e = epoch;
#endif
        if
        :: g != 0 && epoch_of[g] == e
        :: else ->
           /* a new one, if `current` is still what it was */
           if
           :: d_step { current == g && made < GENERATIONS ->
                made++;
                epoch_of[made] = e;
                current = made;
                g = made;
                registers[me] = SET(g) };
              if
              :: listed == 0 ->
                 if
                 :: d_step { listed == 0 -> listed = 1; on_list++ }
                 :: d_step { listed != 0 -> skip }
                 fi
              :: else
              fi;
#ifndef BAD_NO_SECOND_LOOK
              if
              :: epoch == e
              :: else -> g = 0
              fi
#endif
           :: d_step { current != g -> g = 0 }
           :: d_step { current == g && made == GENERATIONS -> /* the model has none left: discarded */
                g = 0;
                begun_at[mine] = 99;
                in_hand = in_hand & ~SET(mine);
                mine = 0 }
           fi
        fi;
        if
        :: g != 0 ->
           d_step { entry_epoch[me] = epoch_of[g]; entry_generation[me] = g };
           store(g)
        :: else
        fi
     od;
     skip; /* Spin does not let a loop end at the head of a d_step */
     d_step { l = 0; g = 0; e = 0; registers[me] = 0 }
  :: ops == OPS || (mine == 0 && ops > 0) -> break
  od;
  done++
}

#define HELD(t) registers[t]
/* Object x is where a get finds it. */
#define IN(g, x) ((g) != 0 && !dropped[g] && (private[2 * (g)] == (x) || private[2 * (g) + 1] == (x)))
#define FOUND(x) ((VALID(current) && IN(current, x)) || IN(victim, x))
#define SURVIVES(x) \
  ((in_hand & SET(x)) || drains_at[x] != drains || drains % 2 == 1 || begun_at[x] == 99 || \
   rotations - begun_at[x] > 1 || FOUND(x))

proctype Collector() {
  byte cycle, c, v, keep, old;
  bit valid;
  do
  :: cycle < CYCLES ->
     cycle++;
     if
     :: on_list != 0 ->
        /* rotate() */
        d_step { locked == 0 -> locked = 1 };
        c = current;
        valid = VALID(c);
        v = victim;
#ifdef BAD_CURRENT_FIRST
        if
        :: d_step { current == c -> current = 0 }
        :: d_step { current != c -> skip }
        fi;
#endif
        if
        :: valid -> d_step { epoch = next_epoch; next_epoch++ }
        :: else
        fi;
        dropped[v] = 1;
        victim = (valid -> c : 0);
#ifndef BAD_CURRENT_FIRST
        if
        :: d_step { current == c -> current = 0 }
        :: d_step { current != c -> skip }
        fi;
#endif
        d_step { rotations = rotations + 1; locked = 0; assert(SURVIVES(1)); assert(SURVIVES(2)) };
        /* take_off() */
        if
        :: valid
        :: else ->
#ifdef BAD_LISTED_LATE
           c = current;
           listed = 0;
#else
           listed = 0;
           c = current;
#endif
           if
           :: c == 0 -> on_list--
           :: else ->
              if
              :: d_step { listed == 0 -> listed = 1 }
              :: d_step { listed != 0 -> on_list-- }
              fi
           fi
        fi
     :: else
     fi;
     d_step { keep = SET(current) | SET(victim) | SET(0); old = made };
     keep = keep | HELD(0);
     keep = keep | HELD(1);
     d_step {
       v = 1;
       do
       :: v <= old ->
          if
          :: !(keep & SET(v)) -> freed = freed | SET(v)
          :: else
          fi;
          v++
       :: else -> break
       od;
       c = 0;
       v = 0;
       keep = 0;
       old = 0;
       valid = 0
     }
  :: else -> break
  od;
  done == THREADS;
  assert(!(VALID(current) || victim != 0) || on_list == 1)
}

#if DRAINS
proctype Drainer() {
  byte c;
  do
  :: drains < 2 * DRAINS ->
#ifdef BAD_DRAIN_WITHOUT_LOCK
     drains++;
#else
     d_step { locked == 0 -> locked = 1; drains++ };
#endif
#ifndef BAD_DRAIN_KEEPS_EPOCH
     d_step { epoch = next_epoch; next_epoch++ };
#endif
     c = current;
     if
     :: c != 0 && epoch_of[c] != epoch ->
        dropped[c] = 1;
        if
        :: d_step { current == c -> current = 0 }
        :: d_step { current != c -> skip }
        fi
     :: else
     fi;
     dropped[victim] = 1;
     victim = 0;
#ifdef BAD_DRAIN_WITHOUT_LOCK
     d_step { c = 0; drains++ }
#else
     d_step { c = 0; drains++; locked = 0 }
#endif
  :: else -> break
  od
}
#endif

init {
  d_step { in_hand = SET(1) | SET(2) };
  atomic {
    run Thread(0);
#if THREADS > 1
    run Thread(1);
#endif
    run Collector();
#if DRAINS
    run Drainer()
#endif
  }
}
