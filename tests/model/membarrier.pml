/* H1 and H4 where the collector changes the flags itself (MEMBARRIER); a part of protocol.pml. NO_WAIT_AT_H1 leaves out
 * the wait for those inside at H1, which is not needed.
 */
#ifdef BAD_NO_BARRIER_AT_H1
#define BARRIER_AT_H1 false
#else
#define BARRIER_AT_H1 true
#endif
#ifdef BAD_NO_BARRIER_AT_H4
#define BARRIER_AT_H4 false
#else
#define BARRIER_AT_H4 true
#endif
#ifdef NO_WAIT_AT_H1
#define WAIT_AT_H1 false
#else
#define WAIT_AT_H1 true
#endif
#ifdef BAD_NO_WAIT_AT_H4
#define WAIT_AT_H4 false
#else
#define WAIT_AT_H4 true
#endif

/* The one who changes the flags is `me` for a moment: the thread whose stores the barrier drains. */
#if defined(DELAYED_STORES) || defined(LATE_FLAGS)
#define PASS_BARRIER(t) d_step { me = t; DRAIN; LOAD_FLAG; me = 0 }
#else
#define PASS_BARRIER(t) skip
#endif
#ifdef DELAYED_STORES
#define SEEN_INSIDE(t) depth_of[t]
#else
#define SEEN_INSIDE(t) INSIDE(t)
#endif
#define ASK_IF_INSIDE(h) \
  d_step { request = h; pending[0] = SEEN_INSIDE(0) }; \
  d_step { pending[1] = SEEN_INSIDE(1) }

inline switch_barrier(h, on, with_barrier, with_wait) {
  d_step { marking[0] = on };
  d_step { marking[1] = on };
#ifdef BAD_DEPTH_BEFORE_BARRIER
  ASK_IF_INSIDE(h);
#endif
  if
  :: with_barrier -> PASS_BARRIER(0); PASS_BARRIER(1)
  :: else
  fi;
#ifndef BAD_DEPTH_BEFORE_BARRIER
  if
  :: with_wait -> ASK_IF_INSIDE(h)
  :: else
  fi;
#endif
  ALL_ANSWERED
}
