/* Ephemerons: looks into a weak table against the end of marking ([ephemeron.gate], [ephemeron.closed]).
 *
 * One table with one entry, key 1 to value 2. The key lies in a root slot at first; the value is reachable through the
 * entry alone. A thread loads the key, drops the slot, looks the value up, stores it into a second slot (a store with
 * the barrier on), erases the entry, and lets go of what it holds, in any order and number. The barrier is on
 * throughout: H1, H2 and H4 are in protocol.pml. The key is a leaf: marked, it arrives nowhere.
 *
 * A look holds the gate's mutex. The collector marks roots, one at a time, then values of marked keys, then runs a
 * round: it scans the thread's registers, and accepts it if nothing has arrived and, under the mutex, no entry with a
 * marked key has an unmarked value. It closes the gate before it lets go of the mutex, clears the entry of a key that
 * is not marked, and sweeps.
 *
 * From the closing of the gate on whatever the thread can reach must be marked.
 */
#define K 1
#define V 2

bit slot_k = 1, slot_v;  /* root slots */
bit reg_k, reg_v;        /* the thread's registers */
bit entry = 1;
bit mark[3];
bit arrived, gate_closed, swept;
byte mutex;              /* 0, 1: the thread, 2: the collector */

#define LIVE_K (slot_k || reg_k)
#define LIVE_V (slot_v || reg_v || (entry && LIVE_K))
#define CHECK assert(!gate_closed || ((!LIVE_K || mark[K]) && (!LIVE_V || mark[V])))

inline shade_v() {
  if
  :: !mark[V] -> mark[V] = 1; arrived = 1
  :: else
  fi
}

active proctype Thread() {
end:
  do
  :: d_step { slot_k && !reg_k -> reg_k = 1 }
  :: d_step { slot_k -> slot_k = 0 }
  :: d_step { slot_v -> slot_v = 0 }
  :: d_step { slot_v && !reg_v -> reg_v = 1 }
  :: d_step { reg_k -> reg_k = 0 }
  :: d_step { reg_v -> reg_v = 0 }
  :: d_step { reg_v && !slot_v -> slot_v = 1; shade_v(); CHECK }
  :: d_step { reg_k && !slot_k -> slot_k = 1; mark[K] = 1; CHECK }

  /* find */
#ifdef BAD_LOOK_WITHOUT_GATE
  :: d_step { reg_k && entry && !reg_v && !swept -> reg_v = 1 }
#else
  :: d_step { reg_k && entry && !reg_v && mutex == 0 -> mutex = 1 };
     d_step {
       if
       :: !entry || !reg_k
       :: entry && reg_k && gate_closed -> reg_v = mark[V]; assert(mark[V])
       :: else ->
          reg_v = 1;
#ifndef BAD_FOUND_NOT_SHADED
          shade_v()
#endif
       fi;
       mutex = 0; CHECK }
#endif
  /* erase */
#ifdef BAD_LOOK_WITHOUT_GATE
  :: d_step { reg_k && entry -> entry = 0 }
#else
  :: d_step { reg_k && entry && mutex == 0 -> entry = 0 }
#endif
  od
}

active proctype Collector() {
  bit clean;

  if
  :: d_step { slot_k -> mark[K] = 1 }
  :: else
  fi;
  if
  :: d_step { slot_v -> mark[V] = 1 }
  :: else
  fi;
  do
  :: arrived = 0;
     /* mark_reached */
     d_step { mutex == 0 -> mutex = 2 };
     d_step {
       if
       :: entry && mark[K] -> mark[V] = 1
       :: else
       fi;
       mutex = 0 };
#ifdef BAD_LAST_LOOK_BEFORE_ANSWERS
     clean = !(entry && mark[K] && !mark[V]);
#endif
     /* H3 */
     d_step {
       if
       :: reg_k -> mark[K] = 1
       :: else
       fi;
       if
       :: reg_v -> shade_v()
       :: else
       fi };
     d_step { mutex == 0 -> mutex = 2 };
#if !defined(BAD_LAST_LOOK_BEFORE_ANSWERS) && !defined(BAD_NO_LAST_LOOK)
     clean = !(entry && mark[K] && !mark[V]);
#elif defined(BAD_NO_LAST_LOOK)
     clean = 1;
#endif
     d_step {
       clean = clean && !arrived;
       if
       :: clean -> gate_closed = 1; CHECK
       :: else
       fi;
       mutex = 0 };
     if
     :: clean -> break
     :: else
     fi
  od;
  skip;
  d_step { mutex == 0 -> mutex = 2 };
  d_step {
    if
    :: entry && !mark[K] -> entry = 0
    :: else
    fi;
    mutex = 0; CHECK };
  d_step { swept = 1; CHECK }
}
