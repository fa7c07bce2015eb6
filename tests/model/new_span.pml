/* A span that comes to be while the generation moves on: a large object, the only cell of a span of its own.
 *
 * The thread that allocates it reads the generation, gives the cell its colour, and publishes the span. After the
 * generation has moved on, the collector looks once through the published spans for those that await the sweep. A span
 * that is published after that look, but in the old generation, would keep its mark for ever; therefore the thread
 * looks at the generation again once the span is published, and sweeps it itself if it is behind: [spans.second-look].
 * (On the machine the two are a store and a load on either side: both sides need a full fence between them.) The thread
 * is inside the runtime throughout and answers at the end.
 *
 * What is abstracted: one thread, one span, marking (whatever the thread holds is marked at H2 or allocated black).
 * [model.clear] Once all have answered H1, before anything is scanned, no published span has its mark set.
 */
#ifndef CYCLES
#define CYCLES 2
#endif

byte generation = 1;
bit published, mark;
byte span_generation, black_in, seen, request, cycle;
bit pending;

byte at;
#define AT_REST 0
#define AT_READ 1      /* has read the generation */
#define AT_COLOURED 2  /* the span is set up */
#define AT_PUBLISHED 3

inline sweep() {
  mark = 0;
  span_generation = generation
}

active proctype Thread() {
end:
  do
  :: d_step { at == AT_REST && !published -> seen = generation; at = AT_READ }
  :: d_step { at == AT_READ -> span_generation = seen; mark = (black_in == seen); at = AT_COLOURED }
  :: d_step { at == AT_COLOURED -> published = 1; at = AT_PUBLISHED }
  :: d_step { at == AT_PUBLISHED ->
#ifndef BAD_NO_SECOND_LOOK
       if
       :: span_generation != generation -> sweep()
       :: else
       fi;
#endif
       seen = 0;
       at = AT_REST }
  :: d_step { pending && at == AT_REST && request == 2 ->
       black_in = generation;
       if
       :: published -> mark = 1
       :: else
       fi;
       pending = 0 }
  :: d_step { pending && at == AT_REST && request != 2 -> pending = 0 }
  od
}

#define HANDSHAKE(h) d_step { request = h; pending = 1 }; !pending

active proctype Collector() {
  do
  :: cycle < CYCLES ->
     HANDSHAKE(1);
     d_step { assert(!(published && mark)); request = 0 };
     HANDSHAKE(2);
     HANDSHAKE(3);
     HANDSHAKE(4);
     generation++;
     d_step {
       if
       :: published && span_generation != generation -> sweep()
       :: else
       fi;
       cycle++ }
  :: else -> break
  od
}
