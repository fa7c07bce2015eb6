/* The deque of sync::Pool: an owner pushes and pops at the head of a chain of rings, thieves pop at its tails.
 *
 * Every ring has SIZE slots. Head and tail count modulo COUNT, as the 32 bits of the real ones, so that they wrap in
 * every run; they lie in one word, which is loaded, compared and exchanged, and added to in one step each. Everything
 * else takes a step of its own: the look at a slot, the store into it, the exchange, the read, the clearing, the links
 * of the chain. The owner pushes ITEMS items and pops up to POPS times in any order; THIEVES thieves try STEALS times
 * each; a try is repeated while its exchange fails.
 *
 * [model.once]  no item is handed out twice, and what is handed out is an item. [ring.one-word] [ring.clear]
 * [model.kept]  in the end every item has been handed out, or can be reached from the tail. [chain.drained]
 *
 * What is abstracted: rings do not double (each is filled all the same); a reference is a number; memory is
 * sequentially consistent (pool/ring.h names the partner of each acquire and release); what nobody refers to is
 * collected, so a ring is never reused.
 *
 * Bad variants: BAD_SLOT_NOT_CHECKED pushes into a slot whose thief has not cleared it; BAD_READ_BEFORE_CAS reads
 * the slot first and takes it after; BAD_TWO_WORDS keeps head and tail apart; BAD_COUNTS_AS_SMALL_AS_SLOTS lets the
 * counts wrap at the number of slots; BAD_NEWER_READ_LATE looks for a newer ring after it found this one empty.
 */
#ifndef ITEMS
#define ITEMS 5
#endif
#ifndef POPS
#define POPS 2
#endif
#ifndef THIEVES
#define THIEVES 2
#endif
#ifndef STEALS
#define STEALS 2
#endif
#ifndef RINGS
#define RINGS 2
#endif
#define SIZE 2
#ifdef BAD_COUNTS_AS_SMALL_AS_SLOTS
#define COUNT SIZE
#else
#define COUNT 4
#endif
#define ITEM(v) (1 << (v))

/* Rings are 1 to RINGS, 0 is none; slot i of ring r is slot[SIZE * r + i]. */
byte slot[SIZE * (RINGS + 1)];
byte head[RINGS + 1], tail[RINGS + 1];
byte newer[RINGS + 1], older[RINGS + 1];
byte tail_ring;
short seen;
byte finished;

#define SLOT(r, count) slot[SIZE * (r) + (count) % SIZE]
#define USED(r, h, t) (((h) + COUNT - (t)) % COUNT)

inline hand_out(v) { assert(v != 0 && !(seen & ITEM(v))); seen = seen | ITEM(v) }

/* The word of a ring: loaded and exchanged as one. */
#ifdef BAD_TWO_WORDS
#define TAIL_SAME (tail[r] == t)
#define HEAD_SAME (head[r] == h)
#else
#define TAIL_SAME (head[r] == h && tail[r] == t)
#define HEAD_SAME (head[r] == h && tail[r] == t)
#endif

proctype Thief() {
  byte r, n, h, t, v, tries;
  do
  :: tries < STEALS ->
     tries++;
     r = tail_ring;
next_ring:
     if
     :: r == 0 -> goto none
     :: else
     fi;
#ifndef BAD_NEWER_READ_LATE
     n = newer[r];
#endif
again: skip; /* Spin does not jump into a d_step */
     d_step { h = head[r]; t = tail[r] };
     if
     :: h == t ->
#ifdef BAD_NEWER_READ_LATE
        n = newer[r];
#endif
        if
        :: n == 0 -> goto none
        :: else
        fi;
        if
        :: d_step { tail_ring == r -> tail_ring = n }; older[n] = 0
        :: d_step { tail_ring != r -> skip }
        fi;
        r = n;
        goto next_ring
     :: else
     fi;
#ifdef BAD_READ_BEFORE_CAS
     v = SLOT(r, t);
#endif
     if
     :: d_step { TAIL_SAME -> tail[r] = (t + 1) % COUNT }
     :: d_step { !TAIL_SAME -> skip }; goto again
     fi;
#ifndef BAD_READ_BEFORE_CAS
     v = SLOT(r, t);
#endif
     d_step { hand_out(v) };
     SLOT(r, t) = 0;
none: skip;
     d_step { v = 0; r = 0; n = 0; h = 0; t = 0 }
  :: else -> break
  od;
  finished++
}

proctype Owner() {
  byte r, h, t, v, made = 1, pushed, pops;
  byte mine = 1; /* the newest ring */
  tail_ring = 1;
  do
  :: pushed < ITEMS ->
     pushed++;
     r = mine;
     d_step { h = head[r]; t = tail[r] };
     if
     :: USED(r, h, t) == SIZE -> goto no_room
     :: else
     fi;
#ifndef BAD_SLOT_NOT_CHECKED
     if
     :: SLOT(r, h) != 0 -> goto no_room
     :: else
     fi;
#endif
     SLOT(r, h) = pushed;
     head[r] = (head[r] + 1) % COUNT;
     goto stored;
no_room: skip;
     if
     :: made < RINGS ->
        d_step { /* nobody knows the new ring yet */
          made++;
          older[made] = mine;
          SLOT(made, 0) = pushed;
          head[made] = 1 };
        newer[mine] = made;
        mine = made
     :: else -> pushed--; /* the model has no ring left: try again, or stop */
        if
        :: true
        :: goto stop
        fi
     fi;
stored: skip;
     d_step { r = 0; h = 0; t = 0 }
  :: pops < POPS ->
     pops++;
     r = mine;
own_ring:
     if
     :: r == 0 -> goto nothing
     :: else
     fi;
own_again: skip;
     d_step { h = head[r]; t = tail[r] };
     if
     :: h == t -> r = older[r]; goto own_ring
     :: else
     fi;
     if
     :: d_step { HEAD_SAME -> h = (h + COUNT - 1) % COUNT; head[r] = h }
     :: d_step { !HEAD_SAME -> skip }; goto own_again
     fi;
     v = SLOT(r, h);
     d_step { hand_out(v) };
     SLOT(r, h) = 0;
nothing: skip;
     d_step { v = 0; r = 0; h = 0; t = 0 }
  :: pushed == ITEMS -> break
  od;
stop:
  finished == THIEVES;
  /* What is left is what the chain holds from the tail on. */
  d_step {
    r = tail_ring;
    do
    :: r != 0 ->
       do
       :: head[r] != tail[r] ->
          v = SLOT(r, tail[r]);
          hand_out(v);
          tail[r] = (tail[r] + 1) % COUNT
       :: else -> break
       od;
       r = newer[r]
    :: else -> break
    od;
    assert(seen == ITEM(pushed + 1) - 2)
  }
}

init {
  atomic {
    byte i;
    for (i : 1 .. THIEVES) { run Thief() }
    run Owner()
  }
}
