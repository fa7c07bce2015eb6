/* The closed runtime: fork() with threads inside, outside and blocked.
 *
 * One thread forks: it closes the runtime, asks the other, and forks when that has answered. The other enters and
 * leaves the runtime, blocks inside (a wait in the middle of a stay) or outside, and may have the handshake's signal
 * masked. To enter, it raises its depth and then looks whether the runtime is closed ([thread.closed]): if so, it goes
 * back, and waits until it is open. While it waits it is blocked, so that it is answered for. A blocked thread is taken
 * by compare-exchange, as in lifecycle.pml; here that is one step.
 *
 * What is abstracted: the collector (no cycle runs during a fork), several threads that fork (they take turns, and wait
 * for theirs as blocked), the child.
 *
 * FORKS: how often. A thread that stays outside with the signal masked for ever is left out.
 */
#ifndef FORKS
#define FORKS 2
#endif

bit closed, pending, masked;
bit inside;  /* depth > 0 */
bit blocked;
byte at, forks;

#define OUTSIDE 0
#define RAISED 1   /* depth raised, not yet looked */
#define INSIDE 2
#define BLOCKED_IN 3
#define RETURNING 4 /* BLOCKED_IN left, not yet looked */
#define WAITING 5  /* for the runtime to open */
#define BLOCKED_OUT 6
#define LOOKED 7   /* BAD_LOOK_FIRST: seen open, depth not yet raised */

proctype Thread() {
end:
  do
  :: d_step { at == OUTSIDE && !masked -> masked = 1 }
  :: d_step { at == OUTSIDE && masked -> masked = 0 }
#ifdef BAD_LOOK_FIRST
  :: d_step { at == OUTSIDE && !closed -> at = LOOKED }
  :: d_step { at == LOOKED -> inside = 1; at = INSIDE }
#else
  :: d_step { at == OUTSIDE -> inside = 1; at = RAISED }
  :: d_step { at == RAISED && !closed -> at = INSIDE }
  :: d_step { at == RAISED && closed ->
       inside = 0;
       at = WAITING;
#ifdef BAD_WAIT_AS_RUNNING
       pending = 0; /* one look as it goes out */
#else
       blocked = 1
#endif
     }
#endif
  :: d_step { at == WAITING && !closed -> blocked = 0; at = OUTSIDE }
  /* leave: [thread.depth] */
  :: d_step { at == INSIDE -> inside = 0; pending = 0; at = OUTSIDE }

  :: d_step { at == INSIDE -> blocked = 1; at = BLOCKED_IN }
  :: d_step { at == BLOCKED_IN -> blocked = 0; at = RETURNING }
#ifdef BAD_RETURN_WITHOUT_LOOK
  :: d_step { at == RETURNING -> at = INSIDE }
#else
  :: d_step { at == RETURNING && !closed -> at = INSIDE }
  :: d_step { at == RETURNING && closed -> blocked = 1; at = BLOCKED_IN }
#endif
  :: d_step { at == OUTSIDE -> blocked = 1; at = BLOCKED_OUT }
  :: d_step { at == BLOCKED_OUT -> blocked = 0; at = OUTSIDE }

  /* the signal */
  :: d_step { pending && !inside && !blocked && !masked -> pending = 0 }
  od
}

/* A thread that stands outside with the signal masked for ever is not what a fork has to cope with. */
#define STAYS_MASKED (masked && at == OUTSIDE)

proctype Forker() {
  do
  :: forks < FORKS ->
     d_step { closed = 1 };
     d_step { pending = 1 };
     do
     :: !pending -> break
     :: d_step { pending && blocked -> pending = 0 }
     :: d_step { pending && STAYS_MASKED -> masked = 0 }
     od;
     skip; /* Spin does not let a loop end at the head of a d_step */
     /* [model.whole] At the fork nobody changes what the runtime guards. */
     d_step { assert(!(inside && at == INSIDE)) };
     d_step { assert(!(inside && at == INSIDE)); closed = 0; forks++ }
  :: else -> break
  od
}

init {
  atomic { run Thread(); run Forker() }
}
