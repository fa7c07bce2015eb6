#pragma once

// HeldFrames: the frames of a thread in an inspection (gc/held.h), so that a word of its stack can be given to a
// function.
//
// A thread that answers itself unwinds its own stack by the unwind tables, through the signal's
// frame, where it has room for that. Of one that is blocked the frames are told by return
// addresses: words that point behind a call instruction. An old one in a frame that is alive
// misleads; so the report says that it is a guess.
// Threads: note_code(): whoever inspects, before the handshake. The rest: in the handshake, async-signal-safe.

namespace tricolor::gc {

struct HeldThread;

// Notes where code lies.
void note_code() noexcept;

void unwind_frames(HeldThread& thread) noexcept;
void guess_frames(HeldThread& thread) noexcept;

}  // namespace tricolor::gc
